"""Comparison of two runs' times, each run a file in pytest-benchmark's format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rnnspec.backends.words import words_of
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.facts import machine_facts
from rnnspec.conformance.bench.statistics import Estimate, differs, ratio_of_runs
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.reading import read_json
from rnnspec.spec.arrays import Floats

Verdict = Literal["regression", "slower", "faster", "no difference shown"]


@dataclass(frozen=True)
class BenchRun:
    """One run's file: by benchmark, the seconds of each round or the reason of a refusal; and the machine's facts."""

    path: Path
    times: Mapping[str, Floats]
    refusals: Mapping[str, str]
    machine: Mapping[str, str]


@dataclass(frozen=True)
class Compared:
    """One benchmark in both files: the new time as a multiple of the old."""

    name: str
    old: float
    new: float
    ratio: Estimate
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """All benchmarks of two files. `lost` has those that the old run timed and the new run refuses, with the reason."""

    compared: tuple[Compared, ...]
    lost: Mapping[str, str]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    machines: Mapping[str, tuple[str, str]]
    """Facts that differ between the machines, by name: the old and the new value."""

    @property
    def bad(self) -> bool:
        """Whether a benchmark is lost, or its whole interval lies beyond the threshold."""
        return bool(self.lost) or any(one.verdict == "regression" for one in self.compared)


def compare(old: BenchRun, new: BenchRun, threshold: float) -> Comparison:
    """Compare the benchmarks that both runs have.

    Raises
    ------
    BenchError
        If they share no benchmark, and none is lost.
    """
    both = [name for name in old.times if name in new.times]
    lost = {name: new.refusals[name] for name in old.times if name in new.refusals}
    if not (both or lost):
        raise BenchError(
            f"expected benchmarks that are in both files, got none: {old.path} has {_some(old)}, "
            f"{new.path} has {_some(new)}"
        )
    compared = tuple(_compared(name, old.times[name], new.times[name], threshold) for name in both)
    keys = [key for key in old.machine if old.machine[key] != new.machine.get(key, "")]
    return Comparison(
        compared,
        lost,
        tuple(name for name in old.times if name not in new.times and name not in lost),
        tuple(name for name in new.times if name not in old.times),
        {key: (old.machine[key], new.machine.get(key, "")) for key in keys},
    )


def _compared(name: str, old: Floats, new: Floats, threshold: float) -> Compared:
    ratio = ratio_of_runs(new, old)
    verdict: Verdict = "no difference shown"
    if ratio.low > 1 + threshold:
        verdict = "regression"
    elif differs(ratio):
        verdict = "slower" if ratio.value > 1 else "faster"
    return Compared(name, float(np.median(old)), float(np.median(new)), ratio, verdict)


def read_run(path: Path) -> BenchRun:
    """Read a file of pytest-benchmark or `rnnspec bench --json`; raise BenchError if it has another form."""
    wanted = "expected a file that 'rnnspec bench --json' or 'pytest --benchmark-json' writes"
    try:
        data = read_json(path, wanted)
    except FileError as error:
        raise BenchError(str(error)) from error
    entries = data.get("benchmarks") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        raise BenchError(f"{path}: {wanted}, got JSON without benchmarks")
    times = {}
    for number, entry in enumerate(entries, 1):
        name, seconds = _times(entry)
        if not name or seconds is None:
            raise BenchError(
                f"{path}: {wanted}, got a benchmark, number {number}, without a name and the seconds of each round "
                "(with pytest's own --benchmark-save, add --benchmark-save-data)"
            )
        times[name] = seconds
    ours = data.get("rnnspec", {})
    refusals = ours.get("refusals", []) if isinstance(ours, dict) else []
    try:
        return BenchRun(path, times, {item["benchmark"]: item["reason"] for item in refusals}, machine_facts(data))
    except (TypeError, KeyError, AttributeError) as error:
        raise BenchError(f"{path}: {wanted}, got refusals or a machine of another form: {words_of(error)}") from error


def _times(entry: Any) -> tuple[str, Floats | None]:
    """Name and seconds of a benchmark; no name if the entry has another form, None unless all seconds are positive."""
    try:
        seconds = np.array(entry["stats"]["data"], np.float64)
        name = str(entry["fullname"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return "", None
    good = seconds.ndim == 1 and seconds.size and np.all(np.isfinite(seconds)) and np.all(seconds > 0)
    return name, seconds if good else None


def _some(run: BenchRun) -> str:
    names = list(run.times)
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
