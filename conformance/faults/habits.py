"""Faults of habit: how arrays lie in memory, which buffers are used again, and in which thread a call is made."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.conformance.faults.altered import Altered
from rnnspec.conformance.faults.fault import plant
from rnnspec.conformance.faults.loops import Loops
from rnnspec.spec.arrays import Array, NamedArrays


@plant("gru", "dense", "luong_decoder")
class BaseOfAViewRead(Backend):
    """Of a view of floats, the array that it is a view of is read from its beginning."""

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


@plant("rnn")
class SumsLeftInABuffer(Loops):
    """The gradient of the bias is summed in a buffer, which is not cleared where fewer numbers come than before."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._buffer = np.zeros(0)

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        found = super().gradients(call, cotangents, wanted)
        if "b" in found:
            db, before = found["b"], self._buffer
            self._buffer = db.ravel().copy()
            if before.size > db.size:
                found["b"] = db + before[: db.size].reshape(db.shape).astype(db.dtype)
        return found


@plant("lstm_cell")
class WorkspaceOfTheFirstThread(Altered):
    """The workspace is set up in the thread that opened the backend; in another it holds zeros."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._local = threading.local()
        self._local.ready = True

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        return outputs if getattr(self._local, "ready", False) else tuple(np.zeros_like(y) for y in outputs)


@plant("forget_only_lstm")
class SecondGradientOfACallHalved(Altered):
    """Who asks for the gradients of one call twice gets half of them: the tape is weighted by its readers."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._last: Call | None = None

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        again, self._last = call is self._last, call
        return {name: (d / 2).astype(d.dtype) for name, d in gradients.items()} if again else gradients
