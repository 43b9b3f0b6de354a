"""The smallest systematic error that is seen: every element of one result is too large by the same share.

A bound on a single element leaves room for the largest rounding error, so a systematic error may stay within it
everywhere. The check ``drift`` judges all elements together. The measurement multiplies each result of the planned
calls, an output or a gradient, by 1 + e and rounds it to its type. The suite sees the error if an element leaves its
own bound in ``values`` or ``gradients``, or if the slope over all calls exceeds the bound of its rounding errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from rnnspec.backends import open_backend
from rnnspec.conformance.checks.drift import results_of
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.judge.drift import Slopes
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded, forget
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.session import session_of
from rnnspec.conformance.run.typed import made
from rnnspec.spec.arrays import Array

GOALS: Final[Mapping[str, float]] = {"float32": 3e-7, "bfloat16": 1e-2, "float16": 2e-3}
"""Systematic error in each type that the suite is to see in every result."""

DRIFT: Final = "drift"
"""Name of this part, beside the parts with an error in a single quantity."""

Calls = list[tuple[Bounded, Array]]


@dataclass(frozen=True)
class DriftSharpness:
    """One result of an operation in a type: the slope that rounding explains, and the seeds that see errors.

    `explained` is the largest over the seeds. It is infinite, and None in JSON, if a deck has too few calls.
    """

    operation: str
    dtype: str
    quantity: str
    seeds: int
    explained: float
    at_goal: int
    """Number of seeds that see an error of the type's goal in both directions."""
    at_twice: int
    """Number of seeds that see twice that error in both directions."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "explained": self.explained if np.isfinite(self.explained) else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DriftSharpness:
        """Make it from plain data."""
        found = made(cls, {**data, "explained": data["explained"] or 0.0})
        return found if data["explained"] is not None else replace(found, explained=np.inf)


def measure_drift(operation: str, dtype: str, seeds: int) -> list[DriftSharpness]:
    """Measure every result of an operation in a type of `GOALS`, with the seeds from 0 to below `seeds`."""
    goal = GOALS[dtype]
    explained: dict[str, list[float]] = {}
    seen: dict[str, list[tuple[bool, bool]]] = {}
    for seed in range(seeds):
        with np.errstate(all="ignore"):
            for quantity, calls in calls_of(operation, dtype, seed).items():
                finding = _drift(calls, dtype, 0.0).finding(quantity)
                explained.setdefault(quantity, []).append(np.inf if finding is None else finding.bound)
                seen.setdefault(quantity, []).append((_sees(calls, dtype, goal), _sees(calls, dtype, 2 * goal)))
        forget()
    return [
        DriftSharpness(
            operation, dtype, quantity, len(seen[quantity]), max(explained[quantity]),
            sum(at_goal for at_goal, _ in seen[quantity]), sum(at_twice for _, at_twice in seen[quantity]),
        )
        for quantity in seen
    ]  # fmt: skip


def calls_of(operation: str, dtype: str, seed: int) -> dict[str, Calls]:
    """Return the reference's float results of the planned calls with their bounds, by name."""
    session = session_of(open_backend("numpy"), operation, dtype, PROFILES["quick"], seed)
    found: dict[str, Calls] = {}
    for case in session.deck.cases:
        try:
            for quantity, bounded, got in results_of(session.answers, case):
                if bounded.perturbed is not None:
                    found.setdefault(quantity, []).append((bounded, got))
        except OutOfRangeError:
            continue
    return found


def _sees(calls: Calls, dtype: str, error: float) -> bool:
    """Whether both a result that is too large by this share and one that is too small are seen."""
    return all(is_seen(calls, dtype, signed) for signed in (error, -error))


def is_seen(calls: Calls, dtype: str, error: float) -> bool:
    """Return whether a relative error of all elements is seen; a negative one makes them too small."""
    largest = format_of(dtype).largest
    if any(bounded.error_ratios(_with(got, error), largest).max(initial=0.0) > 1 for bounded, got in calls):
        return True
    finding = _drift(calls, dtype, error).finding("")
    return finding is not None and finding.ratio > 1


def _drift(calls: Calls, dtype: str, error: float) -> Slopes:
    drift = Slopes(dtype)
    for bounded, got in calls:
        drift.add(bounded, _with(got, error))
    return drift


def _with(got: Array, error: float) -> Array:
    """The result times 1 + error, rounded to its type."""
    return (got.astype(np.float64) * (1 + error)).astype(got.dtype)
