"""Operations made of a cell: one step, a layer, and parts of other operations."""

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
from rnnspec.reference.outputs import shown
from rnnspec.reference.registry import CELLS, Build
from rnnspec.reference.unroll import Cell, Reading, unroll, unroll_with_back
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array, Arrays

PartBack = Callable[[Array, Arrays], dict[str, Array]]


def cell_name(name: str) -> str:
    """Return the name of the cell for its own name or its layer's."""
    return operation(name).unrolls or name


def layer_name(name: str) -> str:
    """Return the name of the layer for its own name or its cell's."""
    return name.removesuffix("_cell")


def state_names(name: str) -> tuple[str, ...]:
    """Return the names of the initial states, such as ``h0``, of a layer or cell."""
    return tuple(operation(layer_name(name)).carries)


def own_attributes(name: str, attributes: Attributes) -> dict[str, Any]:
    """Return the attributes of a cell, or of a layer's cell, from `attributes`, which may have others, or defaults."""
    defaults = operation(cell_name(name)).defaults()
    return {key: attributes.get(key, default) for key, default in defaults.items()}


def build_part(name: str, parameters: Mapping[str, Array], attributes: Attributes) -> Cell:
    """Build the cell of that name, or of the layer of that name, on columns.

    `parameters` are only the cell's own. `attributes` may be those of a whole operation, from which the cell's own are
    chosen.
    """
    return CELLS[cell_name(name)](**parameters, **own_attributes(name, attributes))


class InnerLayer:
    """A cell that runs over sequences inside an operation.

    Input and output sequences are columns, ``(T, D, B)`` and ``(T, S, B)``, so that parts follow one another without
    a change of layout. States and gradients of parameters have the shapes of the public layers.

    Parameters
    ----------
    cell
        The cell.
    parameters
        Parameters of the cell.
    states
        Names of the initial states.
    shapes
        Shape of each state for one sequence.
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
        """Build the layer of that name; `sizes` has the sizes in its states' shapes."""
        return cls.around(build_part(layer, parameters, attributes), layer, parameters, sizes)

    @classmethod
    def around(cls, cell: Cell, layer: str, parameters: Mapping[str, Array], sizes: Mapping[str, int]) -> InnerLayer:
        """Make the layer of that name around a built cell."""
        specified, states = operation(layer).inputs, state_names(layer)
        # The cell gives the width of the first state: a projection's width may have another name in the operation.
        rest = (tuple(sizes[axis] for axis in specified[state].shape[1:]) for state in states[1:])
        return cls(cell, parameters, states, ((cell.state_sizes[0],), *rest))

    def begin(self, given: Inputs, like: Array, batch: int) -> Arrays:
        """Return the initial states as columns, from those given by name; absent ones are zero, typed like `like`."""
        states = (given.get(name) for name in self.states)
        return tuple(
            np.zeros_like(like, shape=(size, batch)) if state is None else columns(state)
            for state, size in zip(states, self.cell.state_sizes, strict=True)
        )

    def batch_first(self, states: Arrays) -> Arrays:
        """Return states in columns as ``(B, …)``."""
        return tuple(
            from_columns(state, (state.shape[1], *shape)) for state, shape in zip(states, self.shapes, strict=True)
        )

    def run(self, x: Array, initial: Inputs, reading: Reading, record: bool = True) -> tuple[Array, Arrays, PartBack]:
        """Run over ``x (T, D, B)``; return outputs ``(T, S, B)``, final states ``(B, …)`` and the backward pass.

        `initial` has the initial states by name; absent ones are zero. The backward pass takes the gradients of the
        outputs and of the final states. It returns those of x, of every parameter and of every initial state, by name.
        A run without `record` keeps no steps and has no backward pass.
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
    """Return the computation of one step of the cell that `build` makes."""

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
    """Return the computation of a layer: the cell that `build` makes, over sequences."""

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
        output, output_back = shown(attributes["output"], y, reading)

        def vjp(doutput: Array, *dfinal: Array) -> dict[str, Array]:
            gradients = back(output_back(doutput), dfinal)
            return gradients | {"x": batch_first(gradients["x"])}

        return (output, *final), vjp

    return compute


def of_cell(name: str) -> Compute:
    """Return the computation of the cell or layer of that name."""
    build = CELLS[cell_name(name)]
    return whole_layer(build) if operation(name).unrolls else one_step(build)
