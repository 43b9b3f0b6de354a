"""Student's t: how far a mean may lie off, in standard errors that were estimated from few numbers."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Final

import numpy as np

from rnnspec.spec.arrays import Floats

_LOST: Final = 40.0
"""The density is integrated to where its logarithm has fallen by this; the rest is less than rounding."""

_STEPS: Final = 60
"""Newton's steps at most; some ten are enough."""


@cache
def _rule() -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(100)


def _gauss(end: float) -> tuple[Floats, Floats]:
    """Places and weights of Gauss's rule with 100 places for an integral from 0 to `end`."""
    places, weights = _rule()
    return end / 2 * (places + 1), end / 2 * weights


def student(freedom: float, chance: float) -> float:
    """The value that Student's t exceeds, to either side, by this chance: exact but for rounding.

    With t = √ν sinh(y / √ν) the density is proportional to cosh(y / √ν)^-ν in y: 1 / cosh(y) for one degree of
    freedom, nearly normal for many. Gauss's rule integrates it, and Newton's method inverts the logarithm of the
    integral from y on. That logarithm is concave, so that the method comes down to the root from above.

    Parameters
    ----------
    freedom
        ν, the degrees of freedom: a number from 1 on, whole or not.
    chance
        The chance, to both sides together, from 1e-100 to 1.

    Returns
    -------
    float
        The quantile; its relative error is below 1e-12 (1.1e-14 at most, measured against 40 digits, from 1 to
        100,000 degrees and for chances from 0.5 to 1e-12).
    """
    root = math.sqrt(freedom)

    def fallen(y: Any) -> Any:
        """By how much the logarithm of the density at `y` is less than at 0: ν log cosh(y / √ν)."""
        return freedom * np.log1p(2 * np.sinh(y / (2 * root)) ** 2)

    above_1 = math.expm1(_LOST / freedom)  # cosh(reach / √ν) - 1
    reach = root * math.log1p(above_1 + math.sqrt(above_1 * (above_1 + 2)))
    places, weights = _gauss(reach)
    half = float(weights @ np.exp(-fallen(places)))
    y = 0.0
    for _ in range(_STEPS):
        beyond = float(weights @ np.exp(fallen(y) - fallen(y + places)))  # over the density at y, which may be tiny
        step = beyond * (math.log(beyond / half / chance) - float(fallen(y)))
        y += step
        if abs(step) <= 1e-15 * y:
            break
    return root * math.sinh(y / root)
