"""From a public call to arithmetic and back: checks, number types, batch-first arrays.

float16 and bfloat16 are computed in float32 and rounded once, at the end, as accelerators do; other types are computed
as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.reference.unroll import Array, Arrays, Cell, Mask, Reading, unroll, unroll_with_back
from rnnspec.spec import check_call, operation, resolved

Inputs = Mapping[str, Array | None]
Attributes = Mapping[str, Any]
Build = Callable[..., Cell]
Vjp = Callable[..., dict[str, Array]]


@dataclass(frozen=True)
class Admitted:
    """A call that the specification defines: its attributes, sizes and valid steps, and its float inputs, widened."""

    attributes: dict[str, Any]
    sizes: dict[str, int]
    valid: Mask | None
    """Which steps are valid, ``(B, T)``; None if the operation has no steps."""

    floats: dict[str, Array]
    dtype: np.dtype[Any]

    @property
    def holes(self) -> Mask | None:
        """`valid`, or None if every step is."""
        return None if self.valid is None or self.valid.all() else self.valid

    def rounded(self, array: Array) -> Array:
        """Round a result to the type of the call."""
        return array if array.dtype == self.dtype else array.astype(self.dtype)

    def gradients(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Round the gradients of the inputs that were given; drop the others."""
        return {name: self.rounded(d) for name, d in gradients.items() if name in self.floats}


def admit(name: str, inputs: Inputs, attributes: Attributes) -> Admitted:
    """Hold a call against the specification; raise `rnnspec.spec.CallError` if it does not define it."""
    checked = check_call(name, inputs, attributes)
    kinds = resolved(operation(name), checked.attributes).inputs_for(checked.attributes)
    floats = {key: array for key, array in inputs.items() if array is not None and kinds[key].kind == "float"}
    dtype = next((array.dtype for array in floats.values()), np.dtype(np.float64))
    wide = {key: widened(array) for key, array in floats.items()}
    return Admitted(checked.attributes, checked.sizes, checked.valid, wide, dtype)


def widened(array: Array) -> Array:
    """Return an array in the type to compute in."""
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def columns(state: Array) -> Array:
    """Lay out a state ``(B, …)`` as columns, one a sequence."""
    return state.reshape(state.shape[0], math.prod(state.shape[1:])).T


def from_columns(state: Array, shape: tuple[int, ...]) -> Array:
    """Lay out a state's columns as ``(B, …)`` again, in memory of its own."""
    return state.T.copy().reshape(shape)


def run_cell(
    operation: str, build: Build, state_names: tuple[str, ...], inputs: Inputs, attributes: Attributes
) -> tuple[Arrays, Vjp]:
    """Take one step of the cell that `build` makes of parameters and attributes; return the outputs and the vjp."""
    call = admit(operation, inputs, attributes)
    floats = dict(call.floats)
    x = floats.pop("x").T
    before = tuple(floats.pop(name) for name in state_names)
    shapes = tuple(state.shape for state in before)
    cell = build(**floats, **call.attributes)
    after, known = cell.step(x, *(columns(state) for state in before))

    def vjp(*cotangents: Array) -> dict[str, Array]:
        dstates, noted = cell.back(known, *(columns(widened(d)) for d in cotangents))
        gradients = cell.gradients(x, *noted)
        gradients["x"] = gradients["x"].T
        for name, d, shape in zip(state_names, dstates, shapes, strict=True):
            gradients[name] = from_columns(d, shape)
        return call.gradients(gradients)

    return tuple(call.rounded(from_columns(state, s)) for state, s in zip(after, shapes, strict=True)), vjp


def run_layer(
    name: str,
    build: Build,
    state_names: tuple[str, ...],
    inputs: Inputs,
    attributes: Attributes,
    record: bool = False,
) -> tuple[Arrays, Vjp]:
    """Run the cell that `build` makes over a sequence; return the outputs and the vjp, which needs a recorded run."""
    call = admit(name, inputs, attributes)
    choices, floats = dict(call.attributes), dict(call.floats)
    holes = call.holes
    batch_first = floats.pop("x")
    if holes is not None:
        batch_first = np.where(holes[:, :, np.newaxis], batch_first, 0)
    x = batch_first.transpose(1, 2, 0)
    p = choices.pop("recurrent_dropout")
    keep = inputs.get("recurrent_keep")
    reading = Reading(
        valid=None if holes is None else holes.T,
        reverse=choices.pop("direction") == "reverse",
        recurrent_scale=None if keep is None else dropout_scale(batch_first, keep.T, p),
        truncate=choices.pop("truncate"),
    )
    given = {name: floats.pop(name) for name in state_names if name in floats}
    cell = build(**floats, **choices)
    batch = batch_first.shape[0]
    specified = operation(name).inputs_for(call.attributes)
    shapes = tuple(tuple(call.sizes[axis] for axis in specified[state].shape) for state in state_names)
    initial = tuple(
        columns(given[state]) if state in given else np.zeros_like(batch_first, shape=(size, batch))
        for state, size in zip(state_names, cell.state_sizes, strict=True)
    )
    if not record:
        y, final = unroll(cell, x, initial, reading)
    else:
        y, final, back = unroll_with_back(cell, x, initial, reading)

    def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
        gradients, dstates = back(widened(dy).transpose(1, 2, 0), tuple(columns(widened(d)) for d in dfinal))
        if gradients:
            gradients["x"] = gradients["x"].transpose(2, 0, 1)
        else:
            gradients = {key: np.zeros_like(array) for key, array in {"x": batch_first, **floats}.items()}
        for state, d, shape in zip(state_names, dstates, shapes, strict=True):
            gradients[state] = from_columns(d, shape)
        return call.gradients(gradients)

    outputs = (y.transpose(2, 0, 1), *(from_columns(state, s) for state, s in zip(final, shapes, strict=True)))
    return tuple(call.rounded(output) for output in outputs), vjp


def dropout_scale(like: Array, keep: Mask, p: float) -> Array:
    """Return the factor ``keep / (1 - p)`` of dropout, in the type of `like`."""
    return np.where(keep, np.ones_like(like, shape=keep.shape) / (1 - p), 0)
