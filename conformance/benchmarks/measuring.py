"""Time functions against each other, and say how sure the figure is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WARM_UP: Final = 3
RESAMPLES: Final = 2000


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    Repetitions of short and of long timings; rounds of checking, each of so many random `cases` and so many `examples`
    of every check; profiles of `rnnspec validate` to run, so many times each.
    """

    repetitions: int = 60
    long_repetitions: int = 9
    rounds: int = 3
    cases: int = 600
    examples: int = 6
    profiles: tuple[str, ...] = ("quick",)
    validations: int = 3
    threads: int = 1


class Estimate(NamedTuple):
    """A figure, and the interval that holds it with 95 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One measured figure, and what it should be: at most or at least `target`, or nothing in particular."""

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
    """Rows that belong together; `left_out` says what could not be measured, and why."""

    title: str
    about: str
    rows: tuple[Row, ...] = ()
    left_out: str = ""


def seconds(function: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def interleaved(functions: Sequence[Callable[[], Any]], repetitions: int) -> tuple[Floats, ...]:
    """Time the functions in turn, A B A B, so that what else the machine does slows all of them alike."""
    for function in functions:
        for _ in range(min(WARM_UP, repetitions)):
            function()
    return tuple(np.array([[seconds(function) for function in functions] for _ in range(repetitions)]).T)


def ratio(times: Floats, to: Floats) -> Estimate:
    """Ratio of the medians, with a bootstrap interval over the repetitions."""
    drawn = np.random.default_rng(0).integers(times.size, size=(RESAMPLES, times.size))
    resampled = np.median(times[drawn], axis=1) / np.median(to[drawn], axis=1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Estimate(float(np.median(times) / np.median(to)), float(low), float(high))


def ratio_row(name: str, pair: tuple[Floats, ...], target: float | None = None) -> Row:
    """Row for the first of two series of times, as a multiple of the second."""
    times, to = pair
    value, low, high = ratio(times, to)
    detail = f"{milliseconds(times)} against {milliseconds(to)}"
    return Row(name, value, "×", (low, high), target, detail=detail)


def milliseconds(times: Floats) -> str:
    """Median, for people."""
    return f"{np.median(times) * 1e3:.3g} ms"
