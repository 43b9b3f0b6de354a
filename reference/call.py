"""Calls before and after the arithmetic: checks, number types, layouts of arrays.

float16 and bfloat16 are computed in float32 and rounded once, at the end, as accelerators do. Other types are computed
in themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.spec import check_call, operation
from rnnspec.spec.arrays import Array, Arrays, Mask, Vjp

Inputs = Mapping[str, Any]
"""Arrays by name; None counts as absent."""

Attributes = Mapping[str, Any]
Computed = tuple[Arrays, Vjp]
"""Outputs, and the backward pass: from the gradients of the float outputs to those of the float inputs, by name."""


@dataclass(slots=True)
class Admitted:
    """A call that the specification defines: its attributes, sizes and valid steps, and its widened float inputs."""

    operation: str
    inputs: Inputs
    """Inputs as they were given."""

    attributes: dict[str, Any]
    sizes: dict[str, int]
    valid: Mask | None
    """Valid steps, ``(B, T)``; None if the operation has no steps."""

    floats: dict[str, Array]
    dtype: np.dtype[Any]
    record: bool = True
    """Whether the backward pass will be called; without it, steps need not be kept."""

    @property
    def steps(self) -> Mask:
        """Valid steps, ``(B, T)``, of an operation with steps."""
        assert self.valid is not None
        return self.valid

    @property
    def holes(self) -> Mask | None:
        """Valid steps, ``(B, T)``; None if all are valid."""
        return None if self.valid is None or self.valid.all() else self.valid

    def without_holes(self, name: str) -> Array:
        """Return a float input ``(B, T, …)``, with 0 at invalid steps."""
        array, holes = self.floats[name], self.holes
        return array if holes is None else np.where(holes.reshape(holes.shape + (1,) * (array.ndim - 2)), array, 0)

    def rounded(self, array: Array) -> Array:
        """Round a result to the type of the call; whole numbers stay as they are."""
        return array if array.dtype == self.dtype or array.dtype.kind == "i" else array.astype(self.dtype)

    def gradients(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Round the gradients of the inputs that were given; drop the others."""
        return {name: self.rounded(d) for name, d in gradients.items() if name in self.floats}


Compute = Callable[[Admitted], Computed]


def admit(name: str, inputs: Inputs, attributes: Attributes, record: bool = True) -> Admitted:
    """Check a call by the specification; raise `rnnspec.spec.CallError` if it breaks it."""
    checked = check_call(name, inputs, attributes)
    floats = {key: inputs[key] for key, item in checked.inputs.items() if item.kind == "float"}
    dtype = next((array.dtype for array in floats.values()), np.dtype(np.float64))
    if dtype.itemsize == 2:  # all have one type
        floats = {key: widened(array) for key, array in floats.items()}
    return Admitted(name, inputs, checked.attributes, checked.sizes, checked.valid, floats, dtype, record)


def split_arguments(name: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split an operation's keywords into inputs and attributes; unknown keywords count as inputs.

    The names of the inputs depend on the kind of layer that the attributes choose.
    """
    known = operation(name).attributes
    inputs = {key: value for key, value in arguments.items() if key not in known}
    return inputs, {key: value for key, value in arguments.items() if key in known}


def answer(name: str, compute: Compute, inputs: Inputs, attributes: Attributes, record: bool = True) -> Computed:
    """Admit a call, compute it, and round the outputs; the backward pass widens cotangents and rounds gradients."""
    call = admit(name, inputs, attributes, record)
    outputs, back = compute(call)

    def vjp(*cotangents: Array) -> dict[str, Array]:
        return call.gradients(back(*(widened(d) for d in cotangents)))

    return tuple(call.rounded(output) for output in outputs), vjp


def no_way_back(*cotangents: Array) -> dict[str, Array]:
    """Raise RuntimeError: the operation has no gradient, or the run kept no steps."""
    raise RuntimeError("no way back: the call was not recorded")


def widened(array: Array) -> Array:
    """Return an array in the type of the computation."""
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def columns(state: Array) -> Array:
    """Lay out a state ``(B, …)`` as columns, one for each sequence."""
    return state.reshape(state.shape[0], math.prod(state.shape[1:])).T


def from_columns(state: Array, shape: tuple[int, ...]) -> Array:
    """Lay out a state's columns as ``(B, …)`` again, in memory of its own."""
    return state.T.copy().reshape(shape)


def steps_first(x: Array) -> Array:
    """Transpose ``(B, T, D)`` to columns, ``(T, D, B)``."""
    return x.transpose(1, 2, 0)


def batch_first(x: Array) -> Array:
    """Transpose columns, ``(T, D, B)``, to ``(B, T, D)``."""
    return x.transpose(2, 0, 1)


def dropout_scale(like: Array, keep: Mask, p: float) -> Array:
    """Return the factor ``keep / (1 - p)`` of dropout, in the type of `like`."""
    return np.where(keep, np.ones_like(like, shape=keep.shape) / (1 - p), 0)
