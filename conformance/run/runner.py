"""One check of one operation in one type: draw examples, examine each, shrink what fails, pass a verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, example, given, reject, seed, settings
from hypothesis.database import ExampleDatabase
from hypothesis.errors import FlakyFailure, Unsatisfiable

from rnnspec.backends import Backend, Unsupported
from rnnspec.conformance.cases import Scope, Support, supported_by
from rnnspec.conformance.cases.support import everything
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.check import OutOfRangeError
from rnnspec.conformance.run.expected import ExpectedFailure, concerning
from rnnspec.conformance.run.guard import BackendCrashError, Guarded
from rnnspec.conformance.run.isolated import GuestLostError
from rnnspec.conformance.run.profile import Profile
from rnnspec.conformance.run.replay import failures_of
from rnnspec.conformance.run.repro import Ask, Failure, Witness, write_repro
from rnnspec.conformance.run.result import CheckResult, Verdict
from rnnspec.spec import operation as spec_operation


class _LostError(Exception):
    """The backend's process was lost: Hypothesis remembers for another run only what raises an Exception."""


@dataclass
class _Tally:
    """What the examples gave. `failure` is that of the last failing one, the smallest once shrinking has ended."""

    judged: int = 0
    refused: int = 0
    reasons: dict[str, None] = field(default_factory=dict)
    worst: float | None = None
    failure: Failure | None = None
    asks: list[Ask] = field(default_factory=list)
    known: tuple[ExpectedFailure, ...] = ()
    expected: dict[ExpectedFailure, Failure] = field(default_factory=dict)
    watched: bool = False
    """Whether all that is asked is remembered, with the `asks` of the failing example."""

    def examine(self, check: Check, backend: Backend, example: Any) -> None:
        if isinstance(backend, Witness):
            backend.forget()
        try:
            ratio = check.examine(backend, example)
        except Unsupported as refusal:
            self.refused += 1
            self.reasons[str(refusal)] = None
            reject()  # a refused case does not use up an example
        except OutOfRangeError:
            reject()
        except (Violation, BackendCrashError, GuestLostError) as failure:
            entry = concerning(self.known, example, check.id, backend)
            if entry is None:
                self.failure = failure
                self.asks = backend.asks if isinstance(backend, Witness) else []
                raise
            self.expected.setdefault(entry, failure)
            if isinstance(failure, GuestLostError) and failure.verdict is Verdict.TIMED_OUT:
                raise  # each more would take the time limit
        else:
            self.judged += 1
            self.worst = ratio if self.worst is None else max(self.worst, ratio)


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
) -> CheckResult:
    """Run one check.

    The same seed draws the same examples. With `repro_dir`, a failure is written there as an ``.npz`` and a script.
    With `replay_dir`, examples that failed in earlier runs come first, and those that fail now are kept there.
    Without `shrink`, the failing example is told as it was drawn. What is among the `expected` failures is counted as
    such, and the search for others goes on.
    Whatever the backend raises ends in a verdict; an exception out of here is a fault of the suite.
    """
    tally = _Tally(known=expected, watched=repro_dir is not None)
    started = time.perf_counter()
    verdict, message, repro = Verdict.CONFORMS, "", ""
    if operation not in backend.operations():
        verdict = Verdict.NOT_IMPLEMENTED
    else:
        database = None if replay_dir is None else failures_of(replay_dir, backend.name, operation, dtype, check.id)
        _explore(check, backend, operation, dtype, profile, seed_number, shrink, database, tally)
    match tally.failure:
        case None:
            if tally.expected:
                verdict, message = Verdict.EXPECTED, _told(tally.expected)
            elif not tally.judged and verdict is Verdict.CONFORMS:
                verdict, message = Verdict.REFUSED, "; ".join(tally.reasons)
        case Violation() as violation:
            verdict, message = Verdict.VIOLATES if check.level == "MUST" else Verdict.DEPARTS, str(violation)
            tally.worst = violation.error_ratio
        case BackendCrashError() as crash:
            verdict, message = Verdict.CRASHED, str(crash)
        case GuestLostError() as lost:
            verdict, message = lost.verdict, str(lost)
    if tally.failure is not None and repro_dir is not None:
        repro = str(write_repro(repro_dir, backend, check.id, operation, dtype, tally.failure, tally.asks, message))
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
        seconds=time.perf_counter() - started,
        expected=tuple(entry.title for entry in tally.expected),
    )


def _told(expected: Mapping[ExpectedFailure, Failure]) -> str:
    """Each expected failure's reason and link, and how it showed."""
    return "\n".join(f"{entry.reason} {entry.link}\n{failure}" for entry, failure in expected.items())


@cache
def support_of(backend: Backend, operation: str, dtype: str) -> Support:
    """What the backend supports, found once for all checks of an operation in a type."""
    try:
        return supported_by(Guarded(backend), operation, dtype)
    except (BackendCrashError, GuestLostError):
        return everything(operation)  # each more question could take the time limit: the checks find what is wrong


def _main_type(backend: Backend) -> str:
    """The type in which a backend is looked at most closely."""
    types = backend.dtypes()
    return "float32" if "float32" in types else types[0]


def checks_for(operation: str, checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Those of the checks that ask something of this operation."""
    op = spec_operation(operation)
    return tuple(check for check in checks if check.applies_to(op))


def _explore(
    check: Check,
    backend: Backend,
    operation: str,
    dtype: str,
    profile: Profile,
    seed_number: int,
    shrink: bool,
    database: ExampleDatabase | None,
    tally: _Tally,
) -> None:
    """Let Hypothesis look for a failing example and shrink it; the tally remembers what came of it."""

    if check.needs_gradients and not backend.has_gradients(operation):
        tally.reasons[f"backend {backend.name} has no gradients"] = None
        return
    if check.needs_second_order and not backend.has_second_order(operation):
        tally.reasons[f"backend {backend.name} has no second-order gradients"] = None
        return
    guarded = Witness(backend) if tally.watched else Guarded(backend)
    support = support_of(backend, operation, dtype)
    tally.reasons.update(dict.fromkeys(support.reasons))
    scope = Scope(operation, dtype, profile.largest, support)
    examples = check.examples(scope)
    if examples is None:
        return
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    lost: list[Any] = []

    @settings(
        max_examples=max(1, profile.examples_for(dtype) // (check.calls * backend.compiles)),
        deadline=None,
        database=database,
        phases=(*phases, Phase.shrink) if shrink else phases,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
    )
    @seed(seed_number)  # beneath the settings: it puts in place ones without a database
    @given(examples)
    def explore(drawn: Any) -> None:
        if lost:  # to shrink it, each step would take a new process, or the time limit
            if drawn == lost[0]:
                raise _LostError
            return
        try:
            tally.examine(check, guarded, drawn)
        except GuestLostError as failure:
            lost.append(drawn)
            raise _LostError from failure

    if dtype == _main_type(backend):
        for one in check.forced(scope)[:: backend.compiles][::-1]:  # the last decorator's comes first
            explore = example(one)(explore)

    try:
        explore()
    except (Violation, BackendCrashError) as failure:
        tally.failure = failure
    except _LostError:
        pass  # the tally has it
    except Unsatisfiable:
        pass  # all was refused: the tally says so
    except FlakyFailure as flaky:
        if lost:
            return
        # The same example failed once and passed once.
        tally.failure = Violation(f"results change from run to run: {flaky}", str(tally.failure))
