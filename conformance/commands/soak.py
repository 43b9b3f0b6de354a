"""``rnnspec soak``: error ratios over many random cases. A right implementation must stay below 1 in all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from rnnspec.backends.interrupts import Interrupted
from rnnspec.conformance.hosting.isolated import Isolation, Limits
from rnnspec.conformance.hosting.jobs import Workers, workers
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.plan import PlanError, plan
from rnnspec.conformance.run.resuming import ResumeFile
from rnnspec.conformance.soak.engine import work_through
from rnnspec.conformance.soak.examining import Soak, targets_of
from rnnspec.conformance.soak.progress import SoakProgress
from rnnspec.conformance.soak.report import BAD, repeat, report_of
from rnnspec.conformance.soak.state import State, kept_in
from rnnspec.conformance.soak.statistics import Statistics
from rnnspec.conformance.soak.table import MOST_TOLD, failure_text, more_failures, print_report, totals


@dataclass(frozen=True)
class SoakRequest:
    """The user's request."""

    backend: str
    cases: int
    operations: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    seed: int = 0
    only: int | None = None
    device: str = "cpu"
    jobs: int = 1
    scheduler: str = ""
    resume: Path | None = None
    isolation: Isolation = Isolation.AUTO
    limits: Limits = field(default_factory=Limits)


def soak_backend(request: SoakRequest, json_file: Path | None) -> int:
    """Run the cases that are not done yet, print and write all results; return the exit status.

    0 if all is well, 1 if anything was rejected, crashed or timed out; as shells have it if a signal stopped it.
    """
    if request.cases < 1:
        raise PlanError(f"expected at least 1 case, got {request.cases}")
    if request.only is not None and request.resume is not None:
        raise PlanError("expected --case or --resume, got both: a single case is not worth keeping")
    opened = request.isolation.open(request.backend, request.device, request.limits)
    asked = plan(request.backend, opened, request.operations, request.dtypes)
    targets = targets_of(opened, ((item.operation, item.dtype) for item in asked))
    if not targets:
        raise PlanError(f"backend {request.backend} has none of the operations: expected at least one to soak")
    soak = Soak(request.backend, targets, request.seed, request.device, request.isolation, request.limits)
    with kept_in(request.resume, soak, opened.versions()) as file, workers(request.jobs, request.scheduler) as sharing:
        return _soaked(request, soak, sharing, file, json_file)


def _soaked(request: SoakRequest, soak: Soak, sharing: Workers, file: ResumeFile, json_file: Path | None) -> int:
    state = State.load(file, request.cases)
    console = open_console()
    # The k-th case of every operation in every type, or all up to the last.
    pending = state.pending(request.cases)
    if request.only is not None:
        targets = len(soak.targets)
        pending = [range(request.only * targets, (request.only + 1) * targets)]
    signal = _run(console, request, soak, sharing, file, state, pending)
    report = report_of(soak, file.of, state, request.cases)
    if state.cases:
        print_report(console, report)
    if more := more_failures(report):
        console.print(more, soft_wrap=True)
    if signal:
        console.print(Text(_interrupted(request, state), "bold"), soft_wrap=True)
    if json_file:
        write_json(json_file, report)
    if signal:
        return Interrupted(signal).status
    return int(any(totals(report)[ending] for ending in BAD))


def _run(
    console: Console,
    request: SoakRequest,
    soak: Soak,
    sharing: Workers,
    file: ResumeFile,
    state: State,
    pending: list[range],
) -> int:
    """Work through what is pending, keeping what is done; return 0, or the number of the signal that stopped it."""
    due = sum(map(len, pending))
    told = 0
    before, started = state.seconds, time.perf_counter()

    def keep(numbers: range, statistics: Statistics) -> None:
        nonlocal told
        state.add(numbers, statistics)
        state.seconds = before + time.perf_counter() - started
        file.save_now_and_then(state.to_json)
        progress.advance(len(numbers), len(statistics.failures))
        for failure in statistics.failures:
            if told < MOST_TOLD:
                console.print(failure_text({**failure.to_json(), "repeat": repeat(soak, failure)}), soft_wrap=True)
            told += 1

    file.save(state.to_json())  # whether it can be written is better known at once
    if not pending:
        return 0
    with SoakProgress(console, request.backend, state.cases + due, state.cases) as progress:
        try:
            return work_through(soak, pending, sharing, keep)
        finally:
            file.save(state.to_json())


def _interrupted(request: SoakRequest, state: State) -> str:
    done = f"interrupted with {state.cases:,} of {request.cases:,} cases done"
    if request.resume:
        return f"{done} and kept in {request.resume}: the same command goes on from there"
    return f"{done}; with --resume FILE they would be kept"
