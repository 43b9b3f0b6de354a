"""The smallest planted error that the suite's computed bounds see, and that fixed tolerances see on the same cases.

A **run** has the cases that ``rnnspec validate --profile quick`` draws for one check of one operation in one type, with
one seed. Each run chooses a random quantity among those that the reference computes in these cases and that change a
result. A relative error e is planted in it, the same at every step and in every case. A tolerance sees the error if it
rejects a result in at least one case whose right result it accepts. The sharpness is the smallest power of two e that
is seen in a given share of the runs, each with another seed.

A tolerance that rejects everything sees every error. Right results are therefore judged too: those of the reference
with each elementary operation rounded to the type. The share of rejected right results is reported beside the
sharpness.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call, open_backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.conformance.run import PROFILES, run_check
from rnnspec.conformance.run.typed import made
from rnnspec.conformance.sharpness.places import CodePlace
from rnnspec.conformance.sharpness.planting import Places, RelativeError, RoundedToType, WatchedReference
from rnnspec.conformance.sharpness.tolerances import TOLERANCES
from rnnspec.conformance.sharpness.watched import Observer
from rnnspec.spec import operation as spec_operation
from rnnspec.spec.arrays import Array

PARTS: Final[Mapping[str, Check]] = {"values": Values(), "gradients": Gradients()}
"""Part of the computation with the planted error, forward or backward, and the check that draws its cases."""

LARGEST: Final = 0
"""The largest planted error is ``2**LARGEST``: the quantity doubled."""
_LEAST: Final = -1074
"""The exponent of the smallest number that is not 0."""

LIVE: Final = 2.0**-40
"""Largest change of a result by a planted error of 1/8 that does not matter, relative to the largest element.

An error may cancel in float64, as the shift of a softmax does, and the result stays right.
"""

Results = dict[str, Array]


@dataclass(frozen=True)
class SeedRun:
    """One seed: the quantity, and the exponent of the smallest error that each tolerance saw; None if it saw none."""

    seed: int
    quantity: str
    seen: Mapping[str, int | None]

    def smallest(self, tolerance: str) -> float:
        """Return the smallest error that a tolerance saw; infinite if it saw none."""
        exponent = self.seen[tolerance]
        return math.inf if exponent is None else 2.0**exponent


@dataclass(frozen=True)
class Sharpness:
    """Measurements of an operation in a type; `rejected` counts the rejected ones of `right` right results."""

    operation: str
    dtype: str
    part: str
    runs: tuple[SeedRun, ...]
    right: int
    rejected: Mapping[str, int]

    def smallest(self, tolerance: str, share: float = 0.95) -> float:
        """Return the smallest error seen in this share of at least one run; infinite if even an error of 1 is not."""
        errors = sorted(run.smallest(tolerance) for run in self.runs)
        return errors[math.ceil(share * len(errors)) - 1]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "operation": self.operation,
            "dtype": self.dtype,
            "part": self.part,
            "smallest": self._told(0.95),
            "median": self._told(0.5),
            "right": self.right,
            "rejected": dict(self.rejected),
            "runs": [{"seed": run.seed, "quantity": run.quantity, "seen": dict(run.seen)} for run in self.runs],
        }

    def _told(self, share: float) -> dict[str, float | None]:
        """Smallest errors by tolerance; None if none is seen."""
        errors = {one.name: self.smallest(one.name, share) if self.runs else math.inf for one in TOLERANCES}
        return {name: None if math.isinf(error) else error for name, error in errors.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sharpness:
        """Make it from plain data."""
        found = made(cls, {field.name: data[field.name] for field in fields(cls)})
        names = {tolerance.name for tolerance in TOLERANCES}
        if any(set(counted) != names for counted in (found.rejected, *(run.seen for run in found.runs))):
            raise ValueError(f"expected a number of each of {', '.join(sorted(names))}")
        exponents = [exponent for run in found.runs for exponent in run.seen.values() if exponent is not None]
        if not all(_LEAST <= exponent <= LARGEST for exponent in exponents):
            raise ValueError(f"expected exponents from {_LEAST} to {LARGEST}")
        return found


def error_text(error: float) -> str:
    """Format an error."""
    return f"> {2**LARGEST}" if math.isinf(error) else f"{error:.1e}"


def measure(operation: str, dtype: str, part: str, runs: int) -> Sharpness:
    """Measure one operation in one type, with the seeds from 0 to below `runs`.

    Runs without a computed quantity are left out, such as those of operations that only move numbers.
    """
    done: list[SeedRun] = []
    right, rejected = 0, dict.fromkeys((tolerance.name for tolerance in TOLERANCES), 0)
    for seed in range(runs):
        with np.errstate(all="ignore"):
            trials = [_Trial(case, part) for case in cases_of(operation, dtype, part, seed)]
            right += len(trials)
            for trial in trials:
                results = trial.step_by_step()
                for tolerance in TOLERANCES:
                    rejected[tolerance.name] += not trial.accepted(tolerance.name, results)
            place = _quantity(trials, np.random.default_rng(seed))
            if place is not None:
                reached = [trial for trial in trials if place.instructions in trial.places]
                seen = {tolerance.name: _smallest_seen(reached, place, tolerance.name) for tolerance in TOLERANCES}
                done.append(SeedRun(seed, place.name, seen))
    return Sharpness(operation, dtype, part, tuple(done), right, rejected)


def applies(operation: str, part: str) -> bool:
    """Return whether an operation has this part."""
    return PARTS[part].applies_to(spec_operation(operation))


def cases_of(operation: str, dtype: str, part: str, seed: int) -> list[Case]:
    """Return the different cases that the profile ``quick`` draws for the check of this part."""
    cases: dict[str, Case] = {}

    def gather(backend: Backend, example: Case) -> float:
        expected_of(example, gradients=part == "gradients")  # raises where the check does not judge the case
        cases.setdefault(str(example), example)
        return 0.0

    check = PARTS[part].examined_by(gather)
    run_check(check, _reference(), operation, dtype, PROFILES["quick"], seed_number=seed)
    return list(cases.values())


@cache
def _reference() -> Backend:
    """The reference as a backend, opened once so that its support is found once."""
    return open_backend("numpy")


def smallest_seen(seen: Callable[[int], bool], lowest: int, below: int) -> int:
    """Return the lowest exponent that is seen, by bisection between `lowest` and `below`.

    All exponents above a seen one count as seen, and so does `below`, which is the result if no lower one is seen.
    """
    while lowest < below:
        middle = (lowest + below) // 2
        if seen(middle):
            below = middle
        else:
            lowest = middle + 1
    return below


class _Trial:
    """One case: its expected results, and results with planted errors, judged by the tolerances."""

    def __init__(self, case: Case, part: str) -> None:
        self.case, self.part = case, part
        expected = expected_of(case, gradients=part == "gradients")
        self.expected: dict[str, Bounded] = expected.outputs if part == "values" else expected.gradients
        places = Places()
        self.results = self.of(places)
        self.places = places.found
        self._planted: dict[int, Results] = {}
        self._sound = {tolerance.name: self.accepted(tolerance.name, self.results) for tolerance in TOLERANCES}

    def of(self, observer: Observer, call: Call | None = None) -> Results:
        """Return the reference's results by name; the observer sees every elementary operation."""
        backend = WatchedReference(observer)
        if self.part == "gradients":
            gradients = backend.way_back(call or self.case.call, self.case.cotangents)
            return {name: gradients[name] for name in self.expected}
        return dict(zip(self.expected, backend.run(call or self.case.call), strict=True))

    def step_by_step(self) -> Results:
        """Return right results with each elementary operation rounded to the type."""
        # The reference does so in the wide types; in the others it computes in float32 and rounds once.
        return self.results if _wide(self.case.dtype) == self.case.dtype else self.of(RoundedToType(self.case.dtype))

    def accepted(self, tolerance: str, results: Results) -> bool:
        """Return whether a tolerance accepts all of these results."""
        accepts = next(one for one in TOLERANCES if one.name == tolerance).accepts
        return all(accepts(self.case, self.expected[name], got) for name, got in results.items())

    def sees(self, tolerance: str, place: CodePlace, exponent: int) -> bool:
        """Return whether a tolerance accepts the right results, but rejects those with the error ``2**exponent``."""
        if not self._sound[tolerance]:
            return False
        if exponent not in self._planted:
            self._planted[exponent] = self.of(RelativeError(place, 2.0**exponent))
        return not self.accepted(tolerance, self._planted[exponent])

    def matters(self, place: CodePlace) -> bool:
        """Return whether an error at a place changes a result in float64; see `LIVE`."""
        floats = {name: array.astype(np.float64) for name, array in self.case.call.float_inputs.items()}
        call = Call(self.case.operation, {**self.case.call.inputs, **floats}, self.case.call.attributes)
        right, wrong = (self.of(observer, call) for observer in (RelativeError(place, 0), RelativeError(place, 1 / 8)))
        return any(_differ(right[name], wrong[name]) for name in right)


def _differ(right: Array, wrong: Array) -> bool:
    finite = np.isfinite(right) & np.isfinite(wrong)
    if not np.array_equal(right[~finite], wrong[~finite], equal_nan=True):
        return True
    largest = np.abs(right).max(initial=0.0, where=finite)
    return bool(np.any(np.abs(right[finite] - wrong[finite]) > LIVE * largest))


def _quantity(trials: Sequence[_Trial], rng: np.random.Generator) -> CodePlace | None:
    """Choose a quantity that the cases compute and that matters in at least one; None if there is none."""
    places = list({key: place for trial in trials for key, place in trial.places.items()}.values())
    for index in rng.permutation(len(places)):
        place = places[int(index)]
        if any(trial.matters(place) for trial in trials if place.instructions in trial.places):
            return place
    return None


def _smallest_seen(trials: Iterable[_Trial], place: CodePlace, tolerance: str) -> int | None:
    """Exponent of the smallest error that is seen in at least one case; None if even an error of 1 is not."""
    beyond = LARGEST + 1
    found = beyond
    for trial in trials:
        lowest = _lowest(trial.case.dtype)
        # Most cases see no smaller error than the best so far, so that one question is enough for them.
        if found > lowest and trial.sees(tolerance, place, found - 1):
            found = smallest_seen(partial(trial.sees, tolerance, place), lowest, found - 1)
    return None if found == beyond else found


def _lowest(dtype: str) -> int:
    """Exponent of the smallest error that changes 1 in the type of the computation."""
    return round(math.log2(format_of(_wide(dtype)).unit_roundoff)) + 1


def _wide(dtype: str) -> str:
    """Type in which the reference computes."""
    return dtype if dtype in ("float32", "float64") else "float32"
