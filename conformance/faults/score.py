"""The suite's own score: which planted faults its checks catch, how soon, and whether they reject what is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import RandomChoices, Scope, draw_case
from rnnspec.conformance.checks import CHECKS, Check, Violation
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.variants import Variant
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.run import Profile, run_check
from rnnspec.conformance.run.result import CheckResult
from rnnspec.conformance.run.runner import checks_for
from rnnspec.conformance.run.typed import made
from rnnspec.spec import FLOAT_TYPES

SHRINKING = 60
"""Examples that may be spent on finding a smaller one, once a fault is caught."""

NEVER_ALONE: Final[Mapping[str, str]] = {
    "forms": "results of a wrong form cannot be compared, as `values` and `gradients` say too; this tells it as such",
    "unmodified": "an array changed in place shows elsewhere only where it is used again; this names the change",
    "values": "the checks after it hold their results to the reference too; it asks first, and on the plainest cases",
    "gradients": "the checks after it hold their gradients to the reference too; it asks first, on the plainest cases",
    "edges": "`values` meets empty calls and least sizes too, with other choices; where shapes are few, it does not",
    "functions": "`values` and `gradients` meet the rarer functions with some seeds; this asks for each in every run",
    "attributes": "`batch` and `callers` make a second call too; this says which attribute is ignored",
    "zeros": "`special_values` finds the NaN of a zero vector too; this asks for its right value",
    "split": "`reverse` sees what is kept from an earlier call too; this asks for the state that is handed on",
    "best_path": "`ties` asks for one of the best paths, and is but a SHOULD; that any best path comes is a MUST",
    "sums_to_one": "a sum is as exact as its terms, all of which `values` holds to their bounds before",
}
"""The reasons for checks that alone catch no planted fault."""


@dataclass(frozen=True)
class FaultScore:
    """The score of one fault.

    It is caught if it is at every seed; `missed_seeds` are those at which it is not. The rest tells of the first seed
    at which it is caught: `check` is the first check that caught it, at its `cases`-th case; `case` is the smallest
    found, and `message` tells what was wrong there. `also` is the next check that catches it too, "" if none does, and
    None if that was not asked.
    An implementation that crashes is not caught: the planted fault is a wrong number, not a crash.
    """

    name: str
    operation: str
    about: str
    caught: bool
    check: str
    cases: int
    case: str
    message: str
    also: str | None = None
    missed_seeds: tuple[int, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether one check catches it and no other does, as far as that was asked."""
        return self.caught and self.also == ""


@dataclass(frozen=True)
class CheckScore:
    """How many faults a check was the first to catch, and how many of those no other check catches, if it was asked."""

    id: str
    first: int
    alone: int | None


@dataclass(frozen=True)
class VariantScore:
    """How many of its cases were rejected (none may be), the largest error ratio, and the first rejection's message."""

    name: str
    operation: str
    rejected: int
    cases: int
    worst_error_ratio: float
    message: str

    def to_json(self) -> dict[str, Any]:
        """As plain data; no ratio where it is infinite."""
        finite = math.isfinite(self.worst_error_ratio)
        return {**asdict(self), "worst_error_ratio": self.worst_error_ratio if finite else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VariantScore:
        """From plain data."""
        score = made(cls, {**data, "worst_error_ratio": data["worst_error_ratio"] or 0.0})
        return score if data["worst_error_ratio"] is not None else replace(score, worst_error_ratio=math.inf)


@dataclass
class Counting:
    """Counts the cases of a check up to the first that fails, and then allows only so many for shrinking.

    `failure` is that of the last case that failed: of the smallest, once shrinking has ended.
    """

    check: Check
    cases: int = 0
    failure: Violation | BackendCrashError | None = None
    _after: int = 0
    _failing: set[str] = field(default_factory=set)

    def examine(self, backend: Backend, example: Any) -> float:
        """Count and ask. Once shrinking has had its share, only what failed before still fails."""
        name = _name(example)
        if self._failing:
            self._after += 1
            if self._after > SHRINKING and name not in self._failing:
                return 0.0
        first = not self._failing
        try:
            ratio = self.check.examine(backend, example)
        except (Violation, BackendCrashError) as failure:
            self.cases += first
            self.failure = failure
            self._failing.add(name)
            raise
        self.cases += first
        return ratio


def score_fault(
    fault: Fault,
    profile: Profile,
    checks: Sequence[Check] = CHECKS,
    shrink: bool = True,
    exclusive: bool = False,
    seed: int = 0,
) -> FaultScore:
    """Run the checks of a fault's operation in order, up to the first that catches it.

    Without `shrink`, the case is the first that failed, not the smallest. If `exclusive`, the later checks are asked
    too, up to the first that catches it: those before did not.
    """
    asked = checks_for(fault.operation, tuple(checks))
    backend = fault.implementation()  # the checks share what is planned for it and what it answers, as in `validate`
    for place, check in enumerate(asked):
        counting, result = _asked(check, backend, fault, profile, seed, shrink)
        if counting.failure is None:
            continue
        caught = isinstance(counting.failure, Violation)
        case = counting.failure.case if isinstance(counting.failure, Violation) else ""
        also = None
        if exclusive:
            later = (
                other for other in asked[place + 1 :] if _asked(other, backend, fault, profile, seed, False)[0].failure
            )
            also = next((other.id for other in later), "")
        missed = () if caught else (seed,)
        return FaultScore(
            fault.name, fault.operation, fault.about, caught, check.id, counting.cases, case, result.message, also,
            missed,
        )  # fmt: skip
    return FaultScore(
        fault.name, fault.operation, fault.about, False, "", 0, "", "no check caught it", missed_seeds=(seed,)
    )


def over_seeds(scores: Sequence[FaultScore]) -> FaultScore:
    """The score of one fault at several seeds, from the scores at each, in their order."""
    missed = tuple(seed for score in scores for seed in score.missed_seeds)
    told = next((score for score in scores if score.caught), scores[0])
    first_missed = next((score for score in scores if not score.caught), None)
    message = told.message if first_missed is None else first_missed.message
    return replace(told, caught=not missed, missed_seeds=missed, message=message)


def variant_over_seeds(scores: Sequence[VariantScore]) -> VariantScore:
    """The score of one variant at several seeds, from the scores at each."""
    return replace(
        scores[0],
        rejected=sum(score.rejected for score in scores),
        cases=sum(score.cases for score in scores),
        worst_error_ratio=max(score.worst_error_ratio for score in scores),
        message=next((score.message for score in scores if score.message), ""),
    )


def _asked(
    check: Check, backend: Backend, fault: Fault, profile: Profile, seed: int, shrink: bool
) -> tuple[Counting, CheckResult]:
    """Run a check of a fault."""
    counting = Counting(check)
    counted = check.examined_by(counting.examine)
    result = run_check(counted, backend, fault.operation, fault.dtype, profile, seed_number=seed, shrink=shrink)
    return counting, result


def by_check(scores: Sequence[FaultScore], checks: Sequence[Check] = CHECKS) -> list[CheckScore]:
    """Sum the faults up by the check that caught them first."""
    asked = any(score.also is not None for score in scores)
    rows = []
    for check in checks:
        first = [score for score in scores if score.caught and score.check == check.id]
        rows.append(CheckScore(check.id, len(first), sum(score.alone for score in first) if asked else None))
    return rows


def run_variant(
    variant: Variant, operation: str, cases: int, seed: int = 0, report: Callable[[], None] = lambda: None
) -> VariantScore:
    """Judge a right variant's values and gradients by the reference, the types taking turns.

    `report` is called after each case.
    """
    choices = RandomChoices(np.random.default_rng(seed))
    implementation = variant.implementation()
    rejected, skipped, worst, message = 0, 0, 0.0, ""
    for number in range(cases):
        case = draw_case(choices, Scope(operation, FLOAT_TYPES[number % len(FLOAT_TYPES)]))
        try:
            worst = max(worst, *(check.examine(implementation, case) for check in (Values(), Gradients())))
        except OutOfRangeError:
            skipped += 1
        except Violation as violation:
            rejected += 1
            worst = max(worst, violation.error_ratio or np.inf)
            message = message or str(violation)
        report()
    return VariantScore(variant.name, operation, rejected, cases - skipped, float(worst), message)


def _name(example: Any) -> str:
    """The name of an example: all of it but the arrays."""
    parts = example if isinstance(example, tuple) else (example,)
    return " | ".join(str(part) for part in parts if not isinstance(part, Call))
