"""What a check is, and what a violation says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from hypothesis import strategies as st

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.conformance.cases import Case, Deck, Scope, cases, simpler_cases
from rnnspec.conformance.cases.case import Steps
from rnnspec.conformance.cases.support import PROBE_SIZES, everything
from rnnspec.conformance.checks.whereabouts import whereabouts
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded, Expected, expect, expect_both
from rnnspec.spec import Operation, operation, operations
from rnnspec.spec.arrays import Array

Shape = tuple[int, ...]


class Violation(AssertionError):
    """A backend is wrong on a call.

    `quantity` names the output or the gradient at fault (empty where an error was due), `expected` holds what is right
    and the bound, `got` what came. Of `cotangents`, None is that of an output that was not used; `wanted` names the
    inputs that gradients were asked of, where not of all; with `directions`, the gradient is of second order.
    """

    def __init__(
        self,
        message: str,
        case: str,
        call: Call | None = None,
        *,
        quantity: str = "",
        cotangents: Cotangents | None = None,
        wanted: tuple[str, ...] | None = None,
        directions: Mapping[str, Array] | None = None,
        expected: Bounded | None = None,
        got: Array | None = None,
        error_ratio: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.case = case
        self.call = call
        self.quantity = quantity
        self.cotangents = cotangents
        self.wanted = wanted
        self.directions = directions
        self.expected = expected
        self.got = got
        self.error_ratio = error_ratio

    def __str__(self) -> str:
        return f"{self.message}\n  in {self.case}"


class Check(ABC):
    """One question that is asked of a backend about one operation in one type."""

    id: ClassVar[str]
    level: ClassVar[Literal["MUST", "SHOULD"]] = "MUST"
    about: ClassVar[str]
    """The question: a statement that holds for every right implementation."""
    why: ClassVar[str]
    """The reason for the check, a clause that continues `about` after the word "as"."""
    law: ClassVar[str] = ""
    """The law that an operation must list for this check to apply to it; empty: it applies to all."""
    calls: ClassVar[int] = 1
    """About how many times the calls of other checks an example makes: it gets so many times fewer examples."""
    by_case: ClassVar[bool] = True
    """Whether each example is a case of its own; else the deck as a whole is the one example."""
    needs_gradients: ClassVar[bool] = False
    """Whether there is nothing to ask of a backend without gradients."""
    needs_second_order: ClassVar[bool] = False
    """Whether there is nothing to ask of a backend without gradients of gradients."""

    @classmethod
    def sentence(cls) -> str:
        """What is asked, and what for."""
        return f"{cls.about}, as {cls.why}"

    def applies_to(self, op: Operation) -> bool:
        """Whether there is anything to ask of this operation."""
        return not self.law or self.law in op.laws

    def operations(self) -> list[str]:
        """Names of the operations that it asks something of."""
        return [name for name, op in operations().items() if self.applies_to(op)]

    whole_deck: ClassVar[bool] = False
    """Whether every planned case is asked: the check needs no call that others do not make too."""

    def of(self, case: Case, scope: Scope) -> Any | None:
        """What `examine` takes, made of a case; None if there is nothing to ask of it.

        Whatever is to be chosen beyond the case follows from the case's seed.
        """
        return case

    def planned(self, deck: Deck, count: int) -> Iterator[Any]:
        """What is asked of a deck: of its covering array so many examples, spread over it; or of every case."""
        if self.whole_deck:
            yield from self._made(deck.cases, deck.scope)
        else:
            yield from islice(self._made(deck.spread(), deck.scope), count)

    def _made(self, cases: Iterable[Case], scope: Scope) -> Iterator[Any]:
        return (example for case in cases if (example := self.of(case, scope)) is not None)

    def simpler(self, example: Any) -> st.SearchStrategy[Any]:
        """Strategy for examples like one that failed, at most as large, and simpler in some choices."""
        case, *more = parts_of(example)
        return simpler_cases(case).map(lambda other: self.like(example, other) if more else other)

    def like(self, example: tuple[Any, ...], case: Case) -> Any:
        """Return the example with another case."""
        return (case, *example[1:])

    def examples(self, scope: Scope) -> st.SearchStrategy[Any]:
        """Strategy for examples beyond the deck."""
        return cases(scope).map(lambda case: self.of(case, scope)).filter(lambda example: example is not None)

    def forced(self, scope: Scope) -> Sequence[Any]:
        """What is asked in any case, before the deck; in float32, or else in the backend's first type."""
        return ()

    @abstractmethod
    def examine(self, backend: Backend, example: Any) -> float:
        """Ask once; return the worst error ratio, or raise Violation.

        Unsupported passes through, and OutOfRangeError says that the example was not one to judge.
        """


def parts_of(example: Any) -> tuple[Any, ...]:
    """What an example consists of: its case first, or what holds its cases."""
    return example if isinstance(example, tuple) else (example,)


def cases_of(example: Any) -> list[Case]:
    """The cases of an example."""
    return [part for part in parts_of(example) if isinstance(part, Case)]


def usual_case(scope: Scope) -> Case:
    """A small case: all attributes at their defaults, or as the backend has them, and lengths where it takes them."""
    op = operation(scope.operation)
    support = scope.support or everything(scope.operation)
    steps: Steps = "lengths" if op.has_steps and "lengths" in support.steps else "all"
    return Case(scope.operation, scope.dtype, PROBE_SIZES, support.defaults(), steps=steps)


@runtime_checkable
class Remembering(Protocol):
    """A backend of which each planned call is made once."""

    def kept(self, case: Case) -> Mapping[str, Array]:
        """What came of a planned case's call, by name, as it was when it came."""


def differentiates(backend: Backend, case: Case) -> bool:
    """Whether a backend is asked for the gradients of a case."""
    return case.differentiated and backend.has_gradients(case.operation)


class OutOfRangeError(Exception):
    """The case's type cannot hold its results: it shows nothing about anyone, and is not judged."""


def expected_of(case: Case, *, gradients: bool = False, both: bool = False) -> Expected:
    """What is right for a case, worked out once; raise OutOfRangeError if its type cannot hold the results.

    With `both`, gradients are worked out too, as they will be asked for.
    """
    known = case.worked_out
    if both and "gradients" not in known:
        known["outputs"], known["gradients"] = _expected(case, both=True)
    name = "gradients" if gradients else "outputs"
    if name not in known:
        known[name] = _expected(case, both=gradients)[-1]
    expected: Expected = known[name]
    if not expected.in_range:
        raise OutOfRangeError(str(case))
    return expected


def _expected(case: Case, *, both: bool) -> tuple[Expected, ...]:
    """What is right without and, if both are wanted, with gradients, for what the backend was given at first."""
    call = case.call_of(case.judged) if case.sampled else case.given
    if not both:
        found: tuple[Expected, ...] = (expect(call, case.dtype, None, case.seed),)
    else:
        cotangents = case.given_cotangents
        if case.sampled:
            cotangents = tuple(cotangent[case.judged] for cotangent in cotangents)
        found = expect_both(call, case.dtype, cotangents, case.seed)
    return tuple(_of_whole_batch(case, expected) for expected in found) if case.sampled else found


def _of_whole_batch(case: Case, sample: Expected) -> Expected:
    """What is known of a batch of which a sample is judged: of the other sequences, that gradients are 0."""
    unjudged, none = np.inf, sample.format.smallest_normal
    outputs = {name: _spread_out(bounded, case, unjudged) for name, bounded in sample.outputs.items()}
    gradients = {
        name: _spread_out(bounded, case, none) if case.items[name].per_sequence else bounded
        for name, bounded in sample.gradients.items()
    }
    return replace(sample, outputs=outputs, gradients=gradients)


def _spread_out(bounded: Bounded, case: Case, bound: float) -> Bounded:
    """The results of the judged sequences where these stand in the batch; 0 to within `bound` elsewhere."""
    shape = (case.sizes["B"], *bounded.value.shape[1:])
    value, bounds = np.zeros(shape, bounded.value.dtype), np.full(shape, bound)
    value[case.judged], bounds[case.judged] = bounded.value, bounded.bound
    return Bounded(value, bounds)


def compare_outputs(case: Case, call: Call, expected: Mapping[str, Bounded], got: Sequence[Any]) -> float:
    """Hold all outputs against what is right; return the worst error ratio or raise Violation."""
    compare_forms(case, call, expected, got)
    return max(judge(case, call, name, expected[name], array) for name, array in zip(expected, got, strict=True))


def compare_forms(case: Case, call: Call, expected: Mapping[str, Bounded], got: Sequence[Any]) -> None:
    """Raise Violation unless there are as many outputs as there should be, each of the right shape and type."""
    must_have_outputs(case, call, {name: bounded.value.shape for name, bounded in expected.items()}, got)


def must_have_outputs(case: Case, call: Call, shapes: Mapping[str, Shape], got: Sequence[Any]) -> None:
    """Raise Violation unless there is an output for each of these shapes, of that shape and of the right type."""
    if len(got) != len(shapes):
        names = ", ".join(shapes)
        raise Violation(f"expected {len(shapes)} outputs ({names}), got {len(got)}", str(case), call)
    kinds = call.spec.outputs_for(call.attributes)
    for (name, shape), array in zip(shapes.items(), got, strict=True):
        must_have_form(case, call, name, shape, array, kind=kinds[name].kind)


def compare_gradients(
    case: Case,
    call: Call,
    cotangents: Cotangents,
    expected: Mapping[str, Bounded],
    got: Mapping[str, Any],
) -> float:
    """Hold the gradients of all float inputs against what is right; return the worst error ratio."""
    compare_gradient_forms(case, call, cotangents, expected, got)
    return max((judge(case, call, f"d{name}", expected[name], got[name], cotangents) for name in expected), default=0.0)


def compare_gradient_forms(
    case: Case,
    call: Call,
    cotangents: Cotangents,
    expected: Mapping[str, Bounded],
    got: Mapping[str, Any],
) -> None:
    """Raise Violation unless there is a gradient of every float input, each of the right shape and type."""
    must_have_gradients(case, call, cotangents, {name: bounded.value.shape for name, bounded in expected.items()}, got)


def must_have_gradients(
    case: Case, call: Call, cotangents: Cotangents, shapes: Mapping[str, Shape], got: Mapping[str, Any]
) -> None:
    """Raise Violation unless there is a gradient for each of these shapes, of that shape and of the right type."""
    if set(got) != set(shapes):
        wanted, came = ", ".join(shapes), ", ".join(got)
        raise Violation(f"expected gradients of {wanted}, got those of {came}", str(case), call, cotangents=cotangents)
    for name, shape in shapes.items():
        must_have_form(case, call, f"d{name}", shape, got[name], cotangents)


def compare_both(backend: Backend, case: Case, call: Call, cotangents: tuple[Array, ...] | None = None) -> float:
    """Run a call that has the case's numbers and, where there are gradients, differentiate it; hold all of it."""
    expected = expected_of(case, gradients=backend.has_gradients(call.operation))
    return compare_all(backend, case, call, expected, case.cotangents if cotangents is None else cotangents)


def compare_all(backend: Backend, case: Case, call: Call, expected: Expected, cotangents: tuple[Array, ...]) -> float:
    """Run a call and, where there are gradients, differentiate it; hold all of it against what is right."""
    worst = compare_outputs(case, call, expected.outputs, backend.run(call))
    if not backend.has_gradients(call.operation):
        return worst
    gradients = backend.gradients(call, cotangents)
    return max(worst, compare_gradients(case, call, cotangents, expected.gradients, gradients))


def type_of(case: Case, call: Call) -> np.dtype[Any]:
    """The type that float results are to have: the inputs', or float64 where no input has one."""
    return format_of(case.dtype).dtype if call.float_inputs else np.dtype(np.float64)


def compare(
    case: Case,
    call: Call,
    quantity: str,
    expected: Bounded,
    got: Any,
    cotangents: Cotangents | None = None,
    kind: str = "float",
) -> float:
    """Hold one array against what is right: type, shape, and every element within its bound."""
    must_have_form(case, call, quantity, expected.value.shape, got, cotangents, kind)
    return judge(case, call, quantity, expected, got, cotangents)


def must_have_form(
    case: Case,
    call: Call,
    quantity: str,
    shape: Shape,
    got: Any,
    cotangents: Cotangents | None = None,
    kind: str = "float",
) -> None:
    """Raise Violation unless `got` is an array of this shape and of the type that its kind is to have."""
    wrong = ""
    if not isinstance(got, np.ndarray):
        wrong = f"expected an array, got {type(got).__name__}"
    elif got.shape != shape:
        wrong = f"expected shape {shape}, got {got.shape}"
    elif got.dtype != (due := np.dtype(np.int64) if kind == "ids" else type_of(case, call)):
        wrong = f"expected {due}{'' if kind == 'ids' else ' like the inputs'}, got {got.dtype}"
    if wrong:
        raise Violation(f"{quantity}: {wrong}", str(case), call, quantity=quantity, cotangents=cotangents)


def judge(
    case: Case,
    call: Call,
    quantity: str,
    expected: Bounded,
    got: Array,
    cotangents: Cotangents | None = None,
) -> float:
    """Hold every element of an array against its bound; return the worst error ratio, at most 1, or raise Violation."""
    if got.size == 0:
        return 0.0
    ratios = expected.error_ratios(got, format_of(case.dtype).largest)
    worst = tuple(int(i) for i in np.unravel_index(int(ratios.argmax()), ratios.shape))
    ratio = float(ratios[worst])
    if ratio > 1:
        value, bound, came = expected.value[worst], expected.bound[worst], float(got[worst])
        index = ", ".join(map(str, worst))
        place = f"{quantity}[{index}]{whereabouts(call, quantity, worst)}" if index else quantity
        message = f"{place}: expected {value:.9g} ± {bound:.2g}, got {came:.9g} (error ratio {ratio:.3g})"
        raise Violation(
            message, str(case), call,
            quantity=quantity, cotangents=cotangents, expected=expected, got=got, error_ratio=ratio,
        )  # fmt: skip
    return ratio
