"""Faults of memory that is written to: the caller's own arrays, results, and buffers that are used again."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from collections.abc import Collection

import numpy as np

from rnnspec.backends import Call, Cotangents
from rnnspec.conformance.faults.altered import Other
from rnnspec.conformance.faults.fault import LAYERS, plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays


@plant(*LAYERS)
class PaddingClearedInPlace(Loops):
    """The padding is set to 0 in the caller's own array."""

    def to_native(self, array: Array) -> Array:
        return array

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        given = super().admit(operation, inputs, attributes)
        inputs["x"][~self.valid_steps(inputs["x"], inputs.get("lengths"), inputs.get("mask"), given)] = 0
        return given


@plant(*LAYERS)
class CotangentsUsedUp(Loops):
    """The gradient of the outputs is added to in the caller's own array on the way back."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        found = super().gradients(call, cotangents, wanted)
        for cotangent in cotangents:
            if cotangent is not None:
                cotangent += 1
        return found


@plant(*LAYERS)
class BufferUsedAgain(Other):
    """Outputs are views of memory that the next call with outputs of these shapes writes to."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._memory: dict[tuple[int, tuple[int, ...], str], Array] = {}

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        keys = [(number, output.shape, output.dtype.name) for number, output in enumerate(outputs)]
        kept = tuple(self._memory.setdefault(key, output) for key, output in zip(keys, outputs, strict=True))
        for memory, output in zip(kept, outputs, strict=True):
            memory[...] = output
        return kept


@plant("rnn")
class SumsLeftInABuffer(Other):
    """The gradient of the bias is summed in a buffer, which is not cleared where fewer numbers come than before."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._buffer = np.zeros(0)

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        if "b" not in gradients:
            return gradients
        db, before = gradients["b"], self._buffer
        self._buffer = db.ravel().copy()
        left = before[: db.size].reshape(db.shape).astype(db.dtype) if before.size > db.size else 0
        return {**gradients, "b": db + left}
