"""Time functions in turn: warmed up until steady, and each round long enough for the clock."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rnnspec.conformance.benchmarks.measuring import Floats

Clock = Callable[[], float]
Run = Callable[[], None]

WINDOW: Final = 2
"""Calls that are compared with as many before them, to see whether they still become faster."""
STILL_FASTER: Final = 0.9
MOST_WARM_UP_CALLS: Final = 100
SHORTEST_ROUND: Final = 1e-3
"""Seconds. Of what takes less, a round is several calls."""


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds at least and at most, seconds for all contenders of one contest, and for warming up.

    Fewer than `fewest` rounds would make the intervals meaningless, so slow work may take longer than `seconds`.
    """

    fewest: int = 10
    most: int = 100
    seconds: float = 6.0
    warm_up: float = 30.0


@dataclass(frozen=True)
class WarmUp:
    """The first calls: how many, how long one takes once steady, and what the others took beyond that.

    `extra` is what compiling, choosing of algorithms and first allocations cost.
    """

    calls: int
    each: float
    extra: float
    steady: bool


@dataclass(frozen=True)
class Timing:
    """Seconds that a call took, round by round; each round is so many `calls`."""

    times: Floats
    calls: int
    warm_up: WarmUp

    @property
    def median(self) -> float:
        """Seconds of a typical call."""
        return float(np.median(self.times))


def warm_up(run: Run, longest: float, clock: Clock = time.perf_counter) -> WarmUp:
    """Call until the calls become no faster, or for `longest` seconds once they can be compared."""
    times: list[float] = []
    while True:
        started = clock()
        run()
        times.append(clock() - started)
        if len(times) < 2 * WINDOW:
            continue
        last, before = statistics.median(times[-WINDOW:]), statistics.median(times[-2 * WINDOW : -WINDOW])
        steady = last >= STILL_FASTER * before
        # The first call may be minutes of compiling: it is no reason to stop.
        if steady or sum(times[1:]) > longest or len(times) == MOST_WARM_UP_CALLS:
            return WarmUp(len(times), last, max(0.0, sum(times) - len(times) * last), steady)


def calls_a_round(each: float) -> int:
    """How many calls make a round, if one takes so many seconds."""
    return max(1, math.ceil(SHORTEST_ROUND / max(each, 1e-9)))


def rounds_of(warm_ups: Mapping[str, WarmUp], effort: Effort) -> int:
    """How many rounds the effort allows."""
    one = sum(calls_a_round(item.each) * item.each for item in warm_ups.values())
    return min(max(int(effort.seconds / one), effort.fewest), effort.most)


def interleaved(
    benchmark: Any, runs: Mapping[str, Run], warm_ups: Mapping[str, WarmUp], effort: Effort
) -> dict[str, Timing]:
    """Time the functions in turn, A B A B, so that what else the machine does slows all of them alike.

    Parameters
    ----------
    benchmark
        pytest-benchmark's fixture, which times each round: its rounds are ours, one function after the other.
    runs
        What to time, by contender.
    warm_ups
        What is known of each from warming it up.
    """
    calls = {name: calls_a_round(item.each) for name, item in warm_ups.items()}
    rounds = rounds_of(warm_ups, effort)
    turns = itertools.cycle(runs)

    def one_round(run: Run, count: int) -> None:
        for _ in range(count):
            run()

    def next_turn() -> tuple[tuple[Run, int], dict[str, Any]]:
        name = next(turns)
        return (runs[name], calls[name]), {}

    benchmark.pedantic(one_round, setup=next_turn, rounds=rounds * len(runs))
    taken = np.array(benchmark.stats.stats.data, np.float64).reshape(rounds, len(runs))
    return {name: Timing(taken[:, k] / calls[name], calls[name], warm_ups[name]) for k, name in enumerate(runs)}
