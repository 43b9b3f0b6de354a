"""Measured numbers with their targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rnnspec.conformance.bench.statistics import Estimate, ratio_in_turn
from rnnspec.conformance.bench.table import duration
from rnnspec.conformance.bench.timing import Effort, Timing


@dataclass(frozen=True)
class Repetitions:
    """Amount of measurement.

    `contests` and `functions` are the efforts of contests and of timed functions. Checking takes `rounds`, each with
    `cases` random cases and `examples` examples of every check. `scale` is the operations' scale.
    """

    contests: Effort
    functions: Effort
    rounds: int
    cases: int
    examples: int
    scale: str = "medium"


PUBLISHED: Final = Repetitions(
    contests=Effort(fewest=10, most=60, seconds=4.0, warm_up=10.0),
    functions=Effort(fewest=5, most=20, seconds=1.5, warm_up=3.0),
    rounds=3,
    cases=600,
    examples=6,
)
QUICK: Final = Repetitions(
    contests=Effort(fewest=3, most=5, seconds=0.5, warm_up=1.0),
    functions=Effort(fewest=2, most=3, seconds=0.2, warm_up=0.5),
    rounds=1,
    cases=100,
    examples=2,
)
"""A quick look, too short to publish."""


@dataclass(frozen=True)
class Row:
    """One measured number and its `target`: an upper limit, or a lower one with `at_least`; None without a target."""

    name: str
    value: float
    unit: str
    interval: tuple[float, float] | None = None
    target: float | None = None
    at_least: bool = False
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(frozen=True)
class Section:
    """Rows that belong together.

    `left_out` lists the missing measurements with reasons. `machine` has the facts on which the numbers depend.
    """

    title: str
    about: str
    rows: tuple[Row, ...] = ()
    left_out: str = ""
    machine: Mapping[str, str] = field(default_factory=dict)


def ratio_row(
    name: str, timing: Timing, to: Timing, *, target: float | None = None, ratio: Estimate | None = None, more: str = ""
) -> Row:
    """Return a row for a time as a multiple of another; without `ratio`, both must have been timed in turn."""
    value, low, high = ratio or ratio_in_turn(timing.times, to.times)
    detail = f"{duration(timing.median)} against {duration(to.median)}, {len(timing.times)} rounds{more}"
    return Row(name, value, "×", (low, high), target, detail=detail)
