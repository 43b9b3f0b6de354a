"""``rnnspec validate``: drive pytest through the plugin and show the verdict."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import click
import pytest
from rich.console import Console

from rnnspec.backends import Backend
from rnnspec.backends.discovery import installs, offered
from rnnspec.backends.words import name_of
from rnnspec.conformance import checks, diagnosis, run
from rnnspec.conformance.diagnosis.result import FaultResult
from rnnspec.conformance.hosting.available import available
from rnnspec.conformance.hosting.process import environment
from rnnspec.conformance.options import Options
from rnnspec.conformance.report.conditions import conditions
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import Collector
from rnnspec.conformance.report.report import Report
from rnnspec.conformance.report.summary import BackendSummary, summarise, without_paths
from rnnspec.conformance.report.tables import print_backends
from rnnspec.conformance.report.writing import Written
from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.asking import profile_of
from rnnspec.conformance.run.expected import ExpectedFailure, expected_failures
from rnnspec.conformance.run.plan import Item, PlanError, plan
from rnnspec.conformance.run.replay import usual_folder
from rnnspec.conformance.run.resuming import Interrupts, ResumeFile, identity

_MANY: Final = 500
"""Checks that take longer than to start processes which share them."""
_MOST_PROCESSES: Final = 8
"""Each has a framework in memory, which is up to half a gigabyte."""


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
    for_pytest = _numprocesses(for_pytest)
    with ResumeFile(options.resume, _identity(options, opened), "validation") as file:
        asked = _Run(options, opened, known, items, written)
        if not written.html or options.repro_dir:
            return _validated(asked, Progress(file), for_pytest)
        with TemporaryDirectory(prefix="rnnspec-") as folder:  # the page has the repros' contents
            asked = replace(asked, options=replace(options, repro_dir=Path(folder)), passing=True)
            return _validated(asked, Progress(file), for_pytest)


@dataclass(frozen=True)
class _Run:
    """What is validated: the backends, what is known of them, and the checks to run."""

    options: Options
    opened: dict[str, Backend]
    known: dict[str, tuple[ExpectedFailure, ...]]
    items: list[Item]
    written: Written
    passing: bool = False
    """Whether the repros' folder is there for the run alone."""


class Progress:
    """What is finished of a run, kept in a file operation by operation."""

    def __init__(self, file: ResumeFile) -> None:
        self._file = file
        self._parts: dict[str, Any] = file.load().get("parts", {})
        try:
            self.results = [CheckResult.from_json(one) for part in self._parts.values() for one in part["results"]]
            self.faults = [FaultResult.from_json(one) for part in self._parts.values() for one in part["faults"]]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise file.error("got results of another form") from error
        self._save()

    @property
    def done(self) -> tuple[str, ...]:
        """The operations that are finished, as `Item.part` names them."""
        return tuple(self._parts)

    def keep(self, part: str, results: Iterable[CheckResult], faults: Iterable[FaultResult]) -> None:
        """Keep an operation's results."""
        self._parts[part] = {
            "results": [one.to_json() for one in results if f"{one.backend}/{one.operation}" == part],
            "faults": [one.to_json() for one in faults if f"{one.backend}/{one.operation}" == part],
        }
        self._save()

    def _save(self) -> None:
        self._file.save({"parts": self._parts})


def _identity(options: Options, opened: dict[str, Backend]) -> dict[str, Any]:
    """The facts of a run that its results depend on."""
    expected = options.expected and hashlib.sha256(options.expected.read_bytes()).hexdigest()[:16]
    return identity(
        "validate",
        (checks, run, diagnosis),
        versions={name: backend.versions() for name, backend in opened.items()},
        expected=expected,
        **{name: getattr(options, name) for name in _ASKED},
    )


_ASKED: Final = ("dtypes", "device", "profile", "seed", "largest", "isolate", "time_limit", "memory_limit")


def _validated(asked: _Run, progress: Progress, for_pytest: tuple[str, ...]) -> int:
    options = replace(asked.options, done=progress.done)
    due = [item for item in asked.items if item.part not in options.done]
    console = open_console(sys.stdout)  # this one, also while pytest replaces it

    def keep(part: str) -> None:
        if asked.passing:
            collector.results, collector.faults = without_paths(collector.results, collector.faults)
        progress.keep(part, collector.results, collector.faults)

    collector = Collector(console, due, keep)
    if due:
        with collector:
            status, output = _pytest(options, collector, (*_shared_out(options, for_pytest, len(due)), *for_pytest))
        _must_have_run(status, output, for_pytest, collector)
    collector.results[:0] = progress.results
    collector.faults[:0] = progress.faults
    return _report(console, asked, collector)


def _must_have_run(status: int, output: str, for_pytest: tuple[str, ...], collector: Collector) -> None:
    """Raise PlanError if pytest could not run the suite."""
    if status == pytest.ExitCode.USAGE_ERROR:
        lines = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.strip()]
        said = next((line for line in lines if "error: " in line), lines[-1] if lines else "")
        raise PlanError(
            f"neither rnnspec nor pytest can make sense of {' '.join(for_pytest)!r}: "
            f"{said.rpartition('error: ')[2]}; plugins of pytest have no part in this unless -p NAME says so"
        )
    if collector.unplanned:
        raise PlanError("\n".join(collector.unplanned))
    ran = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    if collector.results:  # they are told; what went wrong is told after them
        return
    if not collector.interrupted and (collector.problems or status not in ran):
        raise PlanError(
            "\n".join([f"pytest could not run the suite (exit status {int(status)})", *collector.problems, output])
        )


def _has_xdist() -> bool:
    """Return whether several processes can share the work: each reads all packages' entry points."""
    return find_spec("xdist") is not None and not offered().wrong


def _numprocesses(for_pytest: tuple[str, ...]) -> tuple[str, ...]:
    """The user's arguments, of which ``-n 0`` asks for nothing where pytest-xdist is not installed."""
    if _has_xdist():
        return for_pytest
    left, arguments = [], list(for_pytest)
    while arguments:
        first = arguments.pop(0)
        if not first.startswith(("-n", "--numprocesses")) or first.startswith("--no"):
            left.append(first)
            continue
        value = first.removeprefix("--numprocesses").removeprefix("-n").removeprefix("=")
        if not value and arguments:
            value = arguments.pop(0)
        if value != "0":
            raise PlanError(
                f"-n {value}: several processes need pytest-xdist, which is not installed, and packages whose entry "
                f"points can be read: {installs('parallel')}, or ask for one process by -n 0"
            )
    return tuple(left)


def installed() -> tuple[str, ...]:
    """Every framework that is here, for whoever names none."""
    found = tuple(backend.name for backend in available() if backend.available and backend.by_default)
    if not found:
        raise PlanError(
            f"no framework is installed: expected one, like {installs('torch')}, or a backend's name; "
            "'rnnspec list' shows them"
        )
    return found


def _shared_out(options: Options, for_pytest: tuple[str, ...], checks: int) -> tuple[str, ...]:
    """Options that let several processes share many checks, unless the user says how; a device is not shared."""
    if not _has_xdist() or any("no:xdist" in option for option in for_pytest):
        return ()
    said = any(option.startswith(("-n", "--numprocesses")) or "xdist" in option for option in for_pytest)
    shared = any(option.startswith("--dist") for option in for_pytest)
    # The checks of an operation in a type share a deck and its answers: one process runs them all.
    together = () if shared else ("--dist=loadgroup",)
    within_pytest = "PYTEST_XDIST_WORKER" in os.environ
    if said or shared or within_pytest or options.device != "cpu" or checks < _MANY:
        return together
    return ("-n", "auto", f"--maxprocesses={_MOST_PROCESSES}", *together)


def _pytest(options: Options, collector: Collector, more: tuple[str, ...]) -> tuple[int, str]:
    """Run the suite under its own configuration; return pytest's exit status and what it printed."""
    suite = files("rnnspec.conformance.suite")
    # As objects: by their names, pytest would read every package's entry points, whatever is wrong with them.
    plugins = [import_module("rnnspec.conformance.plugin")]
    if _has_xdist() and not any("no:xdist" in option for option in more):
        plugins.append(import_module("xdist.plugin"))
    if ignored := os.environ.get("PYTEST_ADDOPTS"):
        click.echo(f"PYTEST_ADDOPTS has no part in this: {name_of(ignored)!r}", err=True)
    arguments = [
        "-c",
        str(suite / "pytest.ini"),
        "--rootdir",
        str(Path.cwd()),
        "-p",
        "no:cacheprovider",
        "-q",
        "--no-header",
        *options.for_pytest(),
        *more,
        str(suite / "test_conformance.py"),
    ]
    # The Collector shows progress and the verdict; pytest's own lines matter only if it cannot run.
    output = io.StringIO()
    with (
        TemporaryDirectory(prefix="rnnspec-") as folder,
        redirect_stdout(output),
        redirect_stderr(output),
        environment(
            PYTEST_ADDOPTS=None,
            PYTEST_PLUGINS=None,
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",  # what else is installed changes no verdict, nor is it read
            PYTHONSAFEPATH="1",  # nor do files of the current folder
            # Hypothesis would leave a folder of its own where the command is run.
            HYPOTHESIS_STORAGE_DIRECTORY=os.environ.get("HYPOTHESIS_STORAGE_DIRECTORY", folder),
        ),
    ):
        status = pytest.main(arguments, plugins=[collector, *plugins])
    return int(status), output.getvalue()


def _report(console: Console, asked: _Run, collector: Collector) -> int:
    options, items = asked.options, asked.items
    summaries = [
        summarise(
            name, backend.versions(), collector.results, asked.known[name], options.profile, options.seed,
            collector.faults,
        )
        for name, backend in asked.opened.items()
    ]  # fmt: skip
    if not (collector.results or collector.interrupted):
        click.echo(f"{len(items)} of {len(items)} checks were left out", err=True)
        raise PlanError("no check was run: expected at least one; loosen -k or the like")
    if collector.results:
        print_backends(console, summaries)
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


def _why(summary: BackendSummary) -> str:
    """Why nothing of a backend was judged."""
    names = ", ".join(dict.fromkeys(operation.name for operation in summary.operations))
    if summary.verdict is Verdict.NOT_IMPLEMENTED:
        return f"{summary.name} has not implemented {names}: expected one operation that it has; name it with --op"
    reasons = dict.fromkeys(reason for op in summary.operations for check in op.checks for reason in check.reasons)
    return f"{summary.name} refused every call of {names}: {'; '.join(reasons)}"
