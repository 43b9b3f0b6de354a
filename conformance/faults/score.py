"""The suite's own score: which planted faults its checks catch, how soon, and whether they reject what is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import RandomChoices, Scope, draw_case
from rnnspec.conformance.checks import CHECKS, Check, Violation
from rnnspec.conformance.checks.check import OutOfRangeError
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.variants import Variant
from rnnspec.conformance.run import Profile, Verdict, run_check
from rnnspec.conformance.run.guard import BackendCrashError
from rnnspec.conformance.run.runner import checks_for
from rnnspec.spec import FLOAT_TYPES, Operation

SHRINKING = 60
"""Examples that may be spent on finding a smaller one, once a fault is caught."""


@dataclass(frozen=True)
class FaultScore:
    """What became of one fault.

    `check` is the first check that caught it, at its `cases`-th case; `message` tells the smallest case found. An
    implementation that crashes is not caught: what was planted is a wrong number, not a crash.
    """

    name: str
    operation: str
    about: str
    caught: bool
    check: str
    cases: int
    message: str

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


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


@dataclass
class Counting(Check):
    """A check that counts the cases up to the first that fails, and then allows only so many for shrinking."""

    check: Check
    cases: int = 0
    _after: int = 0
    _failing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.id, self.level, self.about, self.law, self.calls = (  # type: ignore[misc]  # it stands for the check it counts
            self.check.id, self.check.level, self.check.about, self.check.law, self.check.calls,
        )  # fmt: skip

    def applies_to(self, op: Operation) -> bool:
        """Whether the counted check does."""
        return self.check.applies_to(op)

    def examples(self, scope: Scope) -> st.SearchStrategy[Any] | None:
        """Those of the counted check."""
        return self.check.examples(scope)

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
        except (Violation, BackendCrashError):
            self.cases += first
            self._failing.add(name)
            raise
        self.cases += first
        return ratio


def score_fault(fault: Fault, profile: Profile, checks: Sequence[Check] = CHECKS, shrink: bool = True) -> FaultScore:
    """Run the checks of a fault's operation in order, up to the first that catches it.

    Without `shrink`, the message tells the first case that failed, not the smallest.
    """
    for check in checks_for(fault.operation, tuple(checks)):
        counting = Counting(check)
        result = run_check(counting, fault.implementation(), fault.operation, fault.dtype, profile, shrink=shrink)
        if result.verdict.bad:
            caught = result.verdict is Verdict.VIOLATES
            return FaultScore(
                fault.name, fault.operation, fault.about, caught, check.id, counting.cases, result.message
            )
    return FaultScore(fault.name, fault.operation, fault.about, False, "", 0, "no check caught it")


def run_variant(
    variant: Variant, operation: str, cases: int, seed: int = 0, report: Callable[[], None] = lambda: None
) -> VariantScore:
    """Hold a right variant's values and gradients against the reference, the types taking turns.

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
    """What tells an example from others: all of it but the arrays."""
    parts = example if isinstance(example, tuple) else (example,)
    return " | ".join(str(part) for part in parts if not isinstance(part, Call))
