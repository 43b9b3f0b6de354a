"""One check of one operation in one type: draw examples, examine each, shrink what fails, pass a verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.errors import FlakyFailure, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.conformance.cases import Case, Deck, Scope
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.asked import Unsteady
from rnnspec.conformance.checks.check import cases_of
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.judge.declared import judged_as_declared
from rnnspec.conformance.run.expected import ExpectedFailure, concerning
from rnnspec.conformance.run.profile import Profile
from rnnspec.conformance.run.replay import failures_of, has_failures
from rnnspec.conformance.run.repro import Ask, Failure, Witness, try_repro
from rnnspec.conformance.run.result import CheckResult, Coverage, Verdict
from rnnspec.conformance.run.session import Session, main_type, session_of
from rnnspec.conformance.run.unsteady import anew, told_if_unsteady
from rnnspec.spec import CallError
from rnnspec.spec import operation as spec_operation

HANDFUL: Final = 12
"""Refusals after which a check that has judged nothing asks no more."""

SIMPLER: Final = 120
"""Cases that are tried for one that is simpler than the one that failed and fails too."""


class _LostError(Exception):
    """The backend's process was lost: Hypothesis remembers for another run only what raises an Exception."""


@dataclass
class _Tally:
    """The results of the examples. `failure` is that of the last failing one, the smallest once shrinking has ended."""

    judged: int = 0
    refused: int = 0
    out_of_range: int = 0
    planned: list[Case] = field(default_factory=list)
    """The cases of the deck that were judged."""

    reasons: dict[str, None] = field(default_factory=dict)
    worst: float | None = None
    failure: Failure | None = None
    asks: list[Ask] = field(default_factory=list)
    example: Any = None
    """The example of the `failure`, on which the check made all that is in `asks`."""

    unsteady: bool = False
    """Whether what failed was seen not to fail when it was asked again."""

    beginning: str = ""
    """The words before the failure's own message."""

    known: tuple[ExpectedFailure, ...] = ()
    expected: dict[ExpectedFailure, Failure] = field(default_factory=dict)
    watched: bool = False
    """Whether all that is asked is remembered, with the `asks` of the failing example."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing but refusals came, and enough of them."""
        return self.judged == 0 and self.refused >= HANDFUL and self.failure is None

    def examine(self, check: Check, backend: Backend, example: Any) -> bool:
        """Ask once; return whether anything was judged. A failure that is not expected is raised."""
        if isinstance(backend, Witness):
            backend.forget()
        try:
            ratio = check.examine(backend, example)
        except Unsupported as refusal:
            self.refused += 1
            self.reasons[str(refusal)] = None
            return False
        except OutOfRangeError:
            self.out_of_range += 1
            return False
        except (Violation, BackendCrashError, GuestLostError) as failure:
            entry = concerning(self.known, example, check.id, backend)
            if entry is None:
                self.failure, self.example, self.unsteady = failure, example, False
                if isinstance(failure, Violation) and isinstance(failure.got, np.ndarray):
                    failure.got = failure.got.copy()  # the backend may use its memory again
                self.asks = backend.asks if isinstance(backend, Witness) else []
                raise
            self.expected.setdefault(entry, failure)
            if isinstance(failure, GuestLostError) and failure.timed_out:
                raise  # each more would take the time limit
            return True
        else:
            self.judged += 1
            self.worst = ratio if self.worst is None else max(self.worst, ratio)
            return True


@dataclass(frozen=True, eq=False)
class Failed:
    """A check that found something wrong: the example at which it did, and the deck that it was planned in."""

    check: Check
    dtype: str
    example: Any
    failure: Failure
    deck: Deck
    repro: str = ""


def run_check(
    check: Check,
    backend: Backend,
    operation: str,
    dtype: str,
    profile: Profile,
    *,
    seed_number: int = 0,
    repro_dir: Path | None = None,
    replay_dir: Path | None = None,
    shrink: bool = True,
    expected: tuple[ExpectedFailure, ...] = (),
    only: Any = None,
    failed: list[Failed] | None = None,
) -> CheckResult:
    """Run one check on the forced cases, the planned ones, and those that the profile draws beyond them.

    The same seed gives the same examples. With `repro_dir`, a failure is written there as an ``.npz`` and a script.
    With `replay_dir`, drawn examples that failed in earlier runs come first, and those that fail now are kept there.
    Without `shrink`, the failing example is reported as it was found. An `expected` failure is counted as such, and the
    search for others goes on. An `only` example is asked alone: nothing is planned and nothing drawn. A failure that is
    not expected is added to `failed`. Every exception of the backend ends in a verdict; an exception out of here is a
    fault of the suite.

    Raises
    ------
    DeckError
        If no deck can be planned for what the backend supports.
    """
    with judged_as_declared(backend):
        return _run_check(
            check,
            backend,
            operation,
            dtype,
            profile,
            seed_number,
            repro_dir,
            replay_dir,
            shrink,
            expected,
            only,
            failed,
        )


def _run_check(
    check: Check,
    backend: Backend,
    operation: str,
    dtype: str,
    profile: Profile,
    seed_number: int,
    repro_dir: Path | None,
    replay_dir: Path | None,
    shrink: bool,
    expected: tuple[ExpectedFailure, ...],
    only: Any,
    failed: list[Failed] | None,
) -> CheckResult:
    tally = _Tally(known=expected, watched=repro_dir is not None)
    started = time.perf_counter()
    verdict, message, repro, no_repro = Verdict.CONFORMS, "", "", ""
    session = None
    if check.needs_drawing:
        _ask_without_deck(check, backend, Scope(operation, dtype), seed_number, only, tally)
    elif operation not in backend.operations():
        verdict = Verdict.NOT_IMPLEMENTED
    elif check.needs_gradients and not backend.has_gradients(operation):
        tally.reasons[f"backend {backend.name} has no gradients"] = None
    elif check.needs_second_order and not backend.has_second_order(operation):
        tally.reasons[f"backend {backend.name} has no second-order gradients"] = None
    else:
        if only is None:
            session = session_of(backend, operation, dtype, profile, seed_number)
            _ask_all(check, backend, session, profile, seed_number, shrink, replay_dir, tally)
        else:
            with suppress(Violation, BackendCrashError, GuestLostError):  # the tally has it
                tally.examine(check, Witness(backend) if tally.watched else Guarded(backend), only)
        if shrink or tally.unsteady:
            _ask_once_more(check, backend, tally)
    match tally.failure:
        case None:
            if tally.expected:
                verdict, message = Verdict.EXPECTED, _told(tally.expected)
            elif not tally.judged and verdict is Verdict.CONFORMS:
                verdict, message = Verdict.REFUSED, "; ".join(tally.reasons) or _why_nothing(tally)
        case Violation() as violation:
            verdict, message = Verdict.VIOLATES if check.level == "MUST" else Verdict.DEPARTS, str(violation)
            tally.worst = violation.error_ratio
        case BackendCrashError() as crash:
            verdict, message = Verdict.CRASHED, f"{tally.beginning}{crash}{_case_line(tally.example, crash.call)}"
        case GuestLostError() as lost:
            verdict = Verdict.TIMED_OUT if lost.timed_out else Verdict.CRASHED
            message = f"{lost}{_case_line(tally.example, lost.call)}"
    if tally.failure is not None and repro_dir is not None:
        found = tally.failure, tally.asks, message, tally.example
        repro, no_repro = try_repro(repro_dir, backend, check.id, operation, dtype, *found)
    if tally.failure is not None and failed is not None and session is not None:
        failed.append(Failed(check, dtype, tally.example, tally.failure, session.deck, repro))
    return CheckResult(
        backend=backend.name,
        operation=operation,
        dtype=dtype,
        device=backend.device,
        id=check.id,
        level=check.level,
        verdict=verdict,
        examples=tally.judged,
        refused=tally.refused,
        reasons=tuple(tally.reasons),
        worst_error_ratio=None if tally.worst is None or not math.isfinite(tally.worst) else tally.worst,
        message=message,
        repro=repro,
        no_repro=no_repro,
        seconds=time.perf_counter() - started,
        expected=tuple(entry.title for entry in tally.expected),
        out_of_range=tally.out_of_range,
        ended=isinstance(tally.failure, GuestLostError),
        coverage=_coverage(session.deck, tally.planned) if session is not None and check.whole_deck else None,
    )


def _ask_without_deck(check: Check, backend: Backend, scope: Scope, seed_number: int, only: Any, tally: _Tally) -> None:
    """Ask a check's own examples of a backend that draws masks, up to the first failure."""
    if not backend.draws(scope.operation):
        tally.reasons[f"backend {backend.name} draws no masks of its own"] = None
        return
    with suppress(Violation, BackendCrashError, GuestLostError):  # the tally has it
        for example in check.without_deck(scope, seed_number) if only is None else (only,):
            tally.examine(check, Guarded(backend), example)


def _case_line(example: Any, call: Call) -> str:
    """The line of a message that tells the case of a call, as violations do; empty for what is of no one case."""
    cases = sorted(cases_of(example), key=lambda case: case.attributes != call.attributes)
    return f"\n  in {cases[0]}" if cases else ""


def _coverage(deck: Deck, judged: Sequence[Case]) -> Coverage | None:
    """The coverage by the judged cases of a deck; None where nothing was planned."""
    if not deck.cases:
        return None
    met, total = deck.met_by(judged)
    largest: dict[str, int] = {}
    for case in judged:
        for symbol, size in case.sizes.items():
            largest[symbol] = max(size, largest.get(symbol, 0))
    left_out = {symbol: tuple(sizes) for symbol, sizes in deck.left_out.items()}
    strength, deep = (deck.model.strength, bool(deck.model.deep)) if deck.model else (0, False)
    return Coverage(strength, met, total, largest, left_out, deep)


def _why_nothing(tally: _Tally) -> str:
    """Why nothing was judged, though nothing was refused."""
    if tally.out_of_range:
        return f"{tally.out_of_range} cases have results that the type cannot hold"
    return "no case has anything to ask"


def _ask_all(
    check: Check,
    backend: Backend,
    session: Session,
    profile: Profile,
    seed_number: int,
    shrink: bool,
    replay_dir: Path | None,
    tally: _Tally,
) -> None:
    """Ask the cases that failed before, the forced and planned ones, and then the drawn ones, up to the first
    failure."""
    scope = session.scope
    database = None
    if replay_dir is not None:
        database = failures_of(replay_dir, backend.name, scope.operation, scope.dtype, check.id)
    tally.reasons.update(dict.fromkeys(session.reasons))
    examples = max(1, profile.examples_for(scope.dtype) // check.calls)
    task = _Task(check, backend, session, examples, seed_number, shrink, database, tally)
    if not check.by_case:
        task.ask_planned(())
        return
    if database is not None and not profile.draws and has_failures(database):
        task.search(check.examples(scope), examples, replay=True)
    if tally.failure is None:
        forced = check.forced(scope) if scope.dtype == main_type(backend, profile) else ()
        task.ask_planned(forced)
    if tally.failure is None and profile.draws:
        task.search(check.examples(scope), examples // backend.compiles)


def _ask_once_more(check: Check, backend: Backend, tally: _Tally) -> None:
    """Ask the failing example again, for the tally to tell whether the answer is the same."""
    failure = tally.failure
    if not isinstance(failure, Violation | BackendCrashError):
        return
    if check.by_case:
        tally.failure, tally.beginning, asks = told_if_unsteady(
            check, backend, tally.example, failure, known=tally.unsteady
        )
        if isinstance(tally.failure, Unsteady) and tally.watched:
            tally.asks = asks or tally.asks
    elif tally.unsteady and isinstance(failure, BackendCrashError):
        tally.beginning = "one of the same calls crashed the first time and none the second: "
    elif tally.unsteady and isinstance(failure, Violation):
        tally.failure = Unsteady(
            f"the same calls gave this the first time and not the second: {failure.message}", failure.case,
            quantity=failure.quantity, error_ratio=failure.error_ratio,
        )  # fmt: skip


def _told(expected: Mapping[ExpectedFailure, Failure]) -> str:
    """Each expected failure's reason and link, and how it showed."""
    return "\n".join(f"{entry.reason} {entry.link}\n{failure}" for entry, failure in expected.items())


def checks_for(operation: str, checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Those of the checks that ask something of this operation."""
    op = spec_operation(operation)
    return tuple(check for check in checks if check.applies_to(op))


@dataclass(frozen=True)
class _Task:
    """One check to run, and how."""

    check: Check
    backend: Backend
    session: Session
    examples: int
    seed: int
    shrink: bool
    database: DirectoryBasedExampleDatabase | None
    tally: _Tally

    @property
    def guarded(self) -> Guarded:
        """The backend, asked anew; watched if what is asked is to be remembered."""
        return Witness(self.backend) if self.tally.watched and self.check.by_case else Guarded(self.backend)

    def ask_planned(self, forced: Sequence[Any]) -> None:
        """Ask what is forced and what is planned, up to the first failure; then look for a simpler one."""
        for example in chain(forced, self.check.planned(self.session.deck, self.examples)):
            try:
                if self.tally.examine(self.check, self.session.answers, example) and self.check.whole_deck:
                    self.tally.planned += cases_of(example)[:1]
            except (Violation, BackendCrashError):
                self._simplify(example)
                return
            except GuestLostError:
                return  # the tally has it
            if self.tally.is_idle:
                return

    def _simplify(self, failing: Any) -> None:
        """Ask again, of the backend itself; if that fails too, let Hypothesis look for a simpler case that does."""
        try:
            self.tally.examine(self.check, self.guarded, anew(failing))
        except GuestLostError:
            return
        except (Violation, BackendCrashError):
            if self.shrink and self.check.by_case:
                self.search(self.check.simpler(failing), SIMPLER, again=True)
            return
        self.tally.unsteady = True

    def search(self, examples: SearchStrategy[Any], count: int, *, again: bool = False, replay: bool = False) -> None:
        """Let Hypothesis look for a failing example and shrink it; the tally remembers what came of it."""
        phases = (Phase.reuse,) if replay else (Phase.explicit, Phase.reuse, Phase.generate)
        lost: list[Any] = []
        guarded = self.guarded

        @settings(
            max_examples=max(1, count),
            deadline=None,
            database=self.database,
            phases=(*phases, Phase.shrink) if self.shrink else phases,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            verbosity=Verbosity.quiet,
        )
        @seed(self.seed)  # beneath the settings: it puts in place ones without a database
        @given(examples)
        def explore(drawn: Any) -> None:
            if lost:  # to shrink it, each step would take a new process, or the time limit
                if drawn == lost[0]:
                    raise _LostError
                return
            try:
                # A refused case does not use up an example.
                if self.tally.is_idle or not self.tally.examine(self.check, guarded, drawn):
                    reject()
            except CallError:
                if not again:
                    raise
                reject()  # a simpler case may have values that its sizes do not allow
            except GuestLostError as failure:
                lost.append(drawn)
                raise _LostError from failure

        try:
            explore()
        except (Violation, BackendCrashError) as failure:
            self.tally.failure = failure
        except _LostError:
            pass  # the tally has it
        except Unsatisfiable:
            pass  # all was refused: the tally says so
        except FlakyFailure:
            self.tally.unsteady = not lost  # the same example failed once and passed once
