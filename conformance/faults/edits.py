"""The fate of every single edit of an operation's equations: caught, equivalent, impossible to run, or surviving.

An edit is asked the planned cases that checks `values` and `gradients` ask, the small ones, up to the first that tells
it from what is right. One that passes them all is compared with the right equations in float64, on calls that are drawn
beyond the deck. If no call tells the two apart, the edit is equivalent: it writes the same operation in another way. If
one does, all checks are asked, as of any planted fault, and an edit that none catches survives.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Final, Literal

import numpy as np

from rnnspec.backends import Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.cases.regimes import REGIMES
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks import CHECKS, Check, Violation
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.edits.compiled import CompiledCall, Programs
from rnnspec.conformance.edits.placing import changed_equations, with_equations
from rnnspec.conformance.edits.running import Layered, Runner, results
from rnnspec.conformance.edits.single import Edit, EditedPart, single_edits
from rnnspec.conformance.faults.changed import backend_of
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.score import score_fault
from rnnspec.conformance.judge.tolerance import expect
from rnnspec.conformance.run import Profile
from rnnspec.conformance.run.session import session_of
from rnnspec.spec import CallError, Operation
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Settings, settings_of
from rnnspec.spec.system import System

DTYPE: Final = "float32"
"""The type of the deck: that which a run looks at most closely."""

SMALL: Final = 24
"""The largest size of a case that every edit is asked."""

LARGE: Final = 20_000
"""The product of the sizes of the largest case that is asked at all: one equation at a time, more takes minutes."""

DRAWN: Final = 48
"""Calls beyond the deck at which an edit is compared with the right equations, of those in which its line holds."""

_DRAWN_MORE: Final = 8
"""How many times as many are drawn at most, for lines that hold in few calls."""

_RELATIVE: Final = 1e-12
_ABSOLUTE: Final = 1e-13
"""The distance at which two float64 results are surely the same: relative to each number, and to the largest or 1.

A number far below 1 among zeros is what rounding leaves of a difference, as of a probability and 1.
"""

_PROBED: Final = 3
"""Attributes under which an edit is tried at sizes that are all alike, before it counts as one that cannot run."""

_OTHERS: Final = tuple(check for check in CHECKS if check.by_case and not check.whole_deck)
"""The checks that ask more than the planned calls."""

Fate = Literal["cannot_run", "equivalent", "caught", "surviving"]
_FATES: Final[tuple[Fate, ...]] = ("cannot_run", "equivalent", "caught", "surviving")


@dataclass(frozen=True)
class EditVerdict:
    """The fate of one edit.

    `edit` is the edit in one line, and `part` what its line is of. One that is caught is caught by `check`, at its
    `cases`-th case. `case` is that case, or, of an edit that survives, a call that tells it from what is right.
    """

    edit: str
    part: EditedPart
    fate: Fate
    check: str = ""
    cases: int = 0
    case: str = ""


@dataclass(frozen=True)
class EditScore:
    """The fates of an operation's edits, how many edits there are, and how many of them were asked."""

    operation: str
    all_edits: int
    edits: int
    caught: int
    equivalent: int
    cannot_run: int
    surviving: tuple[Mapping[str, str], ...]
    """``edit``, ``part`` and ``case`` of each edit that survives."""

    @classmethod
    def of(cls, name: str, verdicts: Sequence[EditVerdict], all_edits: int) -> EditScore:
        """Sum up verdicts of an operation that has so many edits in all."""
        count = Counter(verdict.fate for verdict in verdicts)
        surviving = tuple(
            {"edit": verdict.edit, "part": verdict.part, "case": verdict.case}
            for verdict in verdicts
            if verdict.fate == "surviving"
        )
        return cls(name, all_edits, len(verdicts), count["caught"], count["equivalent"], count["cannot_run"], surviving)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def chosen_edits(op: Operation, sample: int | None, seed: int) -> tuple[Sequence[Edit], int]:
    """Return an operation's edits, or so many of them that are drawn at random, and how many there are in all."""
    edits = list(single_edits(op))
    if sample is None or sample >= len(edits):
        return edits, len(edits)
    places = stream(seed, f"edits of {op.name}").choice(len(edits), sample, replace=False)
    return [edits[place] for place in sorted(places)], len(edits)


def over_seeds(verdicts: Sequence[EditVerdict]) -> EditVerdict:
    """The fate of one edit at several seeds: it survives if it does at one, and is caught if a call shows it."""
    return max(verdicts, key=lambda verdict: _FATES.index(verdict.fate))


class _RaisedError(Exception):
    """The edited equations cannot be evaluated at this call."""


@dataclass(frozen=True)
class _Frame:
    """A call that is ready to be evaluated by other equations, and by the right ones."""

    case: Case
    call: CompiledCall

    @cached_property
    def settings(self) -> Settings:
        return settings_of(self.call.attributes)

    @cached_property
    def read(self) -> frozenset[str]:
        """The quantities that results of calls with these attributes follow from: others may be anything."""
        rules = self.call.system.rules
        due = [*self.call.results]
        if self.call.op.gradient:
            floats = {name: item for name, item in self.call.items.items() if item.kind == "float"}
            due += [f"d{name}" for name in floats]
            due += [f"d{name}_{row}" for name, item in floats.items() for row in (*self.call.system.gates, *item.rows)]
        found: set[str] = set()
        while due:
            name = due.pop()
            if name not in found:
                found.add(name)
                due += [
                    one.id for rule in rules.get(name, ()) for one in ast.walk(rule.value) if isinstance(one, ast.Name)
                ]
        return frozenset(found)

    def right(self, part: EditedPart) -> Sequence[Array]:
        """The outputs, or the gradients, by the right equations."""
        known = self.case.worked_out
        key = f"{part} by the equations"
        if key not in known:
            known[key] = [*results(self.call, self.case.given_cotangents, part).values()]
        found: Sequence[Array] = known[key]
        return found


class _Right:
    """The right equations under each setting of the attributes, with what was translated of them."""

    def __init__(self, op: Operation) -> None:
        self._runner = Runner(op)
        self._frames: dict[int, _Frame] = {}

    def frame(self, case: Case) -> _Frame:
        """A case's call, made once; CallError if it is not legal."""
        if id(case) not in self._frames:
            self._frames[id(case)] = _Frame(case, self._runner.call(case.given.inputs, case.given.attributes))
        return self._frames[id(case)]


class _Edited:
    """One edit's equations under each setting of the attributes."""

    def __init__(self, op: Operation, edit: Edit) -> None:
        self.op, self.edit = op, edit
        self._systems: dict[Settings, tuple[System, Programs]] = {}

    def call(self, frame: _Frame) -> CompiledCall:
        """The call by the edited equations; _RaisedError if there are none."""
        if frame.settings not in self._systems:
            try:
                new = changed_equations(self.op, self.edit, frame.call.attributes)
            except Exception as error:
                raise _RaisedError(str(error)) from error
            if not any(equation.target in frame.read for equation in new):
                new = []
            edited = with_equations(frame.call.system, new)
            self._systems[frame.settings] = edited, Layered(frame.call.programs, (one.value for one in new))
        call = copy(frame.call)
        call.system, call.programs = self._systems[frame.settings]
        return call

    def reads_otherwise(self, frame: _Frame) -> bool:
        """Whether some equation is another one, of those that a result of the call follows from."""
        try:
            return self.call(frame).system is not frame.call.system
        except _RaisedError:
            return True

    def results(self, frame: _Frame, cotangents: tuple[Array, ...], part: EditedPart) -> list[Array]:
        """The outputs or the gradients; _RaisedError if they cannot be evaluated."""
        call = self.call(frame)
        try:
            return [*results(call, cotangents, part).values()]
        except Exception as error:  # of a wrong equation, anything may come
            raise _RaisedError(str(error)) from error


class _Implementation(NumpyBackend):
    """One edit's equations as a backend, of the calls of one case."""

    name = "edited"

    def __init__(self, edited: _Edited, frame: _Frame) -> None:
        super().__init__()
        self.edited, self.frame = edited, frame

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the call, rounded once."""
        inputs = call.float_inputs.values()
        dtype = next((array.dtype for array in inputs), np.dtype(np.float64))
        arrays = self.edited.results(self.frame, (), "values")
        with np.errstate(all="ignore"):
            return tuple(array if array.dtype == np.int64 else array.astype(dtype) for array in arrays)

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        """Gradients of the call, rounded once."""
        used = tuple(cotangent for cotangent in cotangents if cotangent is not None)  # all are: no case leaves one out
        arrays = self.edited.results(self.frame, used, "gradients")
        with np.errstate(all="ignore"):
            named = zip(self.frame.call.given, arrays, strict=True)
            return {name: array.astype(call.inputs[name].dtype) for name, array in named}


class EditBench:
    """The calls that all edits of an operation get: the planned cases of one seed, and calls beyond them."""

    def __init__(self, op: Operation, profile: Profile, seed: int) -> None:
        self.op, self.profile, self.seed = op, profile, seed
        self._right = _Right(op)
        deck = session_of(NumpyBackend(), op.name, DTYPE, profile, seed).deck
        deck_by_work = [case for case in sorted(deck.cases, key=_work) if _work(case)[1] <= LARGE]
        self._deck = [case for case in deck_by_work if max(case.sizes.values(), default=0) <= SMALL]
        self._ladder = [case for case in deck_by_work if max(case.sizes.values(), default=0) > SMALL]
        self._drawn: list[Case] = []
        self._choices = RandomChoices(np.random.default_rng(seed))
        self._probes: dict[Settings, _Frame | None] = {}

    def judge(self, edit: Edit) -> EditVerdict:
        """The fate of an edit of the operation."""
        edited = _Edited(self.op, edit)
        cases = [case for case in self._deck if edit.shows(self.op, case.attributes)]
        found = None
        if edit.part == "values":
            found = self._asked(edited, cases, "values")
        elif self.op.differentiable:
            found = self._asked(edited, cases, "gradients")
        if found is not None:
            return found
        telling = self._telling(edited)
        if telling is None:
            return EditVerdict(edit.title, edit.part, "equivalent")
        if edit.part == "values" and self.op.differentiable:
            found = self._asked(edited, cases, "gradients")
        return found or self._by_all_checks(edit, telling)

    def _asked(self, edited: _Edited, cases: Sequence[Case], part: EditedPart) -> EditVerdict | None:
        """The fate by the values or the gradients of the planned cases; None if they find nothing."""
        edit = edited.edit
        check: Check = Values() if part == "values" else Gradients()
        for number, case in enumerate(cases, 1):
            frame = self._right.frame(case)
            if (part == "gradients" and not case.differentiated) or not edited.reads_otherwise(frame):
                continue
            try:
                check.examine(_Implementation(edited, frame), case)
            except OutOfRangeError:
                continue
            except _RaisedError:
                if self._never_runs(edited, cases[number - 1 :], part):
                    return EditVerdict(edit.title, edit.part, "cannot_run")
                return EditVerdict(edit.title, edit.part, "caught", part, number, str(case))
            except Violation:
                return EditVerdict(edit.title, edit.part, "caught", part, number, str(case))
        return None

    def _never_runs(self, edited: _Edited, cases: Sequence[Case], part: EditedPart) -> bool:
        """Whether the edit cannot be evaluated at sizes that are all alike either, where the most shapes fit."""
        by_settings = {settings_of(case.attributes): case for case in cases}
        probes = (probe for case in by_settings.values() if (probe := self._probe(case)) is not None)
        for probe in islice(probes, _PROBED):
            try:
                edited.results(probe, probe.case.given_cotangents, part)
            except _RaisedError:
                continue
            return False
        return True

    def _probe(self, case: Case) -> _Frame | None:
        """A call under a case's attributes whose sizes are all alike; None where that is not legal."""
        key = settings_of(case.attributes)
        if key not in self._probes:
            alike = {symbol: max(2, case.spec.at_least.get(symbol, 0)) for symbol in case.sizes}
            try:
                self._probes[key] = self._right.frame(replace(case, sizes=alike, steps="all", regime="generic"))
            except CallError:
                self._probes[key] = None
        return self._probes[key]

    def _telling(self, edited: _Edited) -> Case | None:
        """The first call beyond the deck at which an edit differs from what is right; None if there is none."""
        for frame in self._beyond(edited):
            try:
                if self._differs(edited, frame):
                    return frame.case
            except _RaisedError:
                return frame.case
        return None

    def _beyond(self, edited: _Edited) -> Iterator[_Frame]:
        """Calls beyond the deck at which an edit's line holds."""
        found = 0
        for number in range(DRAWN * _DRAWN_MORE):
            if number == len(self._drawn):
                self._drawn.append(self._drawn_case(number))
            case = self._drawn[number]
            if edited.edit.shows(self.op, case.attributes) and edited.reads_otherwise(self._right.frame(case)):
                yield self._right.frame(case)
                found += 1
            if found == DRAWN:
                return

    def _drawn_case(self, number: int) -> Case:
        """A case beyond the deck; every other one has the parts that are edited."""
        case = draw_case(self._choices, Scope(self.op.name, "float64"))
        if case.regime in _LOST:
            case = replace(case, regime="generic")
        choosers = {part.operation for part in self.op.parts} & set(self.op.attributes)
        usual = {name: self.op.attributes[name].default for name in choosers}
        return case if number % 2 else case.with_attributes(**usual)

    def _differs(self, edited: _Edited, frame: _Frame) -> bool:
        if self.op.differentiable and not self.op.gradient:
            return self._differs_in_step(edited, frame)
        parts: tuple[EditedPart, ...] = ("values", "gradients") if edited.edit.part == "values" else ("gradients",)
        for part in parts if self.op.differentiable else ("values",):
            if part == "values" or not _is_convention(frame):
                came = edited.results(frame, frame.case.given_cotangents, part)
                if _apart(came, frame.right(part)) and not _within_bounds(came, frame, part):
                    return True
        return False

    def _differs_in_step(self, edited: _Edited, frame: _Frame) -> bool:
        """Whether values differ, or their derivatives in one direction: those of all inputs, by one complex step."""
        rng = np.random.default_rng(frame.case.seed)
        inputs = {
            name: frame.call.inputs[name] + 1e-20j * rng.normal(size=frame.call.inputs[name].shape)
            for name in frame.call.given
        }
        with np.errstate(all="ignore"):
            right = frame.call.with_inputs(**inputs).outputs()
            try:
                came = edited.call(frame).with_inputs(**inputs).outputs()
            except Exception as error:
                raise _RaisedError(str(error)) from error
        if _apart([a.real for a in came], [a.real for a in right]):
            return True
        return not _is_convention(frame) and _apart([a.imag * 1e20 for a in came], [a.imag * 1e20 for a in right])

    def _by_all_checks(self, edit: Edit, telling: Case) -> EditVerdict:
        """The fate, by the rest of the suite, of an edit that differs somewhere.

        It is asked the large cases, and all checks that make calls of their own, as any planted fault is.
        """
        cases = [case for case in self._ladder if edit.shows(self.op, case.attributes)]
        found = self._asked(_Edited(self.op, edit), cases, edit.part)
        if found is not None:
            return found
        fault = Fault(edit.text, self.op.name, edit.text, backend_of(edit.operation), DTYPE)
        score = score_fault(fault, self.profile, _OTHERS, shrink=False, seed=self.seed)
        if score.caught:
            return EditVerdict(edit.title, edit.part, "caught", score.check, score.cases, score.case)
        return EditVerdict(edit.title, edit.part, "surviving", case=str(telling))


_LOST: Final = ("masking", *(regime.name for regime in REGIMES.values() if regime.far))
"""Regimes in which rounding alone tells literal equations apart that are the same; the deck has them, with bounds."""


def _is_convention(frame: _Frame) -> bool:
    """Whether a result is minus infinity: the gradient there is a convention, which libraries differ in."""
    return any(bool(np.isneginf(output).any()) for output in frame.right("values") if output.dtype.kind == "f")


def _within_bounds(came: Sequence[Array], frame: _Frame, part: EditedPart) -> bool:
    """Whether every number is judged in float64, and lies within its bound."""
    gradients = part == "gradients"
    expected = expect(frame.case.given, "float64", frame.case.given_cotangents if gradients else None)
    right = [expected.gradients[name] for name in frame.call.given] if gradients else [*expected.outputs.values()]
    return all(
        bool(np.isfinite(item.bound).all()) and item.error_ratios(array, expected.format.largest).max(initial=0.0) <= 1
        for array, item in zip(came, right, strict=True)
    )


def _work(case: Case) -> tuple[bool, int]:
    """How much work a case is; those without a valid step, of which most edits are right, come last."""
    empty = case.spec.has_steps and not case.valid.any()
    return empty, int(np.prod([max(size, 1) for size in case.sizes.values()]))


def _apart(came: Sequence[Array], right: Sequence[Array]) -> bool:
    """Whether some number differs by more than rounding explains."""
    for a, b in zip(came, right, strict=True):
        if a.shape != b.shape:
            return True
        with np.errstate(all="ignore"):
            largest = np.abs(b, where=np.isfinite(b), out=np.zeros(b.shape)).max(initial=1)
            near = np.abs(a - b) <= _RELATIVE * np.abs(b) + _ABSOLUTE * largest
        if not (near | (a == b) | (np.isnan(a) & np.isnan(b))).all():
            return True
    return False
