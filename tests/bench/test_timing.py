"""Warming up, rounds and turns, under a clock that moves as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from rnnspec.conformance.bench.timing import Effort, WarmUp, calls_a_round, interleaved, rounds_of, warm_up


def takes(clock: Any, seconds: Iterator[float], name: str = "") -> Callable[[], None]:
    return lambda: clock.pass_by(next(seconds), name)


def forever(*first: float, then: float) -> Iterator[float]:
    yield from first
    while True:
        yield then


def test_compiling_is_told_apart(clock: Any) -> None:
    found = warm_up(takes(clock, forever(30.0, 12.0, then=0.5)), 20.0, clock)
    assert found.steady
    assert found.each == pytest.approx(0.5)
    assert found.extra == pytest.approx(29.5 + 11.5)


def test_nothing_to_compile(clock: Any) -> None:
    found = warm_up(takes(clock, forever(then=0.25)), 20.0, clock)
    assert found.calls == 4
    assert found.extra == pytest.approx(0.0, abs=1e-6)


def test_a_function_that_always_becomes_faster_is_not_steady(clock: Any) -> None:
    found = warm_up(takes(clock, (0.85**k for k in range(1000))), 1e9, clock)
    assert not found.steady
    assert found.calls == 100


def test_warming_up_ends_with_its_time(clock: Any) -> None:
    found = warm_up(takes(clock, (100 * 0.7**k for k in range(1000))), 150.0, clock)
    assert not found.steady
    assert found.calls == 4


@pytest.mark.parametrize(("each", "calls"), [(1.0, 1), (1e-3, 1), (4e-4, 3), (1e-5, 100)])
def test_short_calls_share_a_round(each: float, calls: int) -> None:
    assert calls_a_round(each) == calls


@pytest.mark.parametrize(("seconds", "rounds"), [(1.0, 10), (8.0, 16), (1000.0, 50)])
def test_rounds_fit_the_time(seconds: float, rounds: int) -> None:
    warm_ups = {name: WarmUp(4, 0.25, 0.0, True) for name in "ab"}
    assert rounds_of(warm_ups, Effort(fewest=10, most=50, seconds=seconds)) == rounds


class Benchmark:
    """What is used of pytest-benchmark's fixture."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=[]))

    def pedantic(self, target: Any, setup: Any, rounds: int) -> None:
        for _ in range(rounds):
            arguments, options = setup()
            started = self.clock()
            target(*arguments, **options)
            self.stats.stats.data.append(self.clock() - started)


def test_rounds_take_turns_and_each_gets_its_own_times(clock: Any) -> None:
    runs = {name: takes(clock, forever(then=each), name) for name, each in (("a", 2e-4), ("b", 0.5), ("c", 0.125))}
    warm_ups = {"a": WarmUp(4, 2e-4, 0, True), "b": WarmUp(4, 0.5, 0, True), "c": WarmUp(4, 0.125, 0, True)}
    timings = interleaved(Benchmark(clock), runs, warm_ups, Effort(fewest=3, most=3))
    assert clock.order == (["a"] * 5 + ["b", "c"]) * 3
    assert {name: timing.calls for name, timing in timings.items()} == {"a": 5, "b": 1, "c": 1}
    for name, each in (("a", 2e-4), ("b", 0.5), ("c", 0.125)):
        assert timings[name].times.shape == (3,)
        assert timings[name].median == pytest.approx(each)
