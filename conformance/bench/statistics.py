"""Estimates from times, with their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from rnnspec.conformance.judge.student import student
from rnnspec.spec.arrays import Floats

DOUBT: Final = 0.05
"""How often the interval of an exponent misses it."""
SURPRISE: Final = 0.25
"""Least excess of the time's exponent over the work's exponent that is surprising."""
RESAMPLES: Final = 2000


class Estimate(NamedTuple):
    """A figure, and the interval that holds it with 95 % confidence."""

    value: float
    low: float
    high: float


def ratio_in_turn(times: Floats, to: Floats) -> Estimate:
    """Return the ratio of the medians of two series timed in turn, with a bootstrap interval over the rounds.

    The bootstrap draws whole rounds, since a disturbance mostly slows both series.
    """
    return _estimate(times, to, np.exp(_resampled(times, to)))


def ratio_of_runs(times: Floats, to: Floats) -> Estimate:
    """Return the ratio of the medians of two separate runs, with a bootstrap interval that draws from each alone."""
    rng = np.random.default_rng(0)
    above, below = (np.median(x[rng.integers(x.size, size=(RESAMPLES, x.size))], axis=1) for x in (times, to))
    return _estimate(times, to, above / below)


def mean_ratio(pairs: Sequence[tuple[Floats, Floats]]) -> Estimate:
    """Return the geometric mean of the ratios of several pairs of series, each timed in turn, with its interval."""
    logarithms = [_resampled(times, to) for times, to in pairs]
    value = np.mean([np.log(np.median(times) / np.median(to)) for times, to in pairs])
    low, high = np.quantile(np.mean(logarithms, axis=0), (0.025, 0.975))
    return Estimate(*(float(np.exp(one)) for one in (value, low, high)))


def _resampled(times: Floats, to: Floats) -> Floats:
    """Logarithms of the ratio over the rounds that a bootstrap draws."""
    drawn = np.random.default_rng(0).integers(times.size, size=(RESAMPLES, times.size))
    found: Floats = np.log(np.median(times[drawn], axis=1) / np.median(to[drawn], axis=1))
    return found


def _estimate(times: Floats, to: Floats, resampled: Floats) -> Estimate:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Estimate(float(np.median(times) / np.median(to)), float(low), float(high))


def differs(ratio: Estimate) -> bool:
    """Return whether the interval excludes 1."""
    return ratio.low > 1 or ratio.high < 1


def in_digits(number: float, digits: int) -> str:
    """Return a number to so many digits; a large one has no exponent."""
    text = f"{number:.{digits}g}"
    return f"{float(text):,.0f}" if "e+" in text else text


def in_words(ratio: Estimate) -> str:
    """Return the ratio's verdict: ``slower``, ``faster`` or ``no difference shown``."""
    if not differs(ratio):
        return "no difference shown"
    return "slower" if ratio.value > 1 else "faster"


@dataclass(frozen=True)
class Growth:
    """Time against size: ``factor · size ** exponent``, by least squares in the logarithms.

    `work` is the exponent of the work.
    """

    exponent: Estimate
    factor: float
    work: float

    @property
    def surprising(self) -> bool:
        """Whether the interval of the exponent lies above the work's exponent by more than `SURPRISE`."""
        return self.exponent.low > self.work + SURPRISE


def growth(sizes: Sequence[int], seconds: Sequence[float], work: Sequence[float]) -> Growth:
    """Fit the exponents of time and of work, to at least three sizes."""
    fitted, factor = _power(sizes, seconds)
    return Growth(fitted, factor, _power(sizes, work)[0].value)


def _power(sizes: Sequence[int], values: Sequence[float]) -> tuple[Estimate, float]:
    """Exponent, with an interval from the scatter about the line, and factor."""
    x, y = np.log(np.array(sizes, np.float64)), np.log(np.array(values, np.float64))
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    left = y - y.mean() - slope * centred
    freedom = len(x) - 2
    deviation = float(np.sqrt(left @ left / freedom / spread))
    margin = student(freedom, DOUBT) * deviation
    return Estimate(slope, slope - margin, slope + margin), float(np.exp(y.mean() - slope * x.mean()))
