"""Wall time of `rnnspec validate torch` as a command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from rnnspec.conformance.performance.rows import Row, Section
from rnnspec.conformance.thread_variables import VARIABLES

TARGETS: Final = {"quick": 90.0, "standard": 300.0}
"""Seconds on two cores."""
PROGRAM: Final = "from rnnspec.conformance.cli import main; main()"


def validations(profiles: Sequence[str]) -> Section:
    """Measure the wall time of whole runs, start included, on all cores."""
    rows: list[Row] = []
    left_out = []
    for profile in profiles:
        for options in ((), ("-n", "0")):
            arguments = ("validate", "torch", "--profile", profile, *options)
            name = f"`rnnspec {' '.join(arguments)}`"
            if options and not find_spec("xdist"):
                left_out.append(f"{name}: pytest-xdist is not installed.")
                continue
            try:
                rows.append(_row(name, arguments, None if options else TARGETS[profile]))
            except subprocess.CalledProcessError as failure:
                left_out.append(f"{name}: it cannot run (exit status {failure.returncode}).")
    return Section(
        "A whole validation",
        "Wall time of the command, start included, with its default of a process for each core, and with one process, "
        "`-n 0`. There is one run of each, which does not show how far runs differ. The targets are for 2 cores.",
        tuple(rows),
        " ".join(left_out),
    )


def _row(name: str, arguments: tuple[str, ...], target: float | None) -> Row:
    started = time.perf_counter()
    violates = _run(arguments)
    seconds = time.perf_counter() - started
    return Row(name, seconds, "s", target=target, detail="one run" + ("; it found violations" if violates else ""))


def _run(arguments: tuple[str, ...]) -> bool:
    """Return whether the run found violations; raise CalledProcessError if it could not run."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, check=False
    )
    if done.returncode != 1:
        done.check_returncode()
    return bool(done.returncode)
