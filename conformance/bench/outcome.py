"""Contests, each one workload in one mode and type, and their outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rnnspec.conformance.bench.cost import Cost, Peak
from rnnspec.conformance.bench.memory import Memory
from rnnspec.conformance.bench.statistics import Estimate, Growth, growth, in_words, ratio_in_turn
from rnnspec.conformance.bench.timing import Timing
from rnnspec.conformance.bench.workload import Mode, Workload


@dataclass(frozen=True)
class Contest:
    """A workload in one mode and type; `scanned` is the size that a scan varies, empty outside of one."""

    workload: Workload
    mode: Mode
    dtype: str
    scanned: str = ""

    @property
    def series(self) -> str:
        """Name without the scanned size, which the contests of one scan share."""
        return f"{self.workload.name} {self.mode} {self.dtype}"

    @property
    def name(self) -> str:
        """Name with the scanned size."""
        return self.series + (f" {self.scanned}={self.size}" if self.scanned else "")

    @property
    def whole(self) -> bool:
        """Whether it counts in the answer of a run: a part of a model does not, nor one size of a scan."""
        return not self.scanned and not self.workload.part

    @property
    def size(self) -> int:
        """Value of the scanned size."""
        return self.workload.sizes[self.scanned]


@dataclass(frozen=True)
class Result:
    """One contender's result: its times, its worst error ratio on this work, and its memory, if it was measured."""

    timing: Timing
    error_ratio: float
    device: str
    place: str
    memory: Memory | None = None


@dataclass(frozen=True)
class BenchOutcome:
    """Results and refusals by contender; ratios are to the first contender that has a result.

    `violating` names those of the refusals for which a validation would fail too.
    """

    contest: Contest
    cost: Cost
    judged: tuple[tuple[int, int], ...]
    peaks: Mapping[str, Peak | None]
    results: Mapping[str, Result]
    refusals: Mapping[str, str]
    violating: frozenset[str] = frozenset()

    @property
    def baseline(self) -> str:
        """Contender that the others are compared with; empty if none was timed."""
        return next(iter(self.results), "")

    def ratio(self, name: str) -> Estimate | None:
        """Return a contender's time as a multiple of the baseline's; None for the baseline itself."""
        if name == self.baseline:
            return None
        return ratio_in_turn(self.results[name].timing.times, self.results[self.baseline].timing.times)

    def efficiency(self, name: str) -> float | None:
        """Return the roofline's time over the contender's, 1 at best; None if the peak was not measured."""
        result = self.results[name]
        peak = self.peaks[result.place]
        return peak.seconds(self.cost) / result.timing.median if peak else None

    def facts(self, name: str) -> dict[str, Any]:
        """Return all facts about one contender except its times, as plain data."""
        result, to = self.results[name], self.ratio(name)
        peak = self.peaks[result.place]
        return {
            "contender": name,
            "device": result.device,
            "workload": self.contest.workload.name,
            "mode": self.contest.mode,
            "calls_a_second": 1 / result.timing.median,
            "dtype": self.contest.dtype,
            "sizes": dict(self.contest.workload.sizes),
            "scanned": self.contest.scanned,
            "calls_a_round": result.timing.calls,
            "warm_up": asdict(result.timing.warm_up),
            "error_ratio": result.error_ratio,
            "sequences_judged": [list(pair) for pair in self.judged],
            "flops": self.cost.flops,
            "bytes": self.cost.bytes,
            "bound_by": peak.bound_by(self.cost) if peak else None,
            "efficiency": self.efficiency(name),
            "memory": asdict(result.memory) if result.memory else None,
            "baseline": self.baseline,
            "ratio": list(to) if to else None,
            "verdict": in_words(to) if to else None,
        }


@dataclass(frozen=True)
class BenchReport:
    """All outcomes and the conditions of a run."""

    outcomes: Sequence[BenchOutcome]
    threads: int
    cores: Sequence[int]
    versions: Mapping[str, Mapping[str, str]]
    peaks: Mapping[str, Mapping[str, Peak | None]] = field(default_factory=dict)
    """Peaks by type, then by place."""

    @property
    def violates(self) -> bool:
        """Whether a contender was wrong on a workload, crashed or exceeded its time limit."""
        return any(outcome.violating for outcome in self.outcomes)

    @property
    def contenders(self) -> tuple[str, ...]:
        """Names of all contenders."""
        return tuple(self.versions)

    def series(self) -> dict[str, list[BenchOutcome]]:
        """Return the scans' outcomes by title, which ends in the scanned size's symbol."""
        series: dict[str, list[BenchOutcome]] = {}
        for outcome in self.outcomes:
            if outcome.contest.scanned:
                series.setdefault(f"{outcome.contest.series}, {outcome.contest.scanned}", []).append(outcome)
        return series

    def growths(self) -> dict[str, dict[str, Growth]]:
        """Return the growth of time with the scanned size, by title and contender, if three sizes were timed."""
        fitted: dict[str, dict[str, Growth]] = {}
        for title, outcomes in self.series().items():
            for name in self.contenders:
                timed = [outcome for outcome in outcomes if name in outcome.results]
                if len(timed) >= 3:
                    fitted.setdefault(title, {})[name] = growth(
                        [outcome.contest.size for outcome in timed],
                        [outcome.results[name].timing.median for outcome in timed],
                        [outcome.cost.flops or outcome.cost.bytes for outcome in timed],
                    )
        return fitted
