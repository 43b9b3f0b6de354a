"""The questions about a case, and the comparison of the answers with the right results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents, Unsupported
from rnnspec.backends.words import kind_of
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.checks.whereabouts import whereabouts
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded, Expected, expect, expect_second_order
from rnnspec.spec.arrays import Array

Shape = tuple[int, ...]
Came = Sequence[Any] | Mapping[str, Any]
"""Outputs in their order, or gradients by the names of their inputs."""


class Violation(AssertionError):
    """A backend is wrong.

    `case` names the case. `asked` is the call at fault, if it is one. `quantity` names the output or the gradient at
    fault (empty where an error was due), `expected` holds the right array and the bound, `got` the backend's array.
    """

    def __init__(
        self,
        message: str,
        case: str,
        asked: Asked | None = None,
        *,
        quantity: str = "",
        expected: Bounded | None = None,
        got: Array | None = None,
        error_ratio: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.case = case
        self.asked = asked
        self.quantity = quantity
        self.expected = expected
        self.got = got
        self.error_ratio = error_ratio

    def __str__(self) -> str:
        return f"{self.message}\n  in {self.case}"


class Unsteady(Violation):
    """A backend that is wrong, and has another answer to the same call when it is asked again; `got` is the first."""


@contextmanager
def prefixed_by(words: str) -> Iterator[None]:
    """Begin the message of a violation with these words."""
    try:
        yield
    except Violation as violation:
        violation.message = words + violation.message
        raise


@contextmanager
def blamed_on(words: str, backend: Backend, case: Case) -> Iterator[None]:
    """Name the unusual form of a call at the beginning of a violation's message, unless the usual call is wrong too.

    Then the violation is that of the usual call: the form has nothing to do with it.
    """
    try:
        yield
    except Violation as violation:
        usual = case.anew()
        with suppress(OutOfRangeError, Unsupported):
            Asked(usual, usual.call, usual.cotangents).compare_all(backend)
        violation.message = words + violation.message
        raise


def shapes_of(results: Mapping[str, Bounded]) -> dict[str, Shape]:
    """The shape of each result."""
    return {name: bounded.value.shape for name, bounded in results.items()}


@dataclass(frozen=True, eq=False)
class Asked:
    """A call that is made for a case: its outputs are asked for or, with cotangents, its gradients.

    A cotangent of None is that of an unused output. `wanted` names the inputs that gradients are asked of, where not of
    all. With `directions`, the gradients are of second order. `part` names the part of the case that is asked.
    """

    case: Case
    call: Call
    cotangents: Cotangents | None = None
    wanted: tuple[str, ...] | None = None
    directions: Mapping[str, Array] | None = None
    part: str = ""

    def __str__(self) -> str:
        return f"{self.case}: {self.part}" if self.part else str(self.case)

    def of(self, backend: Backend) -> Came:
        """The backend's answer."""
        if self.cotangents is None:
            return backend.run(self.call)
        if self.directions is not None:
            return backend.second_order(self.call, self.cotangents, self.directions)
        return backend.gradients(self.call, self.cotangents, self.wanted)

    def right(self) -> Expected:
        """The right results for the call's own numbers; raise OutOfRangeError if the case's type cannot hold them."""
        dtype, seed = self.case.dtype, self.case.seed
        if self.cotangents is not None and self.directions is not None:
            expected = expect_second_order(self.call, dtype, self.cotangents, self.directions, seed)
        else:
            expected = expect(self.call, dtype, self.cotangents, seed)
        if not expected.in_range:
            raise OutOfRangeError(str(self.case))
        return expected

    def compare_all(self, backend: Backend, expected: Expected | None = None) -> float:
        """Run the call and, where there are gradients, differentiate it; compare all of it with the `expected` results.

        By default these are the right results for the call's own numbers.
        """
        back = backend.has_gradients(self.call.operation)
        outputs = replace(self, cotangents=None)
        if expected is None:
            expected = (self if back else outputs).right()
        worst = outputs.compare(expected.outputs, outputs.of(backend))
        return max(worst, self.compare(expected.gradients, self.of(backend))) if back else worst

    def compare(self, expected: Mapping[str, Bounded], got: Came) -> float:
        """Compare the answer with the expected results; return the worst error ratio or raise Violation."""
        arrays = self.named(shapes_of(expected), got)
        ratios = (self.judge(self.quantity(name), bounded, arrays[name]) for name, bounded in expected.items())
        return max(ratios, default=0.0)

    def named(self, shapes: Mapping[str, Shape], got: Came) -> dict[str, Array]:
        """The answer's arrays by name; raise Violation unless each has its shape and the right type."""
        names = ", ".join(shapes)
        if self.cotangents is None:
            if len(got) != len(shapes):
                raise self.violation(f"expected {len(shapes)} outputs ({names}), got {len(got)}")
            arrays = dict(zip(shapes, got, strict=True))
        else:
            arrays = dict(got)
            if set(arrays) != set(shapes):
                raise self.violation(f"expected gradients of {names}, got those of {', '.join(arrays)}")
        for name, shape in shapes.items():
            self.must_have_form(self.quantity(name), shape, arrays[name])
        return {name: arrays[name] for name in shapes}

    def quantity(self, name: str) -> str:
        """The name of an output, or of an input's gradient, in messages."""
        return name if self.cotangents is None else f"d{name}"

    def must_have_form(self, quantity: str, shape: Shape, got: Any) -> None:
        """Raise Violation unless `got` is an array of this shape and of the type that the quantity is to have."""
        ids = self.cotangents is None and self.call.spec.outputs_for(self.call.attributes)[quantity].kind == "ids"
        due = np.dtype(np.int64) if ids else self.float_type
        wrong = ""
        if not isinstance(got, np.ndarray):
            wrong = f"expected an array, got {kind_of(got)}"
        elif got.shape != shape:
            wrong = f"expected shape {shape}, got {got.shape}"
        elif got.dtype != due:
            wrong = f"expected {due}{'' if ids else ' like the inputs'}, got {got.dtype}"
        if wrong:
            raise self.violation(f"{quantity}: {wrong}", quantity)

    @property
    def float_type(self) -> np.dtype[Any]:
        """The type that float results are to have: the inputs', or float64 where no input has one."""
        return format_of(self.case.dtype).dtype if self.call.float_inputs else np.dtype(np.float64)

    def judge(self, quantity: str, expected: Bounded, got: Array) -> float:
        """Compare each element of an array with its bound; return the worst error ratio, at most 1, or raise Violation.

        The quantity may be one that was derived from results.
        """
        if got.size == 0:
            return 0.0
        ratios = expected.error_ratios(got, format_of(self.case.dtype).largest)
        worst = tuple(int(i) for i in np.unravel_index(int(ratios.argmax()), ratios.shape))
        ratio = float(ratios[worst])
        if ratio > 1:
            value, bound, came = expected.value[worst], expected.bound[worst], float(got[worst])
            index = ", ".join(map(str, worst))
            place = f"{quantity}[{index}]{whereabouts(self.call, quantity, worst)}" if index else quantity
            # Rounding may leave nothing of a number, and still it is one.
            due = f"{value:.9g} ± {bound:.2g}" if np.isfinite(bound) else "a finite number"
            message = f"{place}: expected {due}, got {came:.9g} (error ratio {ratio:.3g})"
            raise self.violation(message, quantity, expected=expected, got=got, error_ratio=ratio)
        return ratio

    def violation(
        self,
        message: str,
        quantity: str = "",
        *,
        expected: Bounded | None = None,
        got: Array | None = None,
        error_ratio: float | None = None,
    ) -> Violation:
        """A violation by the answer, to be raised."""
        return Violation(
            message, str(self), self, quantity=quantity, expected=expected, got=got, error_ratio=error_ratio
        )
