"""``rnnspec validate`` drives pytest: its arguments, its processes, and the end of its run."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from difflib import get_close_matches
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
import pytest

from rnnspec.backends.discovery import installs, is_own, offered
from rnnspec.backends.words import name_of, readable
from rnnspec.conformance.hosting.isolated import Isolation
from rnnspec.conformance.hosting.jobs import most_processes
from rnnspec.conformance.hosting.process import environment
from rnnspec.conformance.numbers import is_whole
from rnnspec.conformance.options import Options
from rnnspec.conformance.program import is_the_program
from rnnspec.conformance.report.progress import Collector
from rnnspec.conformance.run.plan import PlanError

_LINES_TOLD: Final = 15
_MANY: Final = 500
"""Checks that take longer than to start processes which share them."""
_MOST_PROCESSES: Final = 8
"""Each has a framework in memory, which is up to half a gigabyte."""


def must_have_run(status: int, output: str, for_pytest: tuple[str, ...], collector: Collector) -> None:
    """Raise PlanError if pytest could not run the suite."""
    if status == pytest.ExitCode.USAGE_ERROR:
        lines = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.strip()]
        said = next((line for line in lines if "error: " in line), lines[-1] if lines else "")
        said = said.rpartition("error: ")[2]
        like = _like(for_pytest) if "unrecognized" in said else ""
        raise PlanError(
            f"neither rnnspec nor pytest can make sense of {' '.join(for_pytest)!r}: {said}{like}; plugins of pytest "
            "have no part in this unless -p NAME says so"
        )
    if collector.unplanned:
        raise PlanError("\n".join(collector.unplanned))
    ran = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    if collector.results:  # they are told; what went wrong is told after them
        if status not in ran and not collector.interrupted:
            collector.problems.append(
                f"pytest ended before the last check (exit status {int(status)}): {_end_of(output)}"
            )
        return
    if not collector.interrupted and collector.problems and not any("\n" in told for told in collector.problems):
        raise PlanError("\n".join(collector.problems))
    if not collector.interrupted and (collector.problems or status not in ran):
        told = "\n".join(map(_end_of, [*collector.problems[:2], output]))
        raise PlanError(
            f"pytest could not run the suite (exit status {int(status)}); a backend in the suite's own process can do "
            f"this to it: leave out --no-isolate\n{told}"
        )


def _like(for_pytest: tuple[str, ...]) -> str:
    """The option of the command that one of these is like, if any."""
    context = click.get_current_context(silent=True)
    options = [name for one in context.command.params for name in one.opts] if context else []
    names = (word.partition("=")[0] for word in for_pytest if word.startswith("--"))
    like = [found for name in names for found in get_close_matches(name, options, 1)]
    return f"; did you mean {like[0]}?" if like else ""


def _end_of(output: str) -> str:
    """The last lines of an output, which say what happened."""
    lines = output.rstrip().splitlines()
    return readable("\n".join(["…", *lines[-_LINES_TOLD:]] if len(lines) > _LINES_TOLD else lines))


def _has_xdist() -> bool:
    """Return whether several processes can share the work: each reads all packages' entry points."""
    return find_spec("xdist") is not None and not offered().wrong


def asked_of_pytest(for_pytest: tuple[str, ...]) -> tuple[str, ...]:
    """The user's arguments, of which ``-n 0`` asks for nothing where pytest-xdist is not installed.

    PlanError for processes that cannot be, and for an option of the suite that this command has itself.
    """
    ours = next((argument for argument in for_pytest if argument.startswith("--rnnspec-")), None)
    if ours is not None:
        name = ours.removeprefix("--rnnspec-").partition("=")[0]
        instead = "the backend's name alone" if name == "backend" else f"--{name}"
        raise PlanError(f"{ours}: this option is for pytest without this command: expected {instead}")
    for place, argument in enumerate(for_pytest):
        value = argument.removeprefix("--numprocesses").removeprefix("-n").removeprefix("=")
        asked = value if value != argument and value else "".join(for_pytest[place + 1 : place + 2])
        if value != argument and asked.startswith("-") and asked[1:].isdecimal():
            raise PlanError(f"-n: expected 0 or more processes, got {asked}")
        if value != argument and asked.isdecimal() and not (is_whole(asked) and int(asked) <= most_processes()):
            raise PlanError(f"-n: expected at most {most_processes()} processes on this machine, got {asked}")
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


def shared_out(options: Options, for_pytest: tuple[str, ...], checks: int) -> tuple[str, ...]:
    """Options that let several processes share many checks, unless the user says how; a device is not shared.

    A backend of others that is not isolated has one process that is not the suite's own.
    """
    if not _has_xdist() or any("no:xdist" in option for option in for_pytest):
        return ()
    said = any(option.startswith(("-n", "--numprocesses")) or "xdist" in option for option in for_pytest)
    shared = any(option.startswith("--dist") for option in for_pytest)
    # The checks of an operation in a type share a deck and its answers: one process runs them all.
    # Each is asked once, so that a process which is lost costs one check, however many are.
    together = () if shared else ("--dist=loadgroup", f"--max-worker-restart={checks}")
    within_pytest = "PYTEST_XDIST_WORKER" in os.environ
    if said or shared or within_pytest or options.device != "cpu":
        return together
    if is_the_program() and options.isolate == Isolation.NEVER and not all(map(is_own, options.backends)):
        return ("-n", "1", *together)  # a process that can be lost
    if checks < _MANY:
        return together
    return ("-n", "auto", f"--maxprocesses={_MOST_PROCESSES}", *together)


def run_pytest(options: Options, collector: Collector, more: tuple[str, ...]) -> tuple[int, str]:
    """Run the suite under its own configuration; return pytest's exit status and what it printed."""
    suite = files("rnnspec.conformance.suite")
    # As objects: by their names, pytest would read every package's entry points, whatever is wrong with them.
    plugins = [import_module("rnnspec.conformance.plugin")]
    if _has_xdist() and not any("no:xdist" in option for option in more):
        plugins.append(import_module("xdist.plugin"))
    if ignored := os.environ.get("PYTEST_ADDOPTS"):
        click.echo(f"PYTEST_ADDOPTS has no part in this: {name_of(ignored)!r}", err=True)
    arguments = [
        str(suite / "test_conformance.py"),  # first: a last option that lacks its value would take it, and write there
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
        status = pytest.main([f"--basetemp={Path(folder, 'pytest')}", *arguments], plugins=[collector, *plugins])
    return int(status), output.getvalue()
