"""One check of one operation in one type: draw examples, examine each, shrink what fails, pass a verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, reject, seed, settings
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
from rnnspec.conformance.run.repro import write_repro
from rnnspec.conformance.run.result import CheckResult, Verdict
from rnnspec.spec import operation as spec_operation

Failure = Violation | BackendCrashError | GuestLostError


@dataclass
class _Tally:
    """What the examples gave. `failure` is that of the last failing one, the smallest once shrinking has ended."""

    judged: int = 0
    refused: int = 0
    reasons: dict[str, None] = field(default_factory=dict)
    worst: float | None = None
    failure: Failure | None = None
    known: tuple[ExpectedFailure, ...] = ()
    expected: dict[ExpectedFailure, Failure] = field(default_factory=dict)

    def examine(self, check: Check, backend: Backend, example: Any) -> None:
        try:
            ratio = check.examine(backend, example)
        except Unsupported as refusal:
            self.refused += 1
            self.reasons[str(refusal)] = None
            reject()  # a refused case does not use up an example
        except OutOfRangeError:
            reject()
        except (Violation, BackendCrashError, GuestLostError) as failure:
            entry = concerning(self.known, example, check.id)
            if entry is None:
                self.failure = failure
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
    shrink: bool = True,
    expected: tuple[ExpectedFailure, ...] = (),
) -> CheckResult:
    """Run one check.

    The same seed draws the same examples. With `repro_dir`, a violation is written there as an ``.npz`` and a script.
    Without `shrink`, the failing example is told as it was drawn. What is among the `expected` failures is counted as
    such, and the search for others goes on.
    Whatever the backend raises ends in a verdict; an exception out of here is a fault of the suite.
    """
    tally = _Tally(known=expected)
    started = time.perf_counter()
    verdict, message, repro = Verdict.CONFORMS, "", ""
    if operation not in backend.operations():
        verdict = Verdict.NOT_IMPLEMENTED
    else:
        _explore(check, backend, operation, dtype, profile, seed_number, shrink, tally)
    match tally.failure:
        case None:
            if tally.expected:
                verdict, message = Verdict.EXPECTED, _told(tally.expected)
            elif not tally.judged and verdict is Verdict.CONFORMS:
                verdict, message = Verdict.REFUSED, "; ".join(tally.reasons)
        case Violation() as violation:
            verdict, message = Verdict.VIOLATES, str(violation)
            tally.worst = violation.error_ratio
            if repro_dir is not None:
                repro = str(write_repro(repro_dir, backend, check.id, dtype, violation))
        case BackendCrashError() as crash:
            verdict, message = Verdict.CRASHED, str(crash)
        case GuestLostError() as lost:
            verdict, message = lost.verdict, str(lost)
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
def _support(backend: Backend, operation: str, dtype: str) -> Support:
    """What the backend supports, found once for all checks of an operation in a type."""
    try:
        return supported_by(Guarded(backend), operation, dtype)
    except (BackendCrashError, GuestLostError):
        return everything(operation)  # each more question could take the time limit: the checks find what is wrong


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
    tally: _Tally,
) -> None:
    """Let Hypothesis look for a failing example and shrink it; the tally remembers what came of it."""

    if check.needs_gradients and not backend.has_gradients(operation):
        tally.reasons[f"backend {backend.name} has no gradients"] = None
        return
    guarded = Guarded(backend)
    support = _support(backend, operation, dtype)
    tally.reasons.update(dict.fromkeys(support.reasons))
    examples = check.examples(Scope(operation, dtype, profile.largest, support))
    if examples is None:
        return

    @seed(seed_number)
    @settings(
        max_examples=max(1, profile.examples_for(dtype) // (check.calls * backend.compiles)),
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
    )
    @given(examples)
    def explore(example: Any) -> None:
        tally.examine(check, guarded, example)

    try:
        explore()
    except (Violation, BackendCrashError) as failure:
        tally.failure = failure
    except GuestLostError:
        pass  # the tally has it
    except Unsatisfiable:
        pass  # all was refused: the tally says so
    except FlakyFailure as flaky:
        # The same example failed once and passed once.
        tally.failure = Violation(f"results change from run to run: {flaky}", str(tally.failure))
