"""The error of all elements of all calls together: its slope on the value, and how large rounding makes the slope.

A bound on each element must allow for the largest single rounding error, so a result that is 5 % short may stay within
it everywhere. Rounding errors average out over elements and calls, a fault does not. So the errors e of a quantity are
compared with its right values y. One call gives the slope::

    s = Σ w e y / Σ w y²,   w = 1 / bound²

and each perturbed version of the reference gives a slope of its own, made by rounding alone. t, the root mean square of
these, tells how far rounding moves the slope of this call. Errors of one call hang together, since one rounding moves
many elements; calls are independent. So a call counts as one observation, with a weight q ∝ 1 / (t² + f² + u²/4), and
the slope of the quantity is the weighted mean over calls. Rounding explains at most::

    bound = u + Σ q f + T SE / √6,   SE² = Σ q² t²

- u, the unit roundoff, is left to what is right though biased: a last rounding toward zero (0.7 u on average), or a
  function whose approximation errs to one side. Where a coarser accuracy is declared, it is as many times that.
- f is the change of a call's slope where numbers below the smallest normal are flushed to zero.
- SE is the standard error under rounding. The weights for each version's part of it come from the other versions.
  Weights that a version helped to choose favour the calls in which it happened to err little.
- √6: the versions move every result by all that rounding may move it, which is u in units of the result. Rounding to
  nearest moves m in [1, 2) by something spread evenly over ±u. In the root mean square that is u / (√3 m), and u / √6
  for m spread evenly.
- T is Student's factor for `CHANCE`. Sohier et al. (2021), "Confidence intervals for stochastic arithmetic", ACM TOMS
  47(2), derive what a variance costs that is estimated from few samples, errors being normal about a known centre: a
  factor by χ² of as many degrees of freedom as samples. Six versions alone would cost much. Six of each of many calls
  cost little: they have as many degrees of freedom as there are versions, times the number of calls that count (Welch
  1947, Satterthwaite 1946).

The calls themselves tell the standard error of their mean too. A slope that they do not agree on, beyond Student's
factor for `DOUBT` of it, is no drift, however little the versions explain: an algorithm that errs more than the model
of it errs to either side.

A call whose slope rounding moves by more than `LOST` u is left out; the versions alone decide this. No other call
dominates: none weighs more than `LEVERAGE`. A slope further than `REACH` of its own expected sizes from the weighted
median of all counts as if it were there. So the sum is one of many bounded, independent terms, nearly normal as T
supposes, and fewer calls than 1 / `LEVERAGE` are not judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from rnnspec.conformance.judge.declared import in_force
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.student import student
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec.arrays import Array, Floats

CHANCE: Final = 1e-7
"""How often a quantity that rounding alone moves may be found to drift."""

DOUBT: Final = 1e-4
"""How often calls that do not drift may agree on it."""

LEVERAGE: Final = 1 / 8
"""The largest share of the weight that one call may have."""

EVEN: Final = 1 / math.sqrt(6)
"""How large rounding to nearest is, in the root mean square, where the versions are moved by 1."""

LOST: Final = 32.0
"""The slope, in units of roundoff, that rounding gives a call which tells nothing more; it is left out."""

REACH: Final = 10.0
"""How many of its own expected sizes a call's slope may lie off the median before it counts no further."""


@dataclass(frozen=True)
class Finding:
    """The finding on one quantity: it conforms if `ratio`, the slope over its bound, is at most 1."""

    quantity: str
    slope: float
    error: float
    """Standard error of the slope, as the calls differ among themselves."""
    bound: float
    elements: int
    calls: int

    @property
    def ratio(self) -> float:
        """How much of what rounding explains was used."""
        return abs(self.slope) / self.bound

    @property
    def message(self) -> str:
        """The finding in words."""
        return (
            f"{self.quantity}: all {self.elements:,} elements of {self.calls} calls together are "
            f"{_percent(abs(self.slope))} too {'small' if self.slope < 0 else 'large'} (± {_percent(self.error)}), "
            f"where rounding explains {_percent(self.bound)}"
        )


class Slopes:
    """The slopes of one quantity of an operation in a type, call by call."""

    def __init__(self, dtype: str) -> None:
        self._format = format_of(dtype)
        self._unit = self._format.unit_roundoff * in_force(dtype).biased
        self._slopes: list[float] = []
        self._of_versions: list[Floats] = []
        self._flushed: list[float] = []
        self.elements = 0

    @property
    def calls(self) -> int:
        """How many calls were added that had something to judge."""
        return len(self._slopes)

    def add(self, bounded: Bounded, got: Array) -> None:
        """Add what one call gave.

        Elements that are not judged or not finite are left out, and so are those that are lost in their bounds, and a
        call whose slope is lost in rounding.
        """
        if bounded.perturbed is None:
            return
        value, bound, came = bounded.value.ravel(), bounded.bound.ravel(), got.astype(np.float64).ravel()
        used = (np.abs(value) > bound / 2) & (bound > 0) & np.isfinite(value) & np.isfinite(came)
        if not used.any():
            return
        value, bound, came = value[used], bound[used], came[used]
        versions = bounded.perturbed.reshape(len(bounded.perturbed), -1)[:, used]
        # Errors and values are each divided by their bounds, whose square may be too small for any number.
        along = value / bound
        along_of_unit = along / (along @ along)
        of_versions = (versions - value) / bound @ along_of_unit
        moved = math.sqrt(float((of_versions**2).mean()))
        if not moved <= LOST * self._unit:
            return
        self._slopes.append(float((came - value) / bound @ along_of_unit))
        self._of_versions.append(of_versions)
        self._flushed.append(float((self._format.smallest_normal / bound) @ np.abs(along_of_unit)))
        self.elements += value.size

    def finding(self, quantity: str) -> Finding | None:
        """The finding of the calls together; None where there are too few."""
        if self.calls * LEVERAGE < 1:
            return None
        slopes, flushed = np.array(self._slopes), np.array(self._flushed)
        squares = np.array(self._of_versions).T ** 2
        u = self._unit
        known = flushed**2 + (u / 2) ** 2
        expected = np.sqrt(squares.mean(0) + known)
        weights = _weights(expected)
        centre = _weighted_median(slopes, weights)
        kept = np.clip(slopes, centre - REACH * expected, centre + REACH * expected)
        slope = float(weights @ kept)
        terms = np.empty_like(squares)
        for version, own in enumerate(squares):
            by_others = np.sqrt(np.delete(squares, version, 0).mean(0) + known)
            terms[version] = _weights(by_others) ** 2 * np.minimum(own, (REACH * by_others) ** 2)
        by_call = terms.mean(0)
        explained = 0.0
        if by_call.any():
            freedom = len(squares) * by_call.sum() ** 2 / (by_call @ by_call)
            explained = student(float(freedom), CHANCE) * math.sqrt(by_call.sum()) * EVEN
        error = math.sqrt(self.calls / (self.calls - 1) * float(weights**2 @ (kept - slope) ** 2))
        bound = max(u + float(weights @ flushed) + explained, student(self.calls - 1, DOUBT) * error)
        return Finding(quantity, slope, error, bound, self.elements, self.calls)


def judge_drift(drifts: Mapping[str, Slopes]) -> list[Finding]:
    """The finding on each quantity that has enough calls, the worst first."""
    found = [drift.finding(quantity) for quantity, drift in drifts.items()]
    return sorted((finding for finding in found if finding), key=lambda finding: -finding.ratio)


def _weights(expected: Floats) -> Floats:
    """The share of each call, by the inverse of its variance; none has more than `LEVERAGE`."""
    weights = expected**-2
    full = np.zeros(weights.shape, np.bool_)
    while not full.all():
        weights[~full] *= (1 - LEVERAGE * full.sum()) / weights[~full].sum()
        beyond = weights > LEVERAGE * (1 + 1e-9)
        if not beyond.any():
            break
        full |= beyond
        weights[full] = LEVERAGE
    return weights


def _weighted_median(values: Floats, weights: Floats) -> float:
    """The value that half of the weight lies below."""
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)])


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
