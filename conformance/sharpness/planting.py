"""The reference, watched: which quantities it computes, and what it gives if one of them is wrong by a little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend, Call
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.sharpness.places import CodePlace, Instructions, innermost, instructions, place_of, quantity_of
from rnnspec.conformance.sharpness.watched import Observer, watch
from rnnspec.spec import operations
from rnnspec.spec.arrays import Array


class WatchedReference(Backend):
    """The reference on arrays that an observer sees."""

    name: ClassVar[str] = "watched reference"

    def __init__(self, observer: Observer) -> None:
        super().__init__()
        self._observer = observer
        self._awake = True

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """All of the specification."""
        return tuple(operations())

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the call."""
        outputs = getattr(reference, call.operation)(**self._watched(call.inputs), **call.attributes)
        return tuple(np.array(output) for output in outputs)

    def way_back(self, call: Call, cotangents: tuple[Array, ...]) -> dict[str, Array]:
        """Gradient of every float input of the call, the way forward unseen."""
        with self._asleep():
            _, vjp = getattr(reference, f"{call.operation}_vjp")(**self._watched(call.inputs), **call.attributes)
        gradients = vjp(*(watch(np.array(cotangent), self._observe) for cotangent in cotangents))
        return {name: np.array(array) for name, array in gradients.items()}

    def _watched(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Copies of the inputs; those with floats are watched."""
        copies = {name: np.array(array) for name, array in inputs.items()}
        return {name: watch(copy, self._observe) if copy.dtype.kind in "fV" else copy for name, copy in copies.items()}

    def _observe(self, result: Array) -> None:
        if self._awake:
            self._observer(result)

    @contextmanager
    def _asleep(self) -> Iterator[None]:
        self._awake = False
        try:
            yield
        finally:
            self._awake = True


class Places:
    """Observer that notes where numbers are computed, in the order in which the places are first come to."""

    known: ClassVar[dict[Instructions, CodePlace]] = {}
    """Places that any observer came to: names take time."""

    def __init__(self) -> None:
        self.found: dict[Instructions, CodePlace] = {}

    def __call__(self, result: Array) -> None:
        """Note the place that is under way."""
        frame = innermost()
        if frame is not None and (key := instructions(frame)) not in self.found:
            if key not in self.known:
                self.known[key] = place_of(frame)
            self.found[key] = self.known[key]


class RelativeError:
    """Observer that multiplies by ``1 + error`` all that one place computes."""

    def __init__(self, place: CodePlace, error: float) -> None:
        self._instructions, self._factor = place.instructions, 1 + error

    def __call__(self, result: Array) -> None:
        """Multiply the result if it is of that place."""
        frame = innermost()
        if frame is None or (id(frame.f_code), frame.f_lasti) != self._instructions[0]:
            return
        if instructions(frame) == self._instructions:
            result *= self._factor


class RelativeErrorIn:
    """Observer that multiplies by ``1 + error`` all that an expression of the reference computes.

    `quantity` names it as `quantity_of` does: file and expression, wherever they are called from.
    """

    def __init__(self, quantity: str, error: float) -> None:
        self._quantity, self._factor = quantity, 1 + error

    def __call__(self, result: Array) -> None:
        """Multiply the result if that expression computed it."""
        frame = innermost()
        if frame is not None and quantity_of(frame.f_code, frame.f_lasti) == self._quantity:
            result *= self._factor


class RoundedToType:
    """Observer that rounds every result to a type: a right implementation that computes in that type throughout."""

    def __init__(self, dtype: str) -> None:
        self._dtype = format_of(dtype).dtype

    def __call__(self, result: Array) -> None:
        """Round the result."""
        result[...] = result.astype(self._dtype)
