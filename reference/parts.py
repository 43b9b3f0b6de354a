"""What is made of a cell: one step, a layer, and either as a part of other operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnspec.reference.call import (
    Admitted,
    Attributes,
    Compute,
    Computed,
    Inputs,
    batch_first,
    columns,
    dropout_scale,
    from_columns,
    no_way_back,
    steps_first,
)
from rnnspec.reference.registry import CELLS, Build
from rnnspec.reference.unroll import Cell, Reading, unroll, unroll_with_back
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array, Arrays

PartBack = Callable[[Array, Arrays], dict[str, Array]]


def cell_name(name: str) -> str:
    """Name of the cell, given that or the name of its layer."""
    return operation(name).unrolls or name


def layer_name(name: str) -> str:
    """Name of the layer, given that or the name of its cell."""
    return name.removesuffix("_cell")


def state_names(name: str) -> tuple[str, ...]:
    """Names of the initial states, ``h0`` and so on, of the layer, or cell, of that name."""
    return tuple(operation(layer_name(name)).carries)


def own_attributes(name: str, attributes: Attributes) -> dict[str, Any]:
    """Attributes of the cell of that name, or of the layer's: from `attributes`, which may hold others; or defaults."""
    defaults = operation(cell_name(name)).defaults()
    return {key: attributes.get(key, default) for key, default in defaults.items()}


def build_part(name: str, parameters: Mapping[str, Array], attributes: Attributes) -> Cell:
    """Build the cell of that name, or of that layer, on columns.

    `parameters` are the cell's own and no others; of the attributes, which may be those of a whole operation, the
    cell's own are chosen.
    """
    return CELLS[cell_name(name)](**parameters, **own_attributes(name, attributes))


class InnerLayer:
    """A cell that runs over sequences inside an operation.

    Sequences go in and come out as columns, ``(T, D, B)`` and ``(T, S, B)``, so that parts follow one another without
    a change of layout; states and gradients of parameters are in the shapes of the public layers.

    Parameters
    ----------
    cell
        The cell.
    parameters
        Those that the cell was built of.
    states
        Names of the initial states.
    shapes
        The shape of each state for one sequence.
    """

    def __init__(
        self,
        cell: Cell,
        parameters: Mapping[str, Array],
        states: tuple[str, ...],
        shapes: tuple[tuple[int, ...], ...],
    ) -> None:
        self.cell, self.parameters, self.states, self.shapes = cell, parameters, states, shapes

    @classmethod
    def of(
        cls, layer: str, parameters: Mapping[str, Array], attributes: Attributes, sizes: Mapping[str, int]
    ) -> InnerLayer:
        """Build the layer of that name; `sizes` are those by which its states' shapes are written."""
        return cls.around(build_part(layer, parameters, attributes), layer, parameters, sizes)

    @classmethod
    def around(cls, cell: Cell, layer: str, parameters: Mapping[str, Array], sizes: Mapping[str, int]) -> InnerLayer:
        """Make a cell that is built already the layer of that name."""
        specified, states = operation(layer).inputs, state_names(layer)
        # The first state is as wide as the cell says: a projection's width may have another name in the operation.
        rest = (tuple(sizes[axis] for axis in specified[state].shape[1:]) for state in states[1:])
        return cls(cell, parameters, states, ((cell.state_sizes[0],), *rest))

    def begin(self, given: Inputs, like: Array, batch: int) -> Arrays:
        """Initial states as columns: those that are given by name; what is absent is zero, of the type of `like`."""
        states = (given.get(name) for name in self.states)
        return tuple(
            np.zeros_like(like, shape=(size, batch)) if state is None else columns(state)
            for state, size in zip(states, self.cell.state_sizes, strict=True)
        )

    def batch_first(self, states: Arrays) -> Arrays:
        """The states ``(B, …)`` of columns."""
        return tuple(
            from_columns(state, (state.shape[1], *shape)) for state, shape in zip(states, self.shapes, strict=True)
        )

    def run(self, x: Array, initial: Inputs, reading: Reading, record: bool = True) -> tuple[Array, Arrays, PartBack]:
        """Run over ``x (T, D, B)``; return the outputs ``(T, S, B)``, the final states ``(B, …)`` and the way back.

        `initial` has the initial states by name; what is absent is zero. The way back leads from the gradients of the
        outputs and of the final states to those of x, of every parameter and of every initial state, by name. A run
        that is not recorded has none, and keeps nothing of its steps.
        """
        states = self.begin(initial, x, x.shape[2])
        if not record:
            y, final = unroll(self.cell, x, states, reading)
            return y, self.batch_first(final), lambda dy, dfinal: no_way_back(dy, *dfinal)
        y, final, unrolled_back = unroll_with_back(self.cell, x, states, reading)

        def back(dy: Array, dfinal: Arrays) -> dict[str, Array]:
            gradients, dstates = unrolled_back(dy, tuple(columns(d) for d in dfinal))
            if not gradients:  # there was no step
                gradients = {name: np.zeros_like(array) for name, array in {"x": x, **self.parameters}.items()}
            return gradients | dict(zip(self.states, self.batch_first(dstates), strict=True))

        return y, self.batch_first(final), back


def one_step(build: Build) -> Compute:
    """What computes a cell: one step of the cell that `build` makes."""

    def compute(call: Admitted) -> Computed:
        floats = dict(call.floats)
        x = floats.pop("x").T
        names = tuple(name for name in operation(call.operation).inputs if name.endswith("_prev"))
        before = tuple(floats.pop(name) for name in names)
        cell = build(**floats, **call.attributes)
        after, known = cell.step(x, *(columns(state) for state in before))

        def vjp(*cotangents: Array) -> dict[str, Array]:
            dstates, noted = cell.back(known, *(columns(d) for d in cotangents))
            gradients = cell.gradients(x, *noted)
            gradients["x"] = gradients["x"].T
            for name, d, state in zip(names, dstates, before, strict=True):
                gradients[name] = from_columns(d, state.shape)
            return gradients

        return tuple(from_columns(new, old.shape) for new, old in zip(after, before, strict=True)), vjp

    return compute


def whole_layer(build: Build) -> Compute:
    """What computes a layer: the cell that `build` makes, over sequences."""

    def compute(call: Admitted) -> Computed:
        floats, attributes, holes = dict(call.floats), call.attributes, call.holes
        initial = {name: floats.pop(name) for name in state_names(call.operation) if name in floats}
        del floats["x"]
        cell = build(**floats, **own_attributes(call.operation, attributes))
        part = InnerLayer.around(cell, call.operation, floats, call.sizes)
        keep, p = call.inputs.get("recurrent_keep"), attributes["recurrent_dropout"]
        x = call.without_holes("x")
        reading = Reading(
            valid=None if holes is None else holes.T,
            reverse=attributes["direction"] == "reverse",
            recurrent_scale=None if keep is None else dropout_scale(x, keep.T, p),
            truncate=attributes["truncate"],
        )
        y, final, back = part.run(steps_first(x), initial, reading, call.record)

        def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
            gradients = back(steps_first(dy), dfinal)
            return gradients | {"x": batch_first(gradients["x"])}

        return (batch_first(y), *final), vjp

    return compute


def of_cell(name: str) -> Compute:
    """What computes the cell, or the layer, of that name."""
    build = CELLS[cell_name(name)]
    return whole_layer(build) if operation(name).unrolls else one_step(build)
