"""From a public call to a cell on columns and back: checks, number types, batch-first arrays.

float16 and bfloat16 are computed in float32 and rounded once, at the end, as accelerators do; other types are computed
as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnspec.reference.unroll import Array, Arrays, Cell, Tape, unroll, unroll_back
from rnnspec.spec import check_call

Inputs = Mapping[str, Array | None]
Attributes = Mapping[str, Any]
Build = Callable[..., Cell]
Vjp = Callable[..., dict[str, Array]]


def run_cell(
    operation: str, build: Build, state_names: tuple[str, ...], inputs: Inputs, attributes: Attributes
) -> tuple[Arrays, Vjp]:
    """Take one step of the cell that `build` makes of parameters and attributes; return the outputs and the vjp."""
    checked = check_call(operation, inputs, attributes)
    floats, dtype = _floats(inputs)
    x = floats.pop("x").T
    states = tuple(floats.pop(name).T for name in state_names)
    cell = build(**floats, **checked.attributes)
    after, known = cell.step(x, *states)

    def vjp(*cotangents: Array) -> dict[str, Array]:
        dstates, noted = cell.back(known, *(_wide(d).T for d in cotangents))
        gradients = cell.gradients(x, *noted)
        gradients["x"] = gradients["x"].T
        gradients.update((name, d.T) for name, d in zip(state_names, dstates, strict=True))
        return {name: _rounded(d, dtype) for name, d in gradients.items()}

    return tuple(_rounded(state.T.copy(), dtype) for state in after), vjp


def run_layer(
    operation: str,
    build: Build,
    state_names: tuple[str, ...],
    inputs: Inputs,
    attributes: Attributes,
    record: bool = False,
) -> tuple[Arrays, Vjp]:
    """Run the cell that `build` makes over a sequence; return the outputs and the vjp, which needs a recorded run."""
    checked = check_call(operation, inputs, attributes)
    choices = dict(checked.attributes)
    reverse = choices.pop("direction") == "reverse"
    floats, dtype = _floats(inputs)
    batch_first = floats.pop("x")
    valid = None
    if checked.valid is not None and not checked.valid.all():
        batch_first = np.where(checked.valid[:, :, np.newaxis], batch_first, 0)
        valid = checked.valid.T
    x = batch_first.transpose(1, 2, 0)
    given = {name: floats.pop(name) for name in state_names if name in floats}
    cell = build(**floats, **choices)
    initial = tuple(
        given[name].T if name in given else np.zeros_like(batch_first, shape=(size, batch_first.shape[0]))
        for name, size in zip(state_names, cell.state_sizes, strict=True)
    )
    tape: Tape = []
    y, final = unroll(cell, x, initial, valid, reverse, tape if record else None)

    def vjp(dy: Array, *dfinal: Array) -> dict[str, Array]:
        dstates = tuple(_wide(d).T for d in dfinal)
        if tape:
            gradients, dstates = unroll_back(cell, x, _wide(dy).transpose(1, 2, 0), dstates, valid, tape)
            gradients["x"] = gradients["x"].transpose(2, 0, 1)
        else:
            gradients = {name: np.zeros_like(array) for name, array in {"x": batch_first, **floats}.items()}
        dinitial = zip(state_names, dstates, strict=True)
        gradients.update((name, d.T.copy()) for name, d in dinitial if name in given)
        return {name: _rounded(d, dtype) for name, d in gradients.items()}

    outputs = (y.transpose(2, 0, 1), *(state.T.copy() for state in final))
    return tuple(_rounded(output, dtype) for output in outputs), vjp


def _floats(inputs: Inputs) -> tuple[dict[str, Array], np.dtype[Any]]:
    """Every float input that was given, wide enough to compute in; and the type that results are to have."""
    floats = {name: array for name, array in inputs.items() if array is not None and name not in ("lengths", "mask")}
    return {name: _wide(array) for name, array in floats.items()}, floats["x"].dtype


def _wide(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def _rounded(array: Array, dtype: np.dtype[Any]) -> Array:
    return array if array.dtype == dtype else array.astype(dtype)
