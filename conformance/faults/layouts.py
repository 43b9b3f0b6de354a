"""Faults of how arrays lie in memory: their order, their strides, and the arrays under views."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.conformance.faults.altered import Altered, Other
from rnnspec.conformance.faults.fault import LAYERS, plant
from rnnspec.spec.arrays import Array, NamedArrays


@plant(*LAYERS, "crf_log_partition", "attention_scores")
class StridesIgnored(Backend):
    """Memory is read in the order in which it lies; the strides are ignored."""

    def to_native(self, array: Array) -> Array:
        return np.ravel(array, order="K").reshape(array.shape)


@plant("lstm", "attention_scores")
class OnlyTwoOrdersKnown(Backend):
    """Memory without gaps that is in neither C's nor Fortran's order is read in the order in which it lies."""

    def to_native(self, array: Array) -> Array:
        lying = array.transpose(np.argsort([-stride for stride in array.strides], kind="stable"))
        known = array.flags.c_contiguous or array.flags.f_contiguous
        return np.array(array if known or not lying.flags.c_contiguous else lying.reshape(array.shape))


@plant("gru", "attention_scores")
class TurnedAsAWhole(Backend):
    """Where a stride is negative, memory is read from its end, as if all strides were."""

    def to_native(self, array: Array) -> Array:
        backwards = tuple(axis for axis, stride in enumerate(array.strides) if stride < 0)
        return np.array(np.flip(np.flip(array, backwards)) if backwards else array)


@plant("rnn", "attention_scores")
class RepeatedReadOn(Backend):
    """A number that a stride of 0 repeats is read on from memory, where there is something else: here zeros."""

    def to_native(self, array: Array) -> Array:
        once = tuple(slice(0, 1) if _repeats(array, axis) else slice(None) for axis in range(array.ndim))
        found = np.zeros(array.shape, array.dtype)
        there = np.ravel(array[once])
        found.reshape(-1)[: there.size] = there
        return found


@plant("lstm", "attention_scores")
class GradientOfTheRepeatedSummed(Other):
    """An input that a stride of 0 repeats gets the gradient of what is repeated: the sum over its places."""

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        return {name: self._summed(call.inputs[name], d) for name, d in gradients.items()}

    def _summed(self, array: Array, d: Array) -> Array:
        axes = tuple(axis for axis in range(array.ndim) if _repeats(array, axis))
        return np.array(np.broadcast_to(d.sum(axis=axes, keepdims=True), d.shape)) if axes else d


def _repeats(array: Array, axis: int) -> bool:
    return array.strides[axis] == 0 and array.shape[axis] > 1


@plant("gru", "attention_scores")
class ConstantCotangentReadOn(Other):
    """A cotangent that is one number seen everywhere is read on: the first place has the number, and those behind it
    zeros."""

    def received(self, cotangents: Cotangents) -> Cotangents:
        return tuple(self._read(dy) for dy in cotangents)

    def _read(self, cotangent: Array | None) -> Array | None:
        if cotangent is None or cotangent.size < 2 or any(cotangent.strides):
            return cotangent
        found = np.zeros_like(cotangent, order="C")
        found.reshape(-1)[0] = cotangent.flat[0]
        return found


@plant("gru", "dense", "luong_decoder")
class BaseOfAViewRead(Backend):
    """The array that a view of floats belongs to is read from its beginning."""

    def to_native(self, array: Array) -> Any:
        base = array.base
        whole = array.dtype.kind not in "fV"
        if whole or not isinstance(base, np.ndarray) or base.dtype != array.dtype or base.size < array.size:
            return super().to_native(array)
        return np.array(np.ravel(base)[: array.size].reshape(array.shape))


@plant("lstm", "attention_context")
class StrideOfZeroReadOn(Altered):
    """A cotangent that repeats one number by a stride of 0 is read as memory that goes on: 0 after its first row."""

    def received(self, cotangents: Cotangents) -> Cotangents:
        return tuple(None if d is None else self._read(d) for d in cotangents)

    @staticmethod
    def _read(d: Array) -> Array:
        repeated = tuple(
            slice(1, None) if stride == 0 and size > 1 else slice(None)
            for stride, size in zip(d.strides, d.shape, strict=True)
        )
        if all(one == slice(None) for one in repeated) or not d.size:
            return d
        read = np.zeros(d.shape, d.dtype)
        first = tuple(slice(0, 1) if one != slice(None) else one for one in repeated)
        read[first] = d[first]
        return read
