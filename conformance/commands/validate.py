"""``rnnspec validate``: drive pytest through the plugin and show the verdict."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from rich.console import Console

from rnnspec.backends import Backend
from rnnspec.backends.discovery import installs
from rnnspec.backends.words import words_of
from rnnspec.conformance import checks, diagnosis, run
from rnnspec.conformance.commands.validate_cluster import validate_on_cluster
from rnnspec.conformance.commands.validate_pytest import asked_of_pytest, must_have_run, run_pytest, shared_out
from rnnspec.conformance.diagnosis.result import FaultResult
from rnnspec.conformance.hosting.available import available
from rnnspec.conformance.hosting.stuck import LastWords, last_words
from rnnspec.conformance.judge.declared import declared_by
from rnnspec.conformance.options import DECIDING, Options
from rnnspec.conformance.program import CANNOT_RUN
from rnnspec.conformance.report.conditions import conditions
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import Collector
from rnnspec.conformance.report.report import Report
from rnnspec.conformance.report.summary import BackendSummary, summarise, without_paths
from rnnspec.conformance.report.tables import print_backends
from rnnspec.conformance.report.writing import Written
from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.by_options import profile_of
from rnnspec.conformance.run.expected import ExpectedFailure, expected_failures
from rnnspec.conformance.run.plan import Item, PlanError, must_be_of, part_of, plan
from rnnspec.conformance.run.replay import usual_folder
from rnnspec.conformance.run.resuming import Interrupts, ResumeFile, facts_of_run


def validate_backends(options: Options, for_pytest: tuple[str, ...], written: Written) -> int:
    """Validate, print and write the verdict; return the exit status. Arguments `for_pytest` are the user's own."""
    written.must_be_possible()
    # The cases are small: a framework's thread pool would only wait for itself (measured: ten times slower). Whoever
    # wants threads sets the variable.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = replace(
        options,
        backends=tuple(dict.fromkeys(options.backends)) or installed(),
        replay_dir=(options.replay_dir or usual_folder()) if options.replay else None,
    )
    profile_of(options)  # one that there is
    opened = {name: options.open(name) for name in options.backends}
    known = {name: expected_failures(backend, options.expected) for name, backend in opened.items()}
    items = [
        item for name, backend in opened.items() for item in plan(name, backend, options.operations, options.dtypes)
    ]
    for_pytest = asked_of_pytest(for_pytest)
    with ResumeFile(options.resume, _identity(options, opened), "validation") as file:
        asked = _Run(options, opened, known, items, written)
        progress = Progress(file, opened, options.dtypes)
        if not written.html or options.repro_dir:
            return _validated(asked, progress, for_pytest)
        with TemporaryDirectory(prefix="rnnspec-") as folder:  # the page has the repros' contents
            asked = replace(asked, options=replace(options, repro_dir=Path(folder)), passing=True)
            return _validated(asked, progress, for_pytest)


@dataclass(frozen=True)
class _Run:
    """The work of a validation: the backends, the known facts about them, and the checks to run."""

    options: Options
    opened: dict[str, Backend]
    known: dict[str, tuple[ExpectedFailure, ...]]
    items: list[Item]
    written: Written
    passing: bool = False
    """Whether the repros' folder is there for the run alone."""


class Progress:
    """The finished part of a run, kept in a file operation by operation."""

    def __init__(self, file: ResumeFile, opened: Mapping[str, Backend], dtypes: Sequence[str]) -> None:
        self._file = file
        self._parts: dict[str, Any] = file.load().get("parts", {})
        self.results: list[CheckResult] = []
        self.faults: list[FaultResult] = []
        try:
            for name, part in self._parts.items():
                backend, _, operation = name.rpartition("/")
                found = [CheckResult.from_json(one) for one in part["results"]]
                must_be_of(found, plan(backend, opened[backend], [operation], dtypes))
                self.results += found
                self.faults += [FaultResult.from_json(one) for one in part["faults"]]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise file.error(f"got results of another form: {words_of(error)}") from error
        self._save()

    @property
    def done(self) -> tuple[str, ...]:
        """The operations that are finished, as `part_of` names them."""
        return tuple(self._parts)

    def keep(self, part: str, results: Iterable[CheckResult], faults: Iterable[FaultResult]) -> None:
        """Keep an operation's results."""
        self._parts[part] = {
            "results": [one.to_json() for one in results if part_of(one.backend, one.operation) == part],
            "faults": [one.to_json() for one in faults if part_of(one.backend, one.operation) == part],
        }
        self._save()

    def _save(self) -> None:
        self._file.save({"parts": self._parts})


def _identity(options: Options, opened: dict[str, Backend]) -> dict[str, Any]:
    """The facts of a run that its results depend on."""
    expected = options.expected and hashlib.sha256(options.expected.read_bytes()).hexdigest()[:16]
    return facts_of_run(
        "validate",
        (checks, run, diagnosis),
        versions={name: backend.versions() for name, backend in opened.items()},
        accuracy={name: declared_by(backend) for name, backend in opened.items()},
        expected=expected,
        **{name: getattr(options, name) for name in DECIDING},
    )


def _validated(asked: _Run, progress: Progress, for_pytest: tuple[str, ...]) -> int:
    options = replace(asked.options, done=progress.done)
    due = [item for item in asked.items if item.part not in options.done]
    console = open_console(sys.stdout)  # this one, also while pytest replaces it

    def keep(part: str) -> None:
        if asked.passing:
            collector.results, collector.faults = without_paths(collector.results, collector.faults)
        progress.keep(part, collector.results, collector.faults)

    collector = Collector(console, due, keep, options.device)
    if due and options.scheduler:
        if for_pytest:
            raise PlanError(f"--scheduler takes no options of pytest: expected none, got {' '.join(for_pytest)!r}")
        with collector:
            validate_on_cluster(options, due, collector)
    elif due:
        with collector, last_words(_last_words(console, asked, progress, collector)):
            status, output = run_pytest(options, collector, (*shared_out(options, for_pytest, len(due)), *for_pytest))
        must_have_run(status, output, for_pytest, collector)
    return _reported(console, asked, progress, collector)


def _reported(console: Console, asked: _Run, progress: Progress, collector: Collector) -> int:
    collector.results[:0] = progress.results
    collector.faults[:0] = progress.faults
    return _report(console, asked, collector)


def _last_words(console: Console, asked: _Run, progress: Progress, collector: Collector) -> LastWords:
    """The report of a run in this process that a call does not let go on, as a function for another thread."""
    streams = sys.stdout, sys.stderr

    def told(status: int, happened: str) -> int:
        collector.release_streams()
        sys.stdout, sys.stderr = streams
        if status == CANNOT_RUN:
            collector.problems.append(f"{happened}; leave out --no-isolate and -n 0: another process can be ended")
        else:
            collector.interrupted = status
            click.echo(happened, err=True)
        try:
            return _reported(console, asked, progress, collector)
        except PlanError as error:
            click.echo(f"Error: {error}", err=True)
            return CANNOT_RUN

    return told


def installed() -> tuple[str, ...]:
    """Every framework that is here, for whoever names none."""
    found = tuple(backend.name for backend in available() if backend.available and backend.by_default)
    if not found:
        raise PlanError(
            f"no framework is installed: expected one, like {installs('torch')}, or a backend's name; "
            "'rnnspec list' shows them"
        )
    return found


def _report(console: Console, asked: _Run, collector: Collector) -> int:
    options, items = asked.options, asked.items
    summaries = _summaries(asked, collector.results, collector.faults)
    if not (collector.results or collector.interrupted or collector.problems):
        click.echo(f"{len(items)} of {len(items)} checks were left out", err=True)
        raise PlanError("no check was run: expected at least one; loosen -k or the like")
    if collector.results:
        # The page has the repros themselves; their folder is gone when the report is read.
        shown = _summaries(asked, *without_paths(collector.results, collector.faults)) if asked.passing else summaries
        print_backends(console, shown)
    interrupts = Interrupts()
    interrupts.status = collector.interrupted
    if interrupts.status:
        interrupts.told(console, options.resume)
    complete = not (collector.problems or interrupts.status)
    failed = {"suite_failed": len(collector.problems)} if collector.problems else {}
    asked.written.write(Report(tuple(summaries), conditions(), complete), **failed, **interrupts.to_json())
    if len(collector.results) < len(items):
        click.echo(f"{len(items) - len(collector.results)} of {len(items)} checks were left out", err=True)
    if interrupts.status:
        return interrupts.status
    if collector.problems:
        told = "\n".join(collector.problems)
        raise PlanError(f"the suite itself failed in {len(collector.problems)} checks, which are left out:\n{told}")
    if Verdict.worst(summary.verdict for summary in summaries).bad:
        return 1
    for summary in summaries:
        if summary.operations and not summary.verdict.judged:
            raise PlanError(f"nothing was judged: {_why(summary)}")
    return int(options.strict and any(summary.not_seen or summary.departures for summary in summaries))


def _summaries(asked: _Run, results: list[CheckResult], faults: list[FaultResult]) -> list[BackendSummary]:
    options = asked.options
    return [
        summarise(
            name, backend.versions(), results, asked.known[name], options.profile, options.seed, faults,
            declared_by(backend),
        )
        for name, backend in asked.opened.items()
    ]  # fmt: skip


def _why(summary: BackendSummary) -> str:
    """Why nothing of a backend was judged."""
    if summary.verdict is Verdict.NOT_IMPLEMENTED:
        names = ", ".join(dict.fromkeys(one.name for one in summary.operations))
        return f"{summary.name} has not implemented {names}: expected one operation that it has; name it with --op"
    asked = [one for one in summary.operations if one.verdict is not Verdict.NOT_IMPLEMENTED]
    names = ", ".join(dict.fromkeys(one.name for one in asked))
    reasons = dict.fromkeys(reason for one in asked for check in one.checks for reason in check.reasons)
    return f"{summary.name} refused every call of {names}: {'; '.join(reasons)}"
