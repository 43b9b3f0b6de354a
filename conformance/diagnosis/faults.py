"""All faults of a backend in one operation: each with its cause, its suspects and the smallest case that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.check import cases_of
from rnnspec.conformance.diagnosis.causes import Cause, cause_of, enlarged, numbers_gone, simplest
from rnnspec.conformance.diagnosis.oracle import (
    LARGEST,
    Clock,
    Failure,
    Oracle,
    OutOfTimeError,
    Shows,
    same_kind,
    simple_first,
    size_of,
)
from rnnspec.conformance.diagnosis.suspects import Searcher, Suspect
from rnnspec.conformance.edits.single import EditedPart
from rnnspec.conformance.run.expected import ExpectedFailure

SECONDS: Final = 15.0
"""The time that the diagnosis of one operation may take."""

_MOST_FAULTS: Final = 8
_PRECISE: Final = ("float64", "float32", "float16", "bfloat16")
_PARTS: Final[tuple[EditedPart, ...]] = ("values", "gradients")
_PROBED: Final = 6
"""Planned cases of each kind, failing and right, against which a suspect is held."""


@dataclass(frozen=True)
class Failed:
    """A check that found something wrong, and the example at which it did."""

    check: Check
    dtype: str
    example: Any
    failure: Failure


@dataclass
class Fault:
    """One fault of an operation."""

    operation: str
    dtypes: list[str]
    part: str
    """What is wrong: ``values``, ``gradients``, or the name of the check that alone finds it."""

    cause: Cause
    suspects: list[Suspect]
    case: Case
    failure: Failure
    checks: list[str] = field(default_factory=list)


class Diagnosis:
    """Finds the faults of one operation of a backend, from the checks that failed and the planned cases."""

    def __init__(
        self,
        backend: Backend,
        operation: str,
        planned: Sequence[Case],
        known: tuple[ExpectedFailure, ...] = (),
        seconds: float = SECONDS,
    ) -> None:
        self.clock = Clock(seconds)
        self.oracle = Oracle(backend, known, self.clock)
        self.searcher = Searcher(operation, self.oracle, self.clock)
        self.operation = operation
        self.planned = [case for case in planned if size_of(case) <= LARGEST]
        self.faults: list[Fault] = []
        self.known = Suspect()

    def find(self, failed: Sequence[Failed]) -> list[Fault]:
        """Return the faults that these failures show, and those that they hide."""
        try:
            for part in _PARTS:
                self._of_results(part, failed)
            self._of_checks(failed)
        except OutOfTimeError:
            pass
        for one in failed:
            if not any(one.check.id in fault.checks for fault in self.faults):
                self._assign(one)
        return self.faults

    # Faults of results.

    def _of_results(self, part: EditedPart, failed: Sequence[Failed]) -> None:
        dtypes = {one.dtype for one in failed}
        dtype = next((name for name in _PRECISE if name in dtypes), None)
        if dtype is None:
            return
        for name in (dtype, *(other for other in _PRECISE if other in dtypes - {dtype})):
            while len(self.faults) < _MOST_FAULTS:
                fault = self._next(part, self._failing(part, name, failed))
                if fault is None:
                    break
                self.faults.append(fault)

    def _cases(self, dtype: str, failed: Sequence[Failed]) -> list[Case]:
        """Cases to look at in a type: those that failed, and all that are planned."""
        own = [case for one in failed if one.dtype == dtype for case in cases_of(one.example)]
        planned = (case if case.dtype == dtype else replace(case, dtype=dtype) for case in self.planned)
        unique = {str(case): case for case in (*own, *planned)}
        return list(unique.values())

    def _failing(self, part: EditedPart, dtype: str, failed: Sequence[Failed]) -> list[Case]:
        """Cases whose results are wrong, and are not explained by the faults that were found."""
        shows = self._shows(part)
        found = [case for case in self._cases(dtype, failed) if shows(case) is not None]
        return simple_first(found)

    def _shows(self, part: EditedPart, like: Failure | None = None) -> Shows:
        def shows(case: Case) -> Failure | None:
            if part == "gradients" and (not case.spec.differentiable or self.oracle.wrong(case, "values")):
                return None
            failure = self.oracle.wrong(case, part)
            if failure is None or (like is not None and not same_kind(failure, like)):
                return None
            return None if self._is_explained(case, part) else failure

        return shows

    def _is_explained(self, case: Case, part: EditedPart) -> bool:
        if any(fault.part == part and not fault.suspects and fault.cause.holds(case) for fault in self.faults):
            return True
        return bool(self.known) and self.searcher.gives(self.known, case, part)

    def _next(self, part: EditedPart, failing: Sequence[Case]) -> Fault | None:
        if not failing:
            return None
        first = self._shows(part)(failing[0])
        if first is None:
            return None
        shows = self._shows(part, first)
        case = simplest(failing[0], shows)
        if shows(case) is None:  # results change from call to call
            case = failing[0]
        cause = cause_of(case, shows)
        suspects: list[Suspect] = []
        if isinstance(first, Violation):
            with suppress(OutOfTimeError):
                suspects = self._suspects(case, part, failing, cause, shows)
        smallest, failure = case, shows(case) or first
        with suppress(OutOfTimeError):
            smallest = numbers_gone(case, shows)
            failure = shows(smallest) or failure
        if suspects:
            self.known = self.known + suspects[0]
        return Fault(self.operation, [case.dtype], part, cause, suspects, smallest, failure)

    def _suspects(
        self, case: Case, part: EditedPart, failing: Sequence[Case], cause: Cause, shows: Shows
    ) -> list[Suspect]:
        rich = enlarged(case, shows)
        small = (
            replace(rich, sizes={**rich.sizes, **{key: 1 for key in ("B",) if key in rich.sizes}})
            if rich.steps == "all"
            else rich
        )
        alike = replace(rich, sizes={symbol: max(2, size) for symbol, size in rich.sizes.items()})
        more = [replace(one, seed=seed) for seed in range(2) for one in (rich, alike)]
        explained = [one for one in failing if cause.holds(one)][:_PROBED]
        right = [one for one in self._cases(case.dtype, ()) if shows(one) is None][:_PROBED]
        cases = {str(one): one for one in (small, rich, *more, case, *explained, *right)}
        return self.searcher.find(list(cases.values()), part, self.known)

    # Faults that only one check sees.

    def _of_checks(self, failed: Sequence[Failed]) -> None:
        for one in failed:
            if one.check.whole_deck or one.check.id in ("drift",):
                continue
            cases = cases_of(one.example)
            if not cases or any(self._plainly_wrong(case) for case in cases):
                continue
            same = [fault for fault in self.faults if fault.part == one.check.id]
            if same:
                same[0].dtypes = list(dict.fromkeys([*same[0].dtypes, one.dtype]))
                continue
            self.faults.append(self._by_check(one, cases[0]))

    def _plainly_wrong(self, case: Case) -> bool:
        return any(
            self.oracle.wrong(case, part) is not None for part in _PARTS if part == "values" or case.spec.differentiable
        )

    def _by_check(self, one: Failed, case: Case) -> Fault:
        def shows(other: Case) -> Failure | None:
            if self._plainly_wrong(other):
                return None
            failure = self.oracle.by_check(one.check, one.example, other)
            return failure if failure is not None and same_kind(failure, one.failure) else None

        smallest = simplest(case, shows)
        failure = shows(smallest)
        cause = cause_of(smallest, shows) if failure is not None else Cause()
        return Fault(
            self.operation, [one.dtype], one.check.id, cause, [], smallest, failure or one.failure, [one.check.id]
        )

    def _assign(self, one: Failed) -> None:
        """Count a failed check to the fault that it shows."""
        cases = cases_of(one.example)
        own = [fault for fault in self.faults if fault.part == one.check.id]
        fitting = [f for f in self.faults if any(f.cause.holds(case) for case in cases)]
        chosen = next(iter([*own, *fitting, *self.faults]), None)
        if chosen is None:
            case = cases[0] if cases else None
            if case is not None:
                self.faults.append(
                    Fault(self.operation, [one.dtype], one.check.id, Cause(), [], case, one.failure, [one.check.id])
                )
            return
        chosen.checks = list(dict.fromkeys([*chosen.checks, one.check.id]))
        chosen.dtypes = list(dict.fromkeys([*chosen.dtypes, one.dtype]))
