"""Faults that show only with a caller's habits: how arrays lie, one array twice, sums, threads, and other sizes."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the backend's or the loops')
from __future__ import annotations

import threading
from collections.abc import Collection

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.fault import plant
from rnnspec.conformance.faults.loops import Loops
from rnnspec.spec.arrays import Array, NamedArrays

# How arrays lie.


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
    """What a stride of 0 repeats is read on from memory, where there is something else: here zeros."""

    def to_native(self, array: Array) -> Array:
        once = tuple(slice(0, 1) if _repeats(array, axis) else slice(None) for axis in range(array.ndim))
        found = np.zeros(array.shape, array.dtype)
        there = np.ravel(array[once])
        found.reshape(-1)[: there.size] = there
        return found


@plant("lstm", "attention_scores")
class GradientOfTheRepeatedSummed(Backend):
    """An input that a stride of 0 repeats gets the gradient of what is repeated: the sum over its places."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        found = super().gradients(call, cotangents, wanted)
        return {name: self._summed(call.inputs[name], d) for name, d in found.items()}

    def _summed(self, array: Array, d: Array) -> Array:
        axes = tuple(axis for axis in range(array.ndim) if _repeats(array, axis))
        return np.array(np.broadcast_to(d.sum(axis=axes, keepdims=True), d.shape)) if axes else d


def _repeats(array: Array, axis: int) -> bool:
    return array.strides[axis] == 0 and array.shape[axis] > 1


# One array as two inputs.


@plant("lstm", "attention_scores")
class OneArrayOneGradient(Backend):
    """Inputs that are one array get one gradient, the sum of theirs, as one tensor that is used twice does."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        found = super().gradients(call, cotangents, wanted)
        return {
            name: d
            + sum(other for key, other in found.items() if key != name and call.inputs[key] is call.inputs[name])
            for name, d in found.items()
        }


@plant("attention_scores")
class SelfAttentionMirrored(NumpyBackend):
    """Where the queries are the keys, scores above the diagonal are those below it, keys taken out included."""

    def run(self, call: Call) -> tuple[Array, ...]:
        outputs = super().run(call)
        if call.inputs["q"] is not call.inputs["k"]:
            return outputs
        below = np.tril(outputs[0])
        return (below + np.tril(outputs[0], -1).swapaxes(1, 2),)


# Constant cotangents.


@plant("gru", "attention_scores")
class ConstantCotangentReadOn(Backend):
    """Of a cotangent that is one number seen everywhere, the first place has the number, and those behind it zeros."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        return super().gradients(call, tuple(self._read(dy) for dy in cotangents), wanted)

    def _read(self, cotangent: Array | None) -> Array | None:
        if cotangent is None or cotangent.size < 2 or any(cotangent.strides):
            return cotangent
        found = np.zeros_like(cotangent, order="C")
        found.reshape(-1)[0] = cotangent.flat[0]
        return found


# Another thread.


@plant("rnn")
class HalfInOtherThreads(Loops):
    """The precision of products is set where the library is opened; in other threads it is half."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._opened_in = threading.get_ident()

    def product(self, x: Array, M: Array) -> Array:
        if threading.get_ident() == self._opened_in:
            return super().product(x, M)
        return super().product(x.astype(np.float16), M.astype(np.float16)).astype(x.dtype)


# Other sizes.


class KnowingArrays(Loops):
    """Remembers something by the very array that was given, and what came of it the last time."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._known: dict[int, tuple[Array, Array]] = {}

    def last(self, array: Array, result: Array) -> Array:
        """What was remembered of the array; the array is kept, so that no other has its address."""
        return self._known.setdefault(id(array), (array, result))[1]

    def remember(self, array: Array, result: Array) -> None:
        """Put what came now in the place of what was remembered."""
        self._known[id(array)] = array, result


@plant("lstm")
class RoomForTheFirstUnits(KnowingArrays):
    """Room for outputs is made once for each input array: of a wider layer over it, the units beyond stay 0."""

    def run(self, call: Call) -> tuple[Array, ...]:
        y, *states = super().run(call)
        y[:, :, self.last(call.inputs["x"], y).shape[2] :] = 0
        return (y, *states)


@plant("gru")
class WiderLayerReadAgain(KnowingArrays):
    """Outputs are kept by the input's array: a narrower layer over it gets the first units of the wider one."""

    def run(self, call: Call) -> tuple[Array, ...]:
        y, *states = super().run(call)
        kept = self.last(call.inputs["x"], y)
        if kept.shape[2] > y.shape[2]:
            return (np.array(kept[:, :, : y.shape[2]]), *states)
        self.remember(call.inputs["x"], np.array(y))
        return (y, *states)
