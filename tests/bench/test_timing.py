"""Warming up, rounds and turns, under a clock that moves as it is told."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from rnnspec.conformance.bench.timing import (
    Effort,
    WarmUp,
    by_clock,
    by_pytest_benchmark,
    calls_a_round,
    in_turn,
    interleaved,
    rounds_of,
    warm_up,
)


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
    """The part of pytest-benchmark's fixture that is used."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=[]))

    def pedantic(self, target: Any, setup: Any, rounds: int) -> None:
        for _ in range(rounds):
            arguments, options = setup()
            started = self.clock()
            target(*arguments, **options)
            self.stats.stats.data.append(self.clock() - started)


@pytest.fixture(params=["pytest-benchmark", "clock"])
def rounds(request: pytest.FixtureRequest, clock: Any) -> Any:
    return by_clock(clock) if request.param == "clock" else by_pytest_benchmark(Benchmark(clock))


def test_rounds_take_turns_and_each_gets_its_own_times(clock: Any, rounds: Any) -> None:
    runs = {name: takes(clock, forever(then=each), name) for name, each in (("a", 2e-4), ("b", 0.5), ("c", 0.125))}
    warm_ups = {"a": WarmUp(4, 2e-4, 0, True), "b": WarmUp(4, 0.5, 0, True), "c": WarmUp(4, 0.125, 0, True)}
    timings, failed = interleaved(rounds, runs, warm_ups, Effort(fewest=3, most=3))
    assert failed == {}
    assert clock.order == (["a"] * 5 + ["b", "c"]) * 3
    assert {name: timing.calls for name, timing in timings.items()} == {"a": 5, "b": 1, "c": 1}
    for name, each in (("a", 2e-4), ("b", 0.5), ("c", 0.125)):
        assert timings[name].times.shape == (3,)
        assert timings[name].median == pytest.approx(each)


def test_who_fails_drops_out_and_is_not_called_again(clock: Any, rounds: Any) -> None:
    runs = {"a": takes(clock, iter([0.5, 0.5]), "a"), "b": takes(clock, forever(then=0.125), "b")}
    warm_ups = {"a": WarmUp(4, 0.5, 0, True), "b": WarmUp(4, 0.125, 0, True)}
    timings, failed = interleaved(rounds, runs, warm_ups, Effort(fewest=5, most=5))
    assert {name: type(error) for name, error in failed.items()} == {"a": StopIteration}
    assert set(timings) == {"b"}
    assert timings["b"].times == pytest.approx([0.125] * 5)
    assert clock.order == ["a", "b"] * 2 + ["b"] * 3


def test_functions_are_timed_in_turn_outside_of_pytest(clock: Any) -> None:
    enabled: list[bool] = []
    fast, slow = takes(clock, forever(then=0.125), "a"), takes(clock, forever(3.0, then=0.25), "b")
    timings = in_turn({"a": lambda: enabled.append(gc.isenabled()) or fast(), "b": slow}, Effort(3, 3), clock)
    assert clock.order == ["a"] * 4 + ["b"] * 5 + ["a", "b"] * 3
    assert timings["a"].times == pytest.approx([0.125] * 3)
    assert timings["b"].times == pytest.approx([0.25] * 3)
    assert enabled == [True] * 4 + [False] * 3, "nothing is collected while the clock runs"
    assert gc.isenabled()
    with pytest.raises(StopIteration):
        in_turn({"a": takes(clock, iter([0.5] * 5))}, Effort(3, 3), clock)
