"""Student's t: against textbooks, where it has a closed form, and by another integral of its density."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnspec.conformance.judge.student import student

TABLE = {
    (1, 0.05): 12.706,
    (2, 0.05): 4.303,
    (3, 0.05): 3.182,
    (4, 0.05): 2.776,
    (5, 0.05): 2.571,
    (6, 0.05): 2.447,
    (7, 0.05): 2.365,
    (8, 0.05): 2.306,
    (9, 0.05): 2.262,
    (10, 0.05): 2.228,
    (20, 0.05): 2.086,
    (30, 0.05): 2.042,
    (60, 0.05): 2.000,
    (100, 0.05): 1.984,
    (1000, 0.05): 1.962,
    (1, 0.01): 63.657,
    (10, 0.01): 3.169,
    (100, 0.01): 2.626,
    (1, 0.002): 318.309,
    (5, 0.002): 5.893,
    (10, 0.002): 4.144,
    (100, 0.002): 3.174,
    (1000, 0.002): 3.098,
}
"""By degrees of freedom and chance to both sides, rounded to three decimals as textbooks print them."""


@pytest.mark.parametrize(("freedom", "chance"), TABLE)
def test_it_has_the_values_that_textbooks_print(freedom: float, chance: float) -> None:
    assert student(freedom, chance) == pytest.approx(TABLE[freedom, chance], abs=5.001e-4)


@pytest.mark.parametrize("chance", [0.9, 0.5, 0.05, 1e-4, 1e-7, 1e-30, 1e-100])
def test_with_one_degree_and_with_two_it_is_what_their_formulas_say(chance: float) -> None:
    assert student(1, chance) == pytest.approx(1 / math.tan(math.pi * chance / 2), rel=1e-12)
    assert student(2, chance) == pytest.approx(math.sqrt(2 / (chance * (2 - chance)) - 2), rel=1e-12)


@pytest.mark.parametrize("freedom", [1e12, 1e18])
def test_with_very_many_degrees_it_is_normal(freedom: float) -> None:
    assert student(freedom, 0.05) == pytest.approx(1.959963984540054, rel=1e-11)
    assert student(freedom, 1e-7) == pytest.approx(5.326723886384500, rel=1e-11)


def two_sided_tail(t: float, freedom: float) -> float:
    """P(|x| > t) for Student's x, by the midpoint rule in t / x."""
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    s = (np.arange(20_000) + 0.5) / 20_000
    density = np.exp(log_scale - (freedom + 1) / 2 * np.log1p((t / s) ** 2 / freedom))
    return 2 * float((density * t / s**2).mean())


@pytest.mark.parametrize("freedom", [1, 1.5, 3, 5, 5.7, 10, 30, 100, 1000])
@pytest.mark.parametrize("chance", [0.05, 1e-4, 1e-7])
def test_it_is_exceeded_as_often_as_said(freedom: float, chance: float) -> None:
    assert two_sided_tail(student(freedom, chance), freedom) == pytest.approx(chance, rel=1e-6)


def test_at_its_ends() -> None:
    assert student(5, 1) == 0
    assert math.isnan(student(math.nan, 0.05))
