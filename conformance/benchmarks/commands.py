"""How long `rnnspec validate torch` takes, from the shell's view."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Final

import numpy as np

from rnnspec.conformance.benchmarks.machine import THREAD_VARIABLES
from rnnspec.conformance.benchmarks.measuring import Effort, Row, Section, seconds

TARGETS: Final = {"quick": 90.0, "standard": 300.0}
PROGRAM: Final = "from rnnspec.conformance.cli import main; main()"


def validation(effort: Effort) -> Section:
    """Wall time of whole runs, start included."""
    rows: list[Row] = []
    left_out = []
    for profile in effort.profiles:
        for options in ((), ("-n", "2")):
            arguments = ("validate", "torch", "--profile", profile, *options)
            name = f"`rnnspec {' '.join(arguments)}`"
            if options and not find_spec("xdist"):
                left_out.append(f"{name}: pytest-xdist is not installed.")
                continue
            try:
                rows.append(_row(name, arguments, effort.validations, TARGETS[profile]))
            except subprocess.CalledProcessError as failure:
                left_out.append(f"{name}: it cannot run (exit status {failure.returncode}).")
    return Section(
        "A whole validation",
        "Wall time of the command, start included, under the settings that it has by itself. The targets are for 2 "
        "cores.",
        tuple(rows),
        " ".join(left_out),
    )


def _row(name: str, arguments: tuple[str, ...], repetitions: int, target: float) -> Row:
    statuses: list[int] = []
    times = np.array([seconds(lambda: statuses.append(_run(arguments))) for _ in range(repetitions)])
    violates = "; it found violations" if any(statuses) else ""
    detail = f"median of {repetitions}, {times.min():.1f} to {times.max():.1f} s{violates}"
    return Row(name, float(np.median(times)), "s", target=target, detail=detail)


def _run(arguments: tuple[str, ...]) -> int:
    """Exit status: 0 conforms, 1 violates; anything else is an error."""
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, check=False
    )
    if done.returncode != 1:
        done.check_returncode()
    return done.returncode
