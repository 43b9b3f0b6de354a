"""Layers and cells as parts of other operations: built by name, run on columns, with states batch first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict

import numpy as np

from rnnspec.reference.call import Attributes, Inputs, columns, from_columns
from rnnspec.reference.kinds import KINDS, Kind
from rnnspec.reference.unroll import Array, Arrays, Cell, Reading, unroll, unroll_with_back
from rnnspec.spec import operation

Arguments = Mapping[str, Any]
PartBack = Callable[[Array, Arrays], dict[str, Array]]


class PartArguments(TypedDict, total=False):
    """Keywords that only some kinds of layer have: their further parameters and initial states, and their attributes.

    An operation that is built of any kind takes them all, and refuses those that the chosen kind has not. Parameters
    and states have here the shapes that the operation gives them.
    """

    P: Array | None
    b_rn: Array | None
    gain: Array | None
    gain_c: Array | None
    b_c: Array | None
    W_inner: Array | None
    R_inner: Array | None
    b_inner: Array | None
    c0: Array | None
    activation: str
    activations: tuple[str, str, str]
    clip: float | None
    coupled: bool
    projection: bool
    reset: Literal["before", "after"]
    update: Literal["keeps", "admits"]
    epsilon: float
    memory: Literal["raw", "normalised"]
    gradient: Literal["full", "cell_only"]
    truncate: int | None


def split_arguments(name: str, arguments: Arguments) -> tuple[dict[str, Array | None], dict[str, Any]]:
    """Take an operation's keywords apart: its attributes, and the rest, which are inputs or unknown.

    Which inputs there are depends on the kind of layer that the attributes choose.
    """
    known = operation(name).attributes
    inputs = {key: value for key, value in arguments.items() if key not in known}
    return inputs, {key: value for key, value in arguments.items() if key in known}


def kind_of(name: str) -> Kind:
    """Kind of the layer, or cell, of that name."""
    return KINDS[name.removesuffix("_cell")]


def state_names(name: str) -> tuple[str, ...]:
    """Names of the initial states, ``h0`` and so on, of the layer, or cell, of that name."""
    return tuple(f"{state}0" for state in kind_of(name).states)


def own_attributes(name: str, attributes: Attributes) -> dict[str, Any]:
    """Attributes of the cell of that name, or of the layer's: from `attributes`, which may hold others; or defaults."""
    defaults = operation(f"{name.removesuffix('_cell')}_cell").defaults()
    return {key: attributes.get(key, default) for key, default in defaults.items()}


def build_part(name: str, parameters: Mapping[str, Array], attributes: Attributes) -> Cell:
    """Build the cell of that name, or of that layer, on columns.

    `parameters` are the cell's own and no others; of the attributes, which may be those of a whole operation, the
    cell's own are chosen.
    """
    return kind_of(name).build(**parameters, **own_attributes(name, attributes))


class Part:
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
    def of(cls, layer: str, parameters: Mapping[str, Array], attributes: Attributes, sizes: Mapping[str, int]) -> Part:
        """Build the layer of that name; `sizes` are those by which its states' shapes are written."""
        specified, states = operation(layer).inputs, state_names(layer)
        cell = build_part(layer, parameters, attributes)
        # The first state is as wide as the cell says: a projection's width may have another name in the operation.
        rest = (tuple(sizes[axis] for axis in specified[state].shape[1:]) for state in states[1:])
        return cls(cell, parameters, states, ((cell.state_sizes[0],), *rest))

    def run(self, x: Array, initial: Inputs, reading: Reading, record: bool = True) -> tuple[Array, Arrays, PartBack]:
        """Run over ``x (T, D, B)``; return the outputs ``(T, S, B)``, the final states ``(B, …)`` and the way back.

        `initial` has the initial states by name; what is absent is zero. The way back leads from the gradients of the
        outputs and of the final states to those of x, of every parameter and of every initial state, by name. A run
        that is not recorded has none, and keeps nothing of its steps.
        """
        given = tuple(initial.get(name) for name in self.states)
        batch = x.shape[2]
        states = tuple(
            np.zeros_like(x, shape=(size, batch)) if state is None else columns(state)
            for state, size in zip(given, self.cell.state_sizes, strict=True)
        )
        shapes = tuple((batch, *shape) for shape in self.shapes)
        if not record:
            y, final = unroll(self.cell, x, states, reading)
            return y, _batch_first(final, shapes), _no_way_back
        y, final, unrolled_back = unroll_with_back(self.cell, x, states, reading)

        def back(dy: Array, dfinal: Arrays) -> dict[str, Array]:
            gradients, dstates = unrolled_back(dy, tuple(columns(d) for d in dfinal))
            if not gradients:  # there was no step
                gradients = {name: np.zeros_like(array) for name, array in {"x": x, **self.parameters}.items()}
            return gradients | dict(zip(self.states, _batch_first(dstates, shapes), strict=True))

        return y, _batch_first(final, shapes), back


def _batch_first(states: Arrays, shapes: tuple[tuple[int, ...], ...]) -> Arrays:
    return tuple(from_columns(state, shape) for state, shape in zip(states, shapes, strict=True))


def _no_way_back(dy: Array, dfinal: Arrays) -> dict[str, Array]:
    raise RuntimeError("no way back: the run was not recorded")


def steps_first(x: Array) -> Array:
    """From ``(B, T, D)`` to columns, ``(T, D, B)``."""
    return x.transpose(1, 2, 0)


def batch_first(x: Array) -> Array:
    """From columns, ``(T, D, B)``, to ``(B, T, D)``."""
    return x.transpose(2, 0, 1)
