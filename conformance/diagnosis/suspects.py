"""The equation that a backend computes: the edits and misreadings of the specification that give its numbers.

Each single edit of an operation's equations, and each misreading of a call, is worked out on a small failing call, and
then on more calls, of which some are right. What gives the backend's numbers on all of them is a suspect. Where nothing
does, two that stand together are looked for: one of them alone gives what comes where an input is 0, or gives some of
the results.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Final

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.diagnosis.misreadings import Misreading, misreadings, wrong_gradients
from rnnspec.conformance.diagnosis.oracle import Clock, Oracle, OutOfTimeError
from rnnspec.conformance.edits.compiled import CompiledCall
from rnnspec.conformance.edits.running import Runner, results
from rnnspec.conformance.edits.single import Edit, EditedPart, choosing, coarse_edits, single_edits
from rnnspec.conformance.faults.catalogue import FAULTS
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec import Operation, operation
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.language import parse
from rnnspec.spec.operation import Settings, settings_of

CLEAR: Final = 30.0
"""How many times its tolerance a wrong number must be off, for what gives it to be a suspect."""

PAIRS: Final = 4.0
"""The time, in seconds, for which two that stand together are looked for."""

_UNITS: Final = 64.0
_MOVED: Final = 16.0
"""How many times what a few roundings of the inputs change in a suspect's numbers these may be off."""

_TOGETHER: Final = 6
"""How many of the suspects of a part of the results are tried together with another."""


@dataclass(frozen=True)
class Suspect:
    """What the code computes, in place of what the specification has. Nothing in it: the specification itself."""

    edits: tuple[Edit, ...] = ()
    misreadings: tuple[Misreading, ...] = ()
    planted: tuple[Fault, ...] = ()
    """A fault of the catalogue, of which no more is known than that it gives the same: it stands alone."""

    def __bool__(self) -> bool:
        return bool(self.edits or self.misreadings or self.planted)

    def __add__(self, other: Suspect) -> Suspect:
        planted = self.planted + other.planted
        return Suspect(self.edits + other.edits, self.misreadings + other.misreadings, planted)

    def __str__(self) -> str:
        known = [f"in `{fault.name}` of the catalogue: {fault.about.rstrip('.')}" for fault in self.planted]
        return " and ".join([*(one.text for one in self.misreadings), *map(_edit_text, self.edits), *known])

    def widened(self) -> Suspect:
        """Return the suspect with its lines in the place of all of the same left side, under whatever attributes."""
        if not any(edit.when for edit in self.edits):
            return self
        lines = [tuple(replace(line, when={}) for line in edit.lines) for edit in self.edits]
        edits = tuple(replace(edit, lines=some) for edit, some in zip(self.edits, lines, strict=True))
        return replace(self, edits=edits)

    @property
    def simplicity(self) -> tuple[int, int, int]:
        """What is simpler has less: fewer changes, and less that reads otherwise."""
        changed = [_difference(edit) for edit in self.edits]
        return len(self.edits) + len(self.misreadings) + len(self.planted), sum(changed), len(str(self))


def _edit_text(edit: Edit) -> str:
    where = " > ".join(f"{choice} {number + 1}" if number else choice for number, choice in edit.path)
    if not edit.right:
        (equation,) = parse(edit.lines[0].text, "")
        assert isinstance(equation.value, ast.Call)
        return f"`{ast.unparse(equation.value.func)}` stood everywhere for `{equation.target}`"
    of = f" (of {where})" if where else ""
    return f"`{edit.text}`{of}, where the specification has `{edit.right}`"


def _difference(edit: Edit) -> int:
    """How many characters of the lines read otherwise."""
    one, other = edit.text, edit.right
    first = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    last = next(
        (i for i, (a, b) in enumerate(zip(one[::-1], other[::-1], strict=False)) if a != b), min(len(one), len(other))
    )
    return max(len(one), len(other)) - min(first + last, min(len(one), len(other)))


class Searcher:
    """Looks for suspects of one operation."""

    def __init__(self, name: str, oracle: Oracle, clock: Clock) -> None:
        self.op: Operation = operation(name)
        self.oracle, self.clock = oracle, clock
        self.runner = Runner(self.op)
        self._edits: dict[Settings, list[Edit]] = {}

    def probe(self, case: Case, part: EditedPart) -> Probe | None:
        """Return a case with what the backend answered; None where that is nothing to compare."""
        came = self.oracle.answer(case, part)
        if came is None:
            return None
        probe = Probe(case, part, self.runner, came)
        return probe if probe.is_complete else None

    def gives(self, suspect: Suspect, case: Case, part: EditedPart) -> bool:
        """Whether a suspect gives what the backend answered to a case."""
        probe = self.probe(case, part)
        return probe is not None and (probe.fits(suspect) or probe.nearly_fits(suspect))

    def breaks_at(self, suspect: Suspect, case: Case, part: EditedPart) -> bool:
        """Whether a suspect cannot be worked out at a case, as an index that lies outside of an array."""
        return Probe(case, part, self.runner, {}).given_by(suspect) is None

    def find(self, cases: Sequence[Case], part: EditedPart, beside: Suspect) -> list[Suspect]:
        """Return what gives the backend's answers to all cases, the simplest first; nothing where nothing does.

        Parameters
        ----------
        cases
            Of one fault, those that fail first.
        part
            What of the answers is wrong.
        beside
            What is known already to be wrong, and gives nothing alone.
        """
        probes = [probe for case in cases if (probe := self.probe(case, part)) is not None]
        telling = [probe for probe in probes if probe.is_clear]
        if not telling:
            return []
        first, *others = [*telling, *(probe for probe in probes if probe not in telling)]
        found = []
        for suspect in self._single(first):
            self.clock.check()
            if all(probe.fits(suspect + beside) for probe in (first, *others)):
                found.append(suspect)
        if not found and not beside:
            found = [one for one in self._planted() if all(probe.fits(one) for probe in (first, *others))]
        if not found and not beside:
            clock, self.clock = self.clock, Clock(min(PAIRS, self.clock.left))
            with suppress(OutOfTimeError):
                found = self._pairs(first, others)
            self.clock = clock
        return sorted(found, key=lambda one: one.simplicity)

    def _planted(self) -> Iterator[Suspect]:
        """Yield the faults of the catalogue."""
        for fault in FAULTS:
            if fault.operation == self.op.name:
                self.clock.check()
                yield Suspect(planted=(fault,))

    def _pairs(self, first: Probe, others: Sequence[Probe]) -> list[Suspect]:
        """Return two that stand together: one gives some of the results alone, or all where an input is 0."""
        for group in self._halves(first):
            for one in sorted(group, key=lambda suspect: suspect.simplicity)[:_TOGETHER]:
                for other in self._single(first):
                    self.clock.check()
                    both = one + other
                    if first.fits(both) and all(probe.fits(both) for probe in others):
                        return [both]
        return []

    def _halves(self, first: Probe) -> Iterator[list[Suspect]]:
        for name in sorted(first.wrong) if len(first.wrong) > 1 else ():
            partly = []
            for suspect in self._single(first):
                self.clock.check()
                if name in first.fitting(suspect, (name,)):
                    partly.append(suspect)
            if partly:
                yield partly
        for name in first.call.float_inputs:
            case = replace(first.case, zero=(*first.case.zero, name))
            probe = self.probe(case, first.part)
            if probe is None or not probe.is_clear:
                continue
            again = self.probe(replace(case, seed=case.seed + 1), first.part)
            group = []
            for suspect in self._single(probe):
                self.clock.check()
                if probe.fits(suspect) and (again is None or again.fits(suspect)):
                    group.append(suspect)
            if group:
                yield group

    def _single(self, probe: Probe) -> Iterator[Suspect]:
        """Yield every edit and misreading that may be told at a probe."""
        if probe.part == "values":
            yield from (Suspect(misreadings=(one,)) for one in misreadings(probe.call))
        else:
            yield from (Suspect(misreadings=(one,)) for one in wrong_gradients(probe.call))
        if probe.part == "values" or self.op.gradient:
            yield from (
                Suspect((edit,))
                for edit in self._edits_for(probe)
                if edit.part == probe.part or (edit.defines and probe.part == "gradients")
            )

    def _edits_for(self, probe: Probe) -> list[Edit]:
        """The edits of lines that hold under a probe's attributes."""
        key = settings_of(probe.call.attributes)
        if key not in self._edits:
            op = choosing(self.op, probe.call.attributes)
            edits = chain(single_edits(op, probe.call.attributes), coarse_edits(op, probe.call.attributes))
            self._edits[key] = list(edits)
        return self._edits[key]


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
        """Whether all that is due came, in its shape."""
        return set(self.came) == set(self.right) and all(
            self.came[name].shape == bounded.value.shape for name, bounded in self.right.items()
        )

    @cached_property
    def right_results(self) -> NamedArrays:
        """What the right equations give."""
        return {name: bounded.value for name, bounded in self.right.items()}

    @cached_property
    def tolerance(self) -> dict[str, Array]:
        """What rounding explains of a result, whatever is computed."""
        return {
            name: np.where(np.isnan(bounded.bound), np.inf, 4 * bounded.bound)
            + _UNITS * self.unit * _largest(bounded.value)
            for name, bounded in self.right.items()
        }

    @cached_property
    def wrong(self) -> frozenset[str]:
        """Names of the results that are clearly wrong."""
        return frozenset(
            name
            for name, bounded in self.right.items()
            if _is_apart(self.came[name], bounded.value, CLEAR * self.tolerance[name])
        )

    @cached_property
    def first(self) -> str | None:
        """The smallest of the results that are clearly wrong: what does not give it need not be worked out further."""
        return min(self.wrong, key=lambda name: self.came[name].size, default=None)

    @property
    def is_clear(self) -> bool:
        """Whether something is wrong by far more than rounding explains."""
        return bool(self.wrong)

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
        with np.errstate(all="ignore"):
            spread = {name: _MOVED * np.abs(given[name] - array) for name, array in moved.items()}
        return not any(
            array.shape != self.came[name].shape
            or _is_apart(self.came[name], array, self.tolerance[name] + np.nan_to_num(spread[name], nan=np.inf))
            for name, array in given.items()
        )

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
            and not _is_apart(self.came[name], array, self.tolerance[name] + _UNITS * self.unit * _largest(array))
        ]

    def given_by(self, suspect: Suspect, only: Collection[str] | None = None) -> NamedArrays | None:
        """Return what a suspect gives, `only` some of it if it may be; None where it cannot be worked out."""
        try:
            if suspect.planted:
                return self._given_by_planted(suspect.planted[-1])
            call = self.call
            for one in suspect.misreadings:
                call = one.alter(call)
            compiled = self.compiled if call is self.call else self.runner.call(call.inputs, call.attributes)
            edited = self.runner.edited(compiled, suspect.edits)
            if edited is self.compiled and not suspect.misreadings:
                return self.right_results
            found = results(edited, self.cotangents, self.part, None if suspect.misreadings else only)
            for one in suspect.misreadings:
                found = (one.outputs if self.part == "values" else one.gradients)(self.call, found)
        except Exception:  # a wrong equation, or a call that is none, gives nothing
            return None
        return {name: array if np.isrealobj(array) else array.real for name, array in found.items()}

    def _given_by_planted(self, fault: Fault) -> NamedArrays:
        backend, call, cotangents = fault.implementation(), self.case.anew().call, self.case.given_cotangents
        with np.errstate(all="ignore"):
            if self.part == "gradients":
                return dict(backend.gradients(call, cotangents))
            return dict(zip(self.case.results, backend.run(call), strict=True))


def _largest(array: Array) -> float:
    """The largest finite magnitude of an array."""
    return float(np.abs(array, where=np.isfinite(array), out=np.zeros(array.shape)).max(initial=0.0))


def _is_apart(came: Array, given: Array, tolerance: Array) -> bool:
    """Whether two arrays differ somewhere by more than a tolerance."""
    with np.errstate(all="ignore"):
        came = came.astype(np.float64)
        near = np.abs(came - given) <= tolerance
    return not bool((near | (came == given) | (np.isnan(came) & np.isnan(given))).all())
