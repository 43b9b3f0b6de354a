"""Conclusions from times: differences, and growth."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.conformance.bench.statistics import (
    Estimate,
    differs,
    growth,
    in_digits,
    in_words,
    ratio_in_turn,
    ratio_of_runs,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(1.1, 1.3, "slower"), (0.5, 0.9, "faster"), (0.9, 1.1, "no difference shown"), (1.0, 1.2, "no difference shown")],
)
def test_a_difference_is_shown_where_the_interval_leaves_1_out(low: float, high: float, words: str) -> None:
    ratio = Estimate((low + high) / 2, low, high)
    assert in_words(ratio) == words
    assert differs(ratio) == (words != "no difference shown")


def test_separate_runs_are_drawn_from_separately(rng: np.random.Generator) -> None:
    old, new = rng.lognormal(0.0, 0.05, 40), rng.lognormal(np.log(1.5), 0.05, 60)
    ratio = ratio_of_runs(new, old)
    assert ratio.low < 1.5 < ratio.high
    assert ratio.high - ratio.low < 0.2
    assert not differs(ratio_of_runs(old, rng.lognormal(0.0, 0.05, 40)))


def test_what_slows_both_in_a_round_does_not_widen_the_interval(rng: np.random.Generator) -> None:
    disturbed = rng.lognormal(0.0, 0.5, 60)
    one, other = 2 * disturbed * rng.lognormal(0.0, 0.01, 60), disturbed
    in_turn, apart = ratio_in_turn(one, other), ratio_of_runs(one, other)
    assert in_turn.low < 2 < in_turn.high
    assert in_turn.high - in_turn.low < (apart.high - apart.low) / 3


def test_the_interval_holds_the_truth_as_often_as_it_says(rng: np.random.Generator) -> None:
    inside = 0
    for _ in range(200):
        ratio = ratio_of_runs(rng.lognormal(np.log(2), 0.1, 30), rng.lognormal(0, 0.1, 30))
        inside += ratio.low <= 2 <= ratio.high
    assert inside >= 176  # of 95 %, less three standard deviations and a little


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_a_power_is_found(exponent: float) -> None:
    sizes = [8, 16, 64, 256]
    found = growth(sizes, [3e-4 * size**exponent for size in sizes], [10.0 * size for size in sizes])
    assert found.exponent.value == pytest.approx(exponent, abs=1e-9)
    assert found.exponent.high - found.exponent.low < 1e-6
    assert found.factor == pytest.approx(3e-4)
    assert found.work == pytest.approx(1.0)
    assert found.surprising == (exponent == 2.0)


def test_scatter_widens_the_interval_and_forbids_conclusions() -> None:
    found = growth([8, 16, 32], [1.0, 9.0, 16.0], [8.0, 16.0, 32.0])
    assert found.exponent.value == pytest.approx(2.0)
    assert found.exponent.low < 1.0
    assert not found.surprising


def test_the_more_sizes_the_fewer_deviations_the_interval_takes() -> None:
    """Beyond ten degrees of freedom too."""

    def deviations(count: int) -> float:
        """Half the interval, in standard errors of the slope."""
        x, sign = np.log(2.0) * np.arange(count), (-1.0) ** np.arange(count)
        found = growth([2**k for k in range(count)], list(np.exp(0.1 * sign)), [1.0] * count).exponent
        centred = x - x.mean()
        left = 0.1 * (sign - sign.mean()) - found.value * centred
        return float((found.high - found.value) / np.sqrt(left @ left / (count - 2) / (centred @ centred)))

    assert deviations(12) == pytest.approx(2.228139, abs=1e-6)
    assert deviations(32) == pytest.approx(2.042272, abs=1e-6)


def test_the_interval_of_a_power_is_students() -> None:
    """Against the textbook: slope ± t · s / √Sxx with n - 2 degrees of freedom."""
    sizes, y = np.array([2.0, 4.0, 8.0, 16.0]), np.array([0.1, 0.9, 2.2, 2.8])
    x = np.log(sizes)
    slope, intercept = np.polyfit(x, y, 1)
    residual = y - slope * x - intercept
    margin = 4.30265273 * np.sqrt(np.sum(residual**2) / 2 / np.sum((x - x.mean()) ** 2))
    found = growth([2, 4, 8, 16], list(np.exp(y)), [1.0, 2.0, 4.0, 8.0]).exponent
    assert found == pytest.approx((slope, slope - margin, slope + margin))


@pytest.mark.parametrize(
    ("number", "text"),
    [(99.6, "100"), (1234.0, "1,200"), (99.4, "99"), (1.04, "1"), (0.00123, "0.0012"), (1e-7, "1e-07")],
)
def test_a_large_number_has_no_exponent(number: float, text: str) -> None:
    assert in_digits(number, 2) == text
