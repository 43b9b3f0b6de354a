"""A call with what a backend answered to it, against which suspects are held."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from functools import cached_property
from typing import Final

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.diagnosis.misreadings import Misreading
from rnnspec.conformance.diagnosis.suspect import Suspect
from rnnspec.conformance.edits.compiled import CompiledCall
from rnnspec.conformance.edits.running import Runner, results
from rnnspec.conformance.edits.single import EditedPart
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec.arrays import Array, Arrays, NamedArrays

CLEAR: Final = 30.0
"""How many times its tolerance a wrong number must be off, for what gives it to be a suspect."""

_UNITS: Final = 64.0
"""Units of roundoff of an array's largest number that any of its numbers may be off."""

_NEAR: Final = 0.01
"""The share of an array's largest number that is no small error in a type that has many digits."""

_FINE: Final = 2.0**-24
"""The unit of roundoff of types that have many digits."""

_MOVED: Final = 16.0
"""How many times what a few roundings of the inputs change in a suspect's numbers these may be off."""


class Probe:
    """A call with what a backend answered to it, against which suspects are held."""

    def __init__(self, case: Case, part: EditedPart, runner: Runner, came: NamedArrays) -> None:
        self.case, self.part, self.runner, self.came = case, part, runner, came
        floats = {name: array.astype(np.float64) for name, array in case.given.float_inputs.items()}
        self.call = Call(case.operation, {**case.given.inputs, **floats}, case.given.attributes)
        self.cotangents = tuple(array.astype(np.float64) for array in case.given_cotangents)
        self.unit = format_of(case.dtype).unit_roundoff
        expected = expected_of(case, gradients=part == "gradients")
        self.right = expected.gradients if part == "gradients" else expected.outputs

    @cached_property
    def compiled(self) -> CompiledCall:
        """The call by the right equations."""
        return self.runner.call(self.call.inputs, self.call.attributes)

    @property
    def is_complete(self) -> bool:
        """Whether all that is due came, whatever its shape."""
        return set(self.came) == set(self.right)

    @cached_property
    def right_results(self) -> NamedArrays:
        """The right equations' results."""
        return {name: bounded.value for name, bounded in self.right.items()}

    @cached_property
    def floor(self) -> float:
        """The remainder of a rounding of ordinary numbers: for a gate that is all but closed, some code gives 0."""
        largest = max(map(_largest, self.call.float_inputs.values()), default=1.0)
        return 4 * self.unit * min(1.0, largest)

    @cached_property
    def tolerance(self) -> dict[str, Array]:
        """The part of a result that rounding explains, whatever is computed."""
        return {
            name: np.where(np.isnan(bounded.bound), np.inf, 4 * bounded.bound)
            + _UNITS * self.unit * _largest(bounded.value)
            + self.floor
            for name, bounded in self.right.items()
        }

    @cached_property
    def wrong(self) -> frozenset[str]:
        """Names of the results that have clearly wrong numbers; of NaN, which many slips give, nothing is learnt."""
        found = set()
        for name, bounded in self.right.items():
            if self.came[name].shape != bounded.value.shape:
                found.add(name)
                continue
            there = ~np.isnan(self.came[name].astype(np.float64))
            came, tolerance = self.came[name][there], self.tolerance[name][there]
            if is_apart(came, bounded.value[there], CLEAR * tolerance):
                found.add(name)
        return frozenset(found)

    @cached_property
    def first(self) -> str | None:
        """The smallest of the results that are clearly wrong: what does not give it need not be worked out further."""
        return min(self.wrong, key=lambda name: self.came[name].size, default=None)

    @property
    def is_clear(self) -> bool:
        """Whether something is wrong by far more than rounding explains."""
        return bool(self.wrong)

    @cached_property
    def error_ratio(self) -> float:
        """The largest error of what came, in units of the bounds; infinite where a shape is wrong."""
        largest, ratio = format_of(self.case.dtype).largest, 0.0
        for name, bounded in self.right.items():
            if self.came[name].shape != bounded.value.shape:
                return np.inf
            with np.errstate(all="ignore"):
                ratio = max(ratio, float(bounded.error_ratios(self.came[name], largest).max(initial=0.0)))
        return ratio

    @cached_property
    def is_inexact(self) -> bool:
        """Whether what came is off by little more than rounding explains."""
        return self.error_ratio <= CLEAR and self.is_near

    @property
    def is_near(self) -> bool:
        """Whether what came has small errors alone: of digits, of which rounding explains fewer."""
        if self.unit > _FINE:
            return self.error <= _UNITS * self.unit
        return self.error_ratio <= CLEAR or self.error <= _NEAR

    @cached_property
    def error(self) -> float:
        """The largest error of what came, in units of the array's largest number."""
        with np.errstate(all="ignore"):
            errors = [
                np.abs(self.came[name].astype(np.float64) - bounded.value).max(initial=0.0)
                / np.float64(_largest(bounded.value))
                for name, bounded in self.right.items()
                if not np.array_equal(self.came[name], bounded.value)
            ]
        return float(max(errors, default=0.0)) if np.isfinite(errors).all() else np.inf

    def fits(self, suspect: Suspect) -> bool:
        """Whether a suspect gives all that came."""
        if self.first is not None and self.first not in self.fitting(suspect, (self.first,)):
            return False
        return len(self.fitting(suspect)) == len(self.came)

    def nearly_fits(self, suspect: Suspect) -> bool:
        """Whether a suspect gives what came up to what a rounding of the inputs changes in it.

        What is wrong may be worse conditioned than what is right.
        """
        given, moved = self.given_by(suspect), self.moved.given_by(suspect)
        if given is None or moved is None or given.keys() != self.came.keys():
            return False
        if any(array.shape != self.right[name].value.shape for name, array in given.items()):
            return False
        with np.errstate(all="ignore"):
            spread = {name: np.nan_to_num(np.abs(given[name] - a), nan=np.inf) for name, a in moved.items()}
        # Some numbers are left where they are by chance.
        wide = {name: self.tolerance[name] + _MOVED * (a + a.max(initial=0.0) / 4) for name, a in spread.items()}
        return not any(
            array.shape != self.came[name].shape or is_apart(self.came[name], array, wide[name])
            for name, array in given.items()
        )

    def share_left(self, suspect: Suspect) -> float:
        """The share of the error, by its squares in units of the bounds, that a suspect leaves; 1 where it has none."""
        given = self.given_by(suspect)
        if given is None or given.keys() != self.came.keys():
            return 1.0
        error, rest = 0.0, 0.0
        for name, bounded in self.right.items():
            came, judged = self.came[name].astype(np.float64), bounded.bound > 0
            if came.shape != given[name].shape or came.shape != bounded.value.shape:
                return 1.0
            for other, of_right in ((bounded.value, True), (given[name].astype(np.float64), False)):
                with np.errstate(all="ignore"):
                    squares = float((((came - other) / bounded.bound)[judged] ** 2).sum())
                error, rest = (error + squares, rest) if of_right else (error, rest + squares)
        return rest / error if error > 0 and np.isfinite(rest) else 1.0

    @cached_property
    def moved(self) -> Probe:
        """The same call with inputs that are a few roundings away."""
        other, drawn = copy(self), stream(self.case.seed, "moved")
        inputs = {
            name: array * (1 + 4 * self.unit * drawn.uniform(-1, 1, array.shape))
            for name, array in self.call.float_inputs.items()
        }
        other.call = Call(self.call.operation, {**self.call.inputs, **inputs}, self.call.attributes)
        other.__dict__.pop("compiled", None)
        other.__dict__.pop("_last", None)
        return other

    def fitting(self, suspect: Suspect, only: Collection[str] | None = None) -> list[str]:
        """Return the names of the results that a suspect gives as they came, of some of them or of all."""
        found = self.given_by(suspect, only)
        if found is None:
            return []
        return [
            name
            for name, array in found.items()
            if name in self.came
            and array.shape == self.came[name].shape
            and not is_apart(self.came[name], array, self._allowed(name, array))
        ]

    def _allowed(self, name: str, given: Array) -> Array:
        """The part of a suspect's result that rounding explains; the result may have a wrong shape."""
        tolerance = (
            self.tolerance[name]
            if given.shape == self.right[name].value.shape
            else self.tolerance[name].max(initial=0.0)
        )
        return np.asarray(tolerance + _UNITS * self.unit * _largest(given))

    def given_by(self, suspect: Suspect, only: Collection[str] | None = None) -> NamedArrays | None:
        """Return what a suspect gives, `only` some of it if it may be; None where it cannot be worked out."""
        try:
            suspect = suspect.at(self.case)
            if suspect.alone is not None:
                return self._given_by_planted(suspect.alone)
            compiled = self._altered(tuple(suspect.misreadings))
            edited = self.runner.edited(compiled, suspect.edits)
            if edited is self.compiled and not suspect.misreadings:
                return self.right_results
            cotangents: Arrays = self.cotangents
            for one in suspect.misreadings:
                cotangents = one.received(self.call, cotangents)
            found = results(edited, cotangents, self.part, None if suspect.misreadings else only)
            for one in suspect.misreadings:
                found = (one.outputs if self.part == "values" else one.gradients)(self.call, found)
        except Exception:  # a wrong equation, or a call that is none, gives nothing
            return None
        return {name: array if np.isrealobj(array) else array.real for name, array in found.items()}

    def _altered(self, misreadings: tuple[Misreading, ...]) -> CompiledCall:
        """The call as it is misread, by the right equations; the last of them is kept."""
        call = self.call
        if misreadings and misreadings == self._last[0]:
            return self._last[1]
        for one in misreadings:
            call = one.alter(call)
        if call is self.call:
            return self.compiled
        self._last = misreadings, self.runner.call(call.inputs, call.attributes)
        return self._last[1]

    @cached_property
    def _last(self) -> tuple[tuple[Misreading, ...], CompiledCall]:
        return (), self.compiled

    def _given_by_planted(self, fault: Fault) -> NamedArrays:
        backend, call, cotangents = fault.implementation(), self.case.anew().call, self.case.given_cotangents
        with np.errstate(all="ignore"):
            if self.part == "gradients":
                return dict(backend.gradients(call, cotangents))
            return dict(zip(self.case.results, backend.run(call), strict=True))


def _largest(array: Array) -> float:
    """The largest finite magnitude of an array."""
    return float(np.abs(array, where=np.isfinite(array), out=np.zeros(array.shape)).max(initial=0.0))


def is_apart(came: Array, given: Array, tolerance: Array) -> bool:
    """Whether two arrays differ somewhere by more than a tolerance."""
    with np.errstate(all="ignore"):
        came = came.astype(np.float64)
        near = np.abs(came - given) <= tolerance
    return not bool((near | (came == given) | (np.isnan(came) & np.isnan(given))).all())
