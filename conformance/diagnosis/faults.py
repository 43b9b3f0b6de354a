"""All faults of a backend in one operation: each with its cause, its suspects and the smallest case that shows it.

The simplest failing case is reduced, and gives the first fault. The failures that its suspect explains, or else its
cause, are set aside, and the simplest case that is left gives the next one. Faults that show in results come first. A
check whose own call fails while the plain call of its case is right has found a fault of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Final

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.asked import Unsteady
from rnnspec.conformance.checks.bad_input import BadInput
from rnnspec.conformance.checks.check import cases_of
from rnnspec.conformance.checks.repetition import Unmodified
from rnnspec.conformance.diagnosis.causes import Cause, cause_of, enlarged, numbers_gone, simplest
from rnnspec.conformance.diagnosis.condition import Condition
from rnnspec.conformance.diagnosis.oracle import (
    LARGEST,
    Clock,
    Oracle,
    OutOfTimeError,
    Shown,
    Shows,
    same_kind,
    simple_first,
    size_of,
)
from rnnspec.conformance.diagnosis.overflow import overflow_in
from rnnspec.conformance.diagnosis.remembered import remembered_attribute, remembered_state
from rnnspec.conformance.diagnosis.suspect import Suspect
from rnnspec.conformance.diagnosis.suspects import Searcher
from rnnspec.conformance.edits.single import EditedPart
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.hosting.guest import place_of
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.run.expected import ExpectedFailure
from rnnspec.conformance.run.repro import Failure
from rnnspec.conformance.run.runner import Failed
from rnnspec.spec import FLOAT_TYPES, CallError, check_call

SECONDS: Final = 19.0
"""The time that the diagnosis of one operation may take."""

_SURVEY: Final = 2.5
"""The time for which planned cases are looked at, for those that fail."""

_MOST_FAULTS: Final = 8
_PRECISE: Final = sorted(FLOAT_TYPES, key=lambda name: format_of(name).unit_roundoff)
"""Types in the order in which they tell faults from rounding."""

_PARTS: Final[tuple[EditedPart, ...]] = ("values", "gradients")
_PROBED: Final = 40
"""Cases that were asked before, failing and right, against which a suspect is held."""

_WIDENED: Final = 24
"""Failing cases at which it is asked whether the same slip is made in another line."""

_ALIKE: Final = 8
"""Calls with other numbers, of which most must fail for the cause of small errors to be believed."""

_BY_CHANCE: Final = 3
"""Faults that show by chance, after which no more are looked for in a type."""

_UNKNOWN: Final = Cause(told="on what it depends was not found out in time")
_NOT_ASKED: Final = Cause(told="on what it depends was not asked")
_OF_BAD_INPUT: Final = Cause(told="of bad input")
_UNSTEADY: Final = Cause(told="not in every call: the same call gives other answers")


@dataclass(eq=False)
class FoundFault:
    """One fault of an operation.

    `part` is what is wrong: ``values``, ``gradients``, or the name of the check that alone finds it. `case` is the
    smallest that shows it, and `failure` how it does. `checks` are all that found it.
    """

    part: str
    dtypes: list[str]
    cause: Cause
    suspects: Sequence[Suspect | str]
    """The equations that the code may compute, the simplest first."""

    case: Case | None
    failure: Failure
    checks: list[str] = field(default_factory=list)
    repro: str = ""
    known: Suspect = field(default_factory=Suspect)
    """The equations taken to be computed in all calls; nothing where there is no suspect."""

    inexact: bool = False
    """Whether the results are off by little more than rounding explains."""

    chance: bool = False
    """Whether it shows in few of the calls that differ in their numbers alone, and nothing is known of these."""

    def count(self, one: Failed) -> None:
        """Count a failed check among those that found it; the repro is that of the check that the fault is told by."""
        self.checks = list(dict.fromkeys([*self.checks, one.check.id]))
        self.dtypes = list(dict.fromkeys([*self.dtypes, one.dtype]))
        self.repro = one.repro if one.check.id == self.part and one.repro else self.repro or one.repro


def _same_crash(one: object, other: BackendCrashError) -> bool:
    """Whether two calls ended in one error: of the same type, from the same place in the code."""
    return same_kind(one, other) and isinstance(one, BackendCrashError) and place_of(one.error) == place_of(other.error)


class Diagnosis:
    """Finds the faults of one operation of a backend, from the checks that failed and the cases that were planned."""

    def __init__(
        self,
        backend: Backend,
        operation: str,
        known: tuple[ExpectedFailure, ...] = (),
        seconds: float = SECONDS,
        parts: Sequence[EditedPart] = _PARTS,
    ) -> None:
        self.clock = Clock(seconds)
        self.oracle = Oracle(backend, known, self.clock)
        self.searcher = Searcher(operation, self.oracle, self.clock)
        self.parts = parts
        """The results that are compared."""

        self.faults: list[FoundFault] = []
        self.known = Suspect()
        """All that is suspected of the faults found so far, the last one first."""

        self._aside = set[str]()
        """Cases that have led to a fault which does not explain them."""

    def find(self, failed: Sequence[Failed]) -> list[FoundFault]:
        """Return the faults that these failures show, and those that they hide."""
        unsteady = [one for one in failed if isinstance(one.failure, Unsteady)]
        lost = [one for one in failed if isinstance(one.failure, GuestLostError)]
        rest = [one for one in failed if one not in lost]
        writing = [one for one in rest if one.check.id == Unmodified.id and isinstance(one.failure, Violation)]
        if writing:  # what comes after is the answer to another call
            self._record(writing[0], _NOT_ASKED)
        elif unsteady:  # other answers would tell nothing
            fault = self._record(unsteady[0], _UNSTEADY)
            if fault.case is not None:
                fault.suspects = [*filter(None, [remembered_state(self.oracle.backend, fault.case)])]
        if unsteady:
            for one in rest:
                self._assign(one)
        elif name := self._remembered(rest):  # each answer is that to an earlier call, and tells nothing of this one
            fault = self._record(rest[0], Cause(told=f"in calls whose shapes a call with another {name} had before"))
            fault.suspects = [f"{name} is that of the first call of these shapes"]
            for one in rest:
                self._assign(one)
        else:
            for part in self.parts if rest else ():
                with suppress(OutOfTimeError):
                    self._of_results(part, rest)
            for one in rest:
                self._place(one)
        if lost:
            fault = self._record(lost[0], _NOT_ASKED)
            for one in lost:
                fault.count(one)
        return self.faults

    # Faults of results.

    def _of_results(self, part: EditedPart, failed: Sequence[Failed]) -> None:
        dtypes = [name for name in _PRECISE if any(one.dtype == name for one in failed)]
        for place, dtype in enumerate(dtypes):
            cases, by_chance = self._cases(dtype, failed, planned=place == 0), list[tuple[FoundFault, Case]]()
            while len(self.faults) < _MOST_FAULTS and len(self._aside) < _MOST_FAULTS:
                failing = self._failing(part, cases)
                clear = [case for case in failing if not self._is_inexact(case, part)]
                fault = self._next(part, clear) if clear else self._inexact(part, failing)
                if fault is not None and fault.inexact and clear:
                    near = [case for case in failing if self.searcher.is_near(case, part)]
                    fault = self._told_as_inexact(fault, part, near or failing)
                if fault is None:
                    break
                if not fault.chance:
                    self._keep(fault, (clear or failing)[0], part, dtypes)
                    continue
                by_chance.append((fault, clear[0]))
                self._aside.add(str(clear[0]))
                if len(by_chance) == _BY_CHANCE:
                    break
            if by_chance:
                self._keep(_together([fault for fault, _ in by_chance]), by_chance[0][1], part, dtypes)
            self._name_the_others(part)

    def _keep(self, fault: FoundFault, first: Case, part: EditedPart, dtypes: Sequence[str]) -> None:
        """Add a fault that a case has led to, once: what does not explain that case leads to it no second time."""
        told = str(fault.cause), str(fault.case), [*map(str, fault.suspects[:1])]
        among = [one for one in self.faults if one.part == part and not one.inexact]
        if any(told[0] == str(one.cause) and told[1] == str(one.case) for one in among) or (
            told[2] and any(told[2] == [*map(str, one.suspects[:1])] for one in among)
        ):
            self._aside.add(str(first))
            return
        self.faults.append(fault)
        if fault.suspects and fault.known:
            self.known = fault.known + self.known
        self._look_in_other_types(fault, part, dtypes)
        shown = self._shows(part)(first)
        if shown is not None:
            self._aside.add(str(first))

    def _is_inexact(self, case: Case, part: EditedPart) -> bool:
        """Whether a wrong result is off by little more than rounding explains."""
        return isinstance(self.oracle.wrong(case, part), Violation) and self.searcher.is_inexact(case, part)

    def _inexact(self, part: EditedPart, failing: Sequence[Case]) -> FoundFault | None:
        """The fault of results that are off by little more than rounding explains, which chance shows here and there.

        It has a cause only if that foretells where they are; else the worst is shown.
        """
        fault = self._next(part, failing, clear=False)
        if fault is None:
            return None
        mostly = fault.case is not None and self._shows_mostly(fault.case, part)
        if fault.suspects or (mostly and all(map(fault.cause.holds, failing))):
            return replace(fault, inexact=True)
        return self._told_as_inexact(fault, part, failing)

    def _told_as_inexact(self, fault: FoundFault, part: EditedPart, failing: Sequence[Case]) -> FoundFault:
        """The fault of small errors by chance, shown by the worst of them."""
        ratios = {str(case): self.searcher.error_ratio(case, part) for case in failing}
        ratio = max(ratios.values())
        worst = next(case for case in failing if ratios[str(case)] >= ratio / 2)  # the simplest of the worst
        told = f"in some calls, less exact than rounding explains, by up to {ratio:.2g} times the bound"
        failure = self.oracle.wrong(worst, part)
        return replace(fault, cause=Cause(told=told), case=worst, failure=failure or fault.failure, inexact=True)

    def _shows_mostly(self, case: Case, part: EditedPart) -> bool:
        """Whether most calls that differ from a case in their float numbers alone are wrong; or it is not known."""
        if any(item.kind in ("ids", "bits") for name, item in case.items.items() if name in case.given.inputs):
            return True
        others = (replace(case, seed=case.seed + number) for number in range(1, 8 * _ALIKE))
        same = (one for one in others if not case.spec.has_steps or np.array_equal(one.valid, case.valid))
        alike = [one for one in islice(same, _ALIKE) if self.oracle.answer(one, part) is not None]
        shown = sum(self.oracle.wrong(one, part) is not None for one in alike)
        return len(alike) < _ALIKE // 2 or 4 * shown >= 3 * len(alike)

    def _name_the_others(self, part: EditedPart) -> None:
        """Look once more for suspects of the faults that have none, beside those of the faults found after them."""
        for fault in [one for one in self.faults if one.part == part and not one.suspects and self.known]:
            if not isinstance(fault.failure, Violation) or fault.case is None:
                continue
            self.faults.remove(fault)  # or it would explain its own calls
            shows, found = self._shows(part, fault.failure), list[Suspect]()
            with suppress(OutOfTimeError):
                if shows(fault.case) is not None:
                    found = self._suspects(fault.case, part, fault.cause, shows)
            if found:
                fault.suspects = [*found]
                fault.known = self._widest(found[0], part, [fault.case])
                self.known = fault.known + self.known
            self.faults.append(fault)

    def _look_in_other_types(self, fault: FoundFault, part: EditedPart, dtypes: Sequence[str]) -> None:
        """Count the types in which the fault's case fails too."""
        for dtype in dtypes:
            if fault.case is not None and dtype not in fault.dtypes:
                with suppress(OutOfTimeError):
                    fault.dtypes += [dtype] if self.oracle.wrong(replace(fault.case, dtype=dtype), part) else []

    def _cases(self, dtype: str, failed: Sequence[Failed], *, planned: bool) -> list[Case]:
        """Cases to look at in a type: those that failed and, if they are to be, all that are planned."""
        own = [case for one in failed if one.dtype == dtype for case in cases_of(one.example)]
        decks = {id(one.deck): one.deck for one in sorted(failed, key=lambda one: one.dtype != dtype)}
        more = [case for deck in decks.values() for case in deck.cases] if planned else []
        small = (
            case if case.dtype == dtype else replace(case, dtype=dtype) for case in more if size_of(case) <= LARGEST
        )
        return list({str(case): case for case in (*own, *small)}.values())

    def _failing(self, part: EditedPart, cases: Sequence[Case]) -> list[Case]:
        """Cases whose results are wrong, and are not explained by the faults that were found."""
        shows, clock = self._shows(part), Clock(_SURVEY)
        found = []
        for case in cases:
            if str(case) not in self._aside and shows(case) is not None:
                found.append(case)
            if clock.left <= 0:
                break
        return simple_first(found)

    def _shows(self, part: EditedPart, like: Shown | None = None, *, clear: bool = False) -> Shows:
        def shows(case: Case) -> Shown | None:
            if part == "gradients" and (not case.spec.differentiable or self.oracle.wrong(case, "values")):
                return None
            failure = self.oracle.wrong(case, part)
            if failure is None or (like is not None and not same_kind(failure, like)):
                return None
            if clear and self._is_inexact(case, part):
                return None
            return None if self._is_explained(case, part, failure) else failure

        def answers(case: Case) -> bool:
            # A call that another fault makes wrong says nothing of this one, unless that one's suspect gives it all.
            if self.oracle.answer(case, part) is None:
                return False
            wrong = self.oracle.wrong(case, part) if part == "values" else None
            if wrong is None or not self._is_explained(case, part, wrong):
                return True
            return bool(self.known) and self.searcher.gives(self.known, case, part)

        return Shows(shows, answers)

    def _is_explained(self, case: Case, part: EditedPart, failure: Shown) -> bool:
        if isinstance(failure, BackendCrashError):
            same = any(_same_crash(fault.failure, failure) for fault in self.faults)
            return same or (bool(self.known) and self.searcher.breaks_at(self.known, case, part))
        if (
            any(fault.inexact for fault in self.faults)
            and isinstance(failure, Violation)
            and self.searcher.is_near(case, part)
        ):
            return True
        found = [fault for fault in self.faults if fault.part == part and not fault.inexact]
        if any(not fault.known and fault.cause.holds(case) for fault in found):
            return True
        values = [fault for fault in self.faults if fault.part == "values" and not fault.inexact]
        if part == "gradients" and any(fault.cause.holds(case) for fault in values):
            return True  # the outputs of another function, right by chance, have its gradients
        if not self.known:
            return False
        # What an equation gives of unusual numbers may be worse conditioned than what is right.
        unusual = case.regime != "generic" and self.searcher.moves(self.known, case, part)
        return unusual or self.searcher.gives(self.known, case, part)

    def _next(self, part: EditedPart, failing: Sequence[Case], *, clear: bool = True) -> FoundFault | None:
        first = self._shows(part)(failing[0]) if failing else None
        if first is None:
            return None
        shows, case, cause = self._shows(part, first, clear=clear), failing[0], _UNKNOWN
        suspects: list[Suspect] = []
        with suppress(OutOfTimeError):
            case = simplest(case, shows)
            cause = cause_of(case, shows)
        with suppress(OutOfTimeError):
            if isinstance(first, Violation):
                suspects = self._suspects(case, part, cause, shows)
        told: list[str] = []
        with suppress(OutOfTimeError):
            if not suspects and part == "values":
                told = self._overflowing(case, cause)
        failure = self.oracle.wrong(case, part) or first
        with suppress(OutOfTimeError):
            smallest = numbers_gone(case, shows)
            case, failure = smallest, shows(smallest) or failure
            cause = cause.fitting(case)
        fault = FoundFault(part, [case.dtype], cause, suspects or told, case, failure, [part])
        if suspects:
            fault.known = self._widest(suspects[0], part, failing)
            with suppress(OutOfTimeError):
                fault.cause = self._of_all(fault, part, failing)
        with suppress(OutOfTimeError):
            if clear and not fault.suspects and isinstance(failure, Violation) and not self._shows_mostly(case, part):
                fault.inexact = self.searcher.is_near(case, part)
                fault.chance = not fault.inexact
        return fault

    def _of_all(self, fault: FoundFault, part: EditedPart, failing: Sequence[Case]) -> Cause:
        """The cause of a fault, without what does not hold at other cases that its suspect makes wrong."""
        cause, whole = fault.cause, fault.known + self.known
        for case in failing[:_PROBED]:
            if not cause.holds(case) and self.searcher.gives(whole, case, part):
                cause = cause.fitting(case)
        return cause

    def _widest(self, suspect: Suspect, part: EditedPart, failing: Sequence[Case]) -> Suspect:
        """The suspect, of the same lines under all attributes where that gives more of the answers."""
        wide = suspect.widened()

        def given(one: Suspect) -> int:
            return sum(self.searcher.gives(one + self.known, case, part) for case in failing[:_WIDENED])

        return wide if given(wide) > given(suspect) else suspect

    def _suspects(
        self,
        case: Case,
        part: EditedPart,
        cause: Cause,
        shows: Shows,
    ) -> list[Suspect]:
        """The suspects that give the answers to the case, to larger ones like it, and to some asked before."""
        rich = enlarged(case, shows)
        few = {"B": 1, "T": 2} if rich.steps == "all" else {}
        small = replace(rich, sizes={**rich.sizes, **{key: few[key] for key in few if key in rich.sizes}})
        alike = replace(rich, sizes={symbol: max(2, size) for symbol, size in rich.sizes.items()})
        more = [replace(one, seed=seed) for seed in range(2) for one in (rich, alike)]
        # Other numbers may move what a suspect gives by more than what is right.
        plain = [one for one in self.oracle.answered(part) if one.regime in ("generic", case.regime)]
        plain = [one for one in plain if one.dtype == case.dtype and size_of(one) <= LARGEST]
        # Where a fault without a suspect shows too, no suspect of this one gives the answers by itself.
        unnamed = [fault.cause for fault in self.faults if fault.part == part and not fault.known]
        plain = [one for one in plain if not any(other.holds(one) for other in unnamed)]
        beside = (Condition("apart from another fault", partial(_outside, cause=other)) for other in unnamed)
        cause = replace(cause, conditions=(*cause.conditions, *beside))
        core = {str(one): one for one in (small, rich, *more, case)}
        others = [one for one in plain[:: max(1, len(plain) // _PROBED)] if str(one) not in core]
        return self.searcher.find(list(core.values()), others, part, cause, self.known)

    def _overflowing(self, case: Case, cause: Cause) -> list[str]:
        """The quantity that overflows in a case, if under its cause it does where no number comes, and nowhere else."""
        words = overflow_in(case) if self._gives_no_number(case) else ""
        if not words:
            return []
        under = (one for one in self.oracle.answered("values") if one.dtype == case.dtype and cause.holds(one))
        if any(bool(overflow_in(one)) != self._gives_no_number(one) for one in under):
            return []
        return [words]

    def _gives_no_number(self, case: Case) -> bool:
        """Whether a wrong answer has infinities or NaN."""
        came = self.oracle.answer(case, "values") if self.oracle.wrong(case, "values") else None
        return came is not None and any(not np.isfinite(a).all() for a in came.values() if a.dtype.kind not in "biu")

    def _remembered(self, failed: Sequence[Failed]) -> str:
        """The attribute that a backend keeps from the first call of some shapes; empty where it keeps none."""
        violations = [one for one in failed if isinstance(one.failure, Violation)]
        cases = {str(case): case for one in violations for case in cases_of(one.example)}
        small = simple_first([case for case in cases.values() if size_of(case) <= LARGEST])
        return remembered_attribute(self.oracle.backend, small)

    # Faults that only one check sees.

    def _place(self, one: Failed) -> None:
        """Count a failed check to the fault that it shows; of its own, where the plain calls of its cases are right."""
        crash = one.failure if isinstance(one.failure, BackendCrashError) else None
        if crash is not None and (same := [f for f in self.faults if _same_crash(f.failure, crash)]):
            same[0].count(one)
            return
        if one.check.id == BadInput.id:  # an error is due: no numbers, and no case that is right, tell of it
            if not any(fault.part == BadInput.id for fault in self.faults):
                self.faults.append(FoundFault(BadInput.id, [one.dtype], _OF_BAD_INPUT, [], None, one.failure))
            self._assign(one)
            return
        crashes = any(isinstance(fault.failure, BackendCrashError) for fault in self.faults)
        # What is wrong elsewhere, as a shape, may make a call that is none.
        if crash is not None and not crashes and _is_legal(crash.call):
            fault = self._record(one, _NOT_ASKED)
            if fault.case is not None and fault.case.operation != crash.call.operation:
                fault.case, fault.cause = None, Cause(told=f"in a call of {crash.call.operation}")
            fault.count(one)
            return
        with suppress(OutOfTimeError):
            cases = cases_of(one.example)
            if one.check.whole_deck or not cases or self._shows_plainly(one, cases):
                self._assign(one)
                return
            known = any(fault.part in (one.check.id, Unmodified.id) for fault in self.faults)
            if not known and one.check.level == "MUST":
                self.faults.append(self._by_check(one, cases[0]))
        self._assign(one)

    def _shows_plainly(self, one: Failed, cases: Sequence[Case]) -> bool:
        """Whether a call that the check makes is wrong by itself, with nothing unusual about its arrays."""
        if any(self._plainly_wrong(case) for case in cases):
            return True
        return any(self.oracle.is_wrong_plainly(ask, one.dtype) for ask in self.oracle.calls_of(one.check, one.example))

    def _plainly_wrong(self, case: Case) -> bool:
        parts: Iterator[EditedPart] = (part for part in self.parts if part == "values" or case.spec.differentiable)
        return any(self.oracle.wrong(case, part) is not None for part in parts)

    def _by_check(self, one: Failed, case: Case) -> FoundFault:
        failure, cause = one.failure, _UNKNOWN

        def at(other: Case) -> Shown | None:
            if self._plainly_wrong(other):
                return None
            found = self.oracle.by_check(one.check, one.example, other)
            return found if found is not None and same_kind(found, one.failure) else None

        shows = Shows(at, lambda other: self.oracle.answer(other, "values") is not None)

        with suppress(OutOfTimeError):
            case = simplest(case, shows)
            found = shows(case)
            if found is not None:
                failure, cause = found, cause_of(case, shows)
        return FoundFault(one.check.id, [one.dtype], cause, [], case, failure)

    def _assign(self, one: Failed) -> None:
        cases = cases_of(one.example)
        own = [fault for fault in self.faults if fault.part == one.check.id]
        if one.check.level != "MUST" and not own and not self.faults:
            return
        fitting = [fault for fault in self.faults if any(fault.cause.holds(case) for case in cases)]
        fitting.sort(key=lambda fault: -len(fault.cause.conditions))
        chosen = next(iter([*own, *fitting, *self.faults]), None)
        if chosen is None:
            chosen = self._record(one, _NOT_ASKED)
        chosen.count(one)

    def _record(self, one: Failed, cause: Cause) -> FoundFault:
        """The fault that a failed check alone tells of, as it was found."""
        fault = FoundFault(one.check.id, [one.dtype], cause, [], _case_of(one), one.failure)
        self.faults.append(fault)
        return fault


def _together(faults: Sequence[FoundFault]) -> FoundFault:
    """Faults that show by chance as one: on the choices that all their cases have, and on what is not known."""
    first, cause = faults[0], faults[0].cause
    for one in faults:
        cause = cause.fitting(one.case) if one.case is not None else cause
    return replace(first, cause=replace(cause, told=f"{cause}; in some of these calls, as their numbers are"))


def _case_of(one: Failed) -> Case | None:
    """The case of the call that failed: a check may make more than one, which differ in an attribute."""
    case = next(iter(cases_of(one.example)), None)
    call = one.failure.call if isinstance(one.failure, BackendCrashError | GuestLostError) else None
    if case is None or call is None or call.operation != case.operation or call.attributes == case.attributes:
        return case
    return case.with_attributes(**call.attributes)


def _is_legal(call: Call) -> bool:
    """Whether the specification has an answer to a call."""
    try:
        check_call(call.operation, call.inputs, call.attributes)
    except CallError:
        return False
    return True


def _outside(case: Case, cause: Cause) -> bool:
    """Whether a cause does not hold at a case."""
    return not cause.holds(case)
