"""Check ``drift``: errors that are small in every call, and the same in all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnspec.backends import Backend, Unsupported
from rnnspec.conformance.cases import Case, Deck
from rnnspec.conformance.cases.regimes import OF_THEIR_OWN
from rnnspec.conformance.checks.asked import Asked, Violation, shapes_of
from rnnspec.conformance.checks.check import Check, differentiates
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.judge import drift
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec.arrays import Array


class Drift(Check):
    """All elements of all planned calls, judged together."""

    id = "drift"
    about = "of all elements of all calls together, none are too large or too small by more than rounding explains"
    why = "a small error everywhere stays within each bound, and rounding, which has no such slope, averages out"
    by_case = False

    def planned(self, deck: Deck, count: int) -> Iterator[Deck]:
        """The whole deck is one example."""
        if deck.cases:
            yield deck

    def examine(self, backend: Backend, example: Deck) -> float:
        """Add up all errors, and how far rounding explains them."""
        scope = example.scope
        found: dict[str, drift.Slopes] = {}
        unjudged: Exception | None = None
        for case in example.cases:
            if case.regime in OF_THEIR_OWN:  # a few large numbers would stand for all others
                continue
            try:
                for quantity, bounded, got in results_of(backend, case):
                    if bounded.perturbed is not None and _is_within(case, bounded, got):
                        found.setdefault(quantity, drift.Slopes(scope.dtype)).add(bounded, got)
            except (Unsupported, OutOfRangeError, BackendCrashError) as reason:  # `values` tells of a crash
                unjudged = reason
        if unjudged is not None and not found:  # nothing was answered, or nothing within the type
            raise unjudged
        findings = drift.judge_drift(found)
        if findings and findings[0].ratio > 1:
            worst = findings[0]
            raise Violation(
                worst.message, f"{scope.operation} {scope.dtype}, the whole deck", quantity=worst.quantity,
                error_ratio=worst.ratio,
            )  # fmt: skip
        return max((finding.ratio for finding in findings), default=0.0)


def results_of(backend: Backend, case: Case) -> Iterator[tuple[str, Bounded, Array]]:
    """Every output and gradient of a case by name, with what is right and what came."""
    back = differentiates(backend, case)
    expected = expected_of(case, both=back)
    yield from _answer(backend, Asked(case, case.call), expected.outputs)
    if back:
        due = expected_of(case, gradients=True).gradients
        yield from _answer(backend, Asked(case, case.call, case.cotangents), due)


def _answer(backend: Backend, asked: Asked, due: Mapping[str, Bounded]) -> Iterator[tuple[str, Bounded, Array]]:
    arrays = asked.named(shapes_of(due), asked.of(backend))
    return ((asked.quantity(name), due[name], got) for name, got in arrays.items())


def _is_within(case: Case, bounded: Bounded, got: Array) -> bool:
    """Whether each element is right by itself; ``values`` and ``gradients`` find the others."""
    ratios = bounded.error_ratios(got, format_of(case.dtype).largest)
    return bool(ratios.max(initial=0.0) <= 1)
