"""Timing of functions in turn: warmed up until steady, in rounds long enough for the clock."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from rnnspec.backends.interrupts import Interrupted
from rnnspec.conformance.hosting.timed import no_garbage_collection
from rnnspec.spec.arrays import Floats

Clock = Callable[[], float]
Run = Callable[[], object]
"""A function to time. A `RunElsewhere` does so in another process."""
Rounds = Callable[[Callable[[], Run], int], Sequence[float]]
"""A timer of rounds: takes a function that returns the next round's call, and their number; returns their seconds."""


class Stopwatch:
    """A clock in which a round in another process takes as long as that process measured."""

    def __init__(self) -> None:
        self._late = 0.0

    def __call__(self) -> float:
        """Return the seconds since some moment."""
        return time.perf_counter() - self._late

    def count(self, round_of: Callable[[], float]) -> None:
        """Let a round pass, which returns its own seconds: those of the way there and back do not count."""
        started = time.perf_counter()
        seconds = round_of()
        here = time.perf_counter() - started
        if 0 < seconds <= here:  # else the process is not to be trusted
            self._late += here - seconds


CLOCK: Final = Stopwatch()
"""The clock of all that is timed."""


@dataclass(frozen=True)
class RunElsewhere:
    """A function to time whose calls another process makes and times: as many at once as are wanted."""

    seconds_of: Callable[[int], float]

    def __call__(self) -> None:
        """Make the call."""
        self.repeat(1)

    def repeat(self, count: int) -> None:
        """Make the call so many times, one after the other."""
        CLOCK.count(lambda: self.seconds_of(count))


def repeat(run: Run, count: int) -> None:
    """Call a function so many times."""
    if isinstance(run, RunElsewhere):
        run.repeat(count)
        return
    for _ in range(count):
        run()


WINDOW: Final = 2
"""Calls that are compared with as many before them, to see whether they still become faster."""
STILL_FASTER: Final = 0.9
MOST_WARM_UP_CALLS: Final = 100
SHORTEST_ROUND: Final = 1e-3
"""Least seconds of a round; shorter calls are repeated within it."""


@dataclass(frozen=True)
class Effort:
    """Limits of a contest: least and most rounds, seconds of all contenders together, and their seconds of warming up.

    Fewer than `fewest` rounds would make the intervals meaningless, so slow work may take longer than `seconds`.
    """

    fewest: int = 10
    most: int = 100
    seconds: float = 6.0
    warm_up: float = 30.0


@dataclass(frozen=True)
class WarmUp:
    """The first calls: their number, the seconds of a steady call, and the extra seconds of all calls beyond that.

    `extra` is the cost of compiling, choosing algorithms and first allocations.
    """

    calls: int
    each: float
    extra: float
    steady: bool


@dataclass(frozen=True)
class Timing:
    """Seconds of a call in each round; a round has `calls` calls."""

    times: Floats
    calls: int
    warm_up: WarmUp

    @property
    def median(self) -> float:
        """Median seconds of a call."""
        return float(np.median(self.times))


def warm_up(run: Run, longest: float, clock: Clock = CLOCK) -> WarmUp:
    """Call until the calls become no faster, at most 100 times or for `longest` seconds without the first call."""
    times: list[float] = []
    while True:
        started = clock()
        run()
        times.append(clock() - started)
        if len(times) < 2 * WINDOW:
            continue
        last, before = statistics.median(times[-WINDOW:]), statistics.median(times[-2 * WINDOW : -WINDOW])
        steady = last >= STILL_FASTER * before
        # The first call may compile for minutes, so it does not count towards `longest`.
        if steady or sum(times[1:]) > longest or len(times) == MOST_WARM_UP_CALLS:
            return WarmUp(len(times), last, max(0.0, sum(times) - len(times) * last), steady)


def calls_a_round(each: float) -> int:
    """Return the number of calls in a round, if one takes `each` seconds."""
    return max(1, math.ceil(SHORTEST_ROUND / max(each, 1e-9)))


def rounds_of(warm_ups: Mapping[str, WarmUp], effort: Effort) -> int:
    """Return the number of rounds that the effort allows."""
    one = sum(calls_a_round(item.each) * item.each for item in warm_ups.values())
    return min(max(int(effort.seconds / one), effort.fewest), effort.most)


def by_pytest_benchmark(benchmark: Any) -> Rounds:
    """Have pytest-benchmark's fixture time the rounds, and so keep them for its report."""

    def rounds(next_round: Callable[[], Run], count: int) -> Sequence[float]:
        benchmark.pedantic(lambda run: run(), setup=lambda: ((next_round(),), {}), rounds=count)
        seconds: Sequence[float] = benchmark.stats.stats.data
        return seconds

    return rounds


def by_clock(clock: Clock = CLOCK) -> Rounds:
    """Time the rounds as pytest-benchmark does, outside of pytest."""

    def rounds(next_round: Callable[[], Run], count: int) -> Sequence[float]:
        seconds = []
        for _ in range(count):
            run = next_round()
            with no_garbage_collection():
                started = clock()
                run()
                seconds.append(clock() - started)
        return seconds

    return rounds


def interleaved(
    rounds: Rounds, runs: Mapping[str, Run], warm_ups: Mapping[str, WarmUp], effort: Effort
) -> tuple[dict[str, Timing], dict[str, BaseException]]:
    """Time the functions in turn, A B A B, so that other work of the machine slows all of them alike.

    Parameters
    ----------
    rounds
        Function that times the rounds.
    runs
        Functions to time, by contender.
    warm_ups
        Warm-up of each function, by contender.

    Returns
    -------
    tuple
        Timings and errors, by contender. A contender that fails in a round drops out; the others are timed on.
    """
    calls = {name: calls_a_round(item.each) for name, item in warm_ups.items()}
    count = rounds_of(warm_ups, effort)
    turns = itertools.cycle(runs)
    failed: dict[str, BaseException] = {}

    def one_round(name: str) -> None:
        if name in failed:
            return
        try:
            repeat(runs[name], calls[name])
        except Interrupted:
            raise
        except BaseException as error:  # a backend may fail in any way at all
            failed[name] = error

    seconds = rounds(lambda: partial(one_round, next(turns)), count * len(runs))
    taken = dict(zip(runs, np.array(seconds, np.float64).reshape(count, len(runs)).T, strict=True))
    timings = {
        name: Timing(times / calls[name], calls[name], warm_ups[name])
        for name, times in taken.items()
        if name not in failed
    }
    return timings, failed


def in_turn(runs: Mapping[str, Run], effort: Effort, clock: Clock = CLOCK) -> dict[str, Timing]:
    """Warm functions up and time them in turn, outside of pytest; raise the error of a function that fails."""
    warm_ups = {name: warm_up(run, effort.warm_up / len(runs), clock) for name, run in runs.items()}
    timings, failed = interleaved(by_clock(clock), runs, warm_ups, effort)
    for error in failed.values():
        raise error
    return timings
