"""``rnnspec validate``: drive pytest through the plugin and show the verdict."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from rich.console import Console

from rnnspec.backends import Backend
from rnnspec.conformance.hosting.available import available
from rnnspec.conformance.options import Options
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import Collector
from rnnspec.conformance.report.summary import BackendSummary, summarise
from rnnspec.conformance.report.tables import print_backend
from rnnspec.conformance.run import PROFILES, Verdict
from rnnspec.conformance.run.expected import ExpectedFailure, expected_failures
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.plan import Item, PlanError, plan
from rnnspec.conformance.run.replay import usual_folder

_MANY: Final = 500
"""Checks that take longer than to start processes which share them."""
_MOST_PROCESSES: Final = 8
"""Each has a framework in memory, which is up to half a gigabyte."""


def validate_backends(options: Options, for_pytest: tuple[str, ...], json_file: Path | None) -> int:
    """Validate, print and write the verdict; return the exit status. Arguments `for_pytest` are the user's own."""
    # The cases are small: a framework's thread pool would only wait for itself (measured: ten times slower). Whoever
    # wants threads sets the variable.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = replace(
        options,
        backends=tuple(dict.fromkeys(options.backends)) or installed(),
        replay_dir=(options.replay_dir or usual_folder()) if options.replay else None,
    )
    if options.profile not in PROFILES:
        raise PlanError(f"unknown profile {options.profile!r}: expected {', '.join(PROFILES)}")
    opened = {name: options.open(name) for name in options.backends}
    known = {name: expected_failures(backend, options.expected) for name, backend in opened.items()}
    items = [
        item for name, backend in opened.items() for item in plan(name, backend, options.operations, options.dtypes)
    ]
    console = open_console(sys.stdout)  # this one, also while pytest replaces it
    with Collector(console, items) as collector:
        status, output = _pytest(options, collector, (*_shared_out(options, for_pytest, len(items)), *for_pytest))
    if status == pytest.ExitCode.USAGE_ERROR:
        raise PlanError(f"neither rnnspec nor pytest can make sense of {' '.join(for_pytest)!r}")
    if collector.unplanned:
        raise PlanError("\n".join(collector.unplanned))
    if collector.problems or status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise PlanError(
            "\n".join([f"pytest could not run the suite (exit status {int(status)})", *collector.problems, output])
        )
    return _report(console, options, opened, collector, json_file, items, known)


def installed() -> tuple[str, ...]:
    """Every framework that is here, for whoever names none."""
    found = tuple(backend.name for backend in available() if backend.available and backend.by_default)
    if not found:
        raise PlanError(
            "no framework is installed: expected one, like pip install 'rnnspec[torch]', or a backend's name; "
            "'rnnspec list' shows them"
        )
    return found


def _shared_out(options: Options, for_pytest: tuple[str, ...], checks: int) -> tuple[str, ...]:
    """Options that let several processes share many checks, unless the user says how; a device is not shared."""
    if find_spec("xdist") is None or any("no:xdist" in option for option in for_pytest):
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
    arguments = [
        "-c",
        str(suite / "pytest.ini"),
        "--rootdir",
        str(Path.cwd()),
        "-p",
        "no:cacheprovider",
        "-p",
        "no:benchmark",  # it would leave a folder of its own
        "-q",
        "--no-header",
        *options.for_pytest(),
        *more,
        str(suite / "test_conformance.py"),
    ]
    # The Collector shows progress and the verdict; pytest's own lines matter only if it cannot run.
    output = io.StringIO()
    with TemporaryDirectory(prefix="rnnspec-") as folder, redirect_stdout(output), redirect_stderr(output):
        # Hypothesis would leave a folder of its own where the command is run.
        os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", folder)
        status = pytest.main(arguments, plugins=[collector])
    return int(status), output.getvalue()


def _report(
    console: Console,
    options: Options,
    opened: dict[str, Backend],
    collector: Collector,
    json_file: Path | None,
    items: list[Item],
    known: dict[str, tuple[ExpectedFailure, ...]],
) -> int:
    summaries = [
        summarise(
            name, backend.versions(), collector.results, known[name], options.profile, options.seed, collector.faults
        )
        for name, backend in opened.items()
    ]
    for summary in summaries:
        print_backend(console, summary)
    if json_file:
        write_json(json_file, {"backends": [summary.to_json() for summary in summaries]})
    if len(collector.results) < len(items):
        print(f"{len(items) - len(collector.results)} of {len(items)} checks were left out", file=sys.stderr)
    if not collector.results:
        raise PlanError("no check was run: expected at least one; loosen -k or the like")
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
