"""The reference on watched arrays, and observers that find quantities, plant errors in them, or round them."""

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
    """The reference on arrays whose operations an observer sees."""

    name: ClassVar[str] = "watched reference"

    def __init__(self, observer: Observer) -> None:
        super().__init__()
        self._observer = observer
        self._awake = True

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """Return all operations of the specification."""
        return tuple(operations())

    def run(self, call: Call) -> tuple[Array, ...]:
        """Return the outputs of the call."""
        outputs = getattr(reference, call.operation)(**self._watched(call.inputs), **call.attributes)
        return tuple(np.array(output) for output in outputs)

    def way_back(self, call: Call, cotangents: tuple[Array, ...]) -> dict[str, Array]:
        """Return the gradient of every float input; the observer sees only the backward pass."""
        with self._asleep():
            _, vjp = getattr(reference, f"{call.operation}_vjp")(**self._watched(call.inputs), **call.attributes)
        gradients = vjp(*(watch(np.array(cotangent), self._observe) for cotangent in cotangents))
        return {name: np.array(array) for name, array in gradients.items()}

    def _watched(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Copies of the inputs, with float arrays watched."""
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
    """Observer that records the places at which numbers are computed, in the order of their first use."""

    known: ClassVar[dict[Instructions, CodePlace]] = {}
    """Places of all observers, since making their names takes time."""

    def __init__(self) -> None:
        self.found: dict[Instructions, CodePlace] = {}

    def __call__(self, result: Array) -> None:
        """Record the running place."""
        frame = innermost()
        if frame is not None and (key := instructions(frame)) not in self.found:
            if key not in self.known:
                self.known[key] = place_of(frame)
            self.found[key] = self.known[key]


class RelativeError:
    """Observer that multiplies all results of one place by ``1 + error``."""

    def __init__(self, place: CodePlace, error: float) -> None:
        self._instructions, self._factor = place.instructions, 1 + error

    def __call__(self, result: Array) -> None:
        """Multiply the result if that place computes it."""
        frame = innermost()
        if frame is None or (id(frame.f_code), frame.f_lasti) != self._instructions[0]:
            return
        if instructions(frame) == self._instructions:
            result *= self._factor


class RelativeErrorIn:
    """Observer that multiplies all results of an expression of the reference by ``1 + error``.

    `quantity` has the form of `quantity_of`: file and expression, the same for all calls that lead to them.
    """

    def __init__(self, quantity: str, error: float) -> None:
        self._quantity, self._factor = quantity, 1 + error

    def __call__(self, result: Array) -> None:
        """Multiply the result if that expression computes it."""
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
