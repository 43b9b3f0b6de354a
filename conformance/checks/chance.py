"""Chance: what so many choices at random are, but for a probability that is named."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import Final

import numpy as np

from rnnspec.spec.arrays import Array

ALARM: Final = 1e-12
"""The probability with which one comparison finds fault with what is right; a run makes fewer than a thousand."""


@lru_cache(maxsize=256)
def binomial_interval(count: int, probability: float, alarm: float = ALARM) -> tuple[int, int]:
    """The least and the greatest number of successes that are to be expected of so many trials.

    Parameters
    ----------
    count
        Number of trials.
    probability
        Of a success in each.
    alarm
        The probability of a number outside of the interval: it is at most half of this on either side.

    Returns
    -------
    tuple of int
        Both ends, which are expected themselves. They are those of the binomial distribution, in whole numbers.
    """
    return (
        _fewest(count, Fraction(probability), Fraction(alarm) / 2),
        count - _fewest(count, 1 - Fraction(probability), Fraction(alarm) / 2),
    )


def _fewest(count: int, probability: Fraction, alarm: Fraction) -> int:
    """The least k for which fewer than k successes are no more probable than the alarm."""
    p, whole = probability.numerator, probability.denominator
    most = alarm.numerator * whole**count // alarm.denominator
    below, term = 0, (whole - p) ** count  # term is comb(count, k) p^k (whole - p)^(count - k)
    for k in range(count + 1):
        below += term
        if below > most:
            return k
        term = comb(count, k + 1) * p ** (k + 1) * (whole - p) ** (count - k - 1) if k < count else 0
    return count


def are_the_same(slices: Array, rate: float) -> str:
    """How rows of choices, ``(rows, choices)`` of bool, are more alike than chance allows; empty if they are not.

    Each choice is false with the probability `rate`. Two equal rows are found where they have so many choices that
    this is no chance, and otherwise only that all are equal.
    """
    rows, choices = slices.shape
    if rows < 2:
        return ""
    if comb(rows, 2) * (rate**2 + (1 - rate) ** 2) ** choices <= ALARM:
        return "two have the same" if len(np.unique(slices, axis=0)) < rows else ""
    if (rate**rows + (1 - rate) ** rows) ** choices <= ALARM:
        return "all have the same" if bool((slices == slices[0]).all()) else ""
    return ""
