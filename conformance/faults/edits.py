"""What becomes of every single edit of an operation's equations: caught, equivalent, impossible to run, or surviving.

An edit is asked the planned cases that checks `values` and `gradients` ask, the small ones, up to the first that tells
it from what is right. One that passes them all is held against the right equations in float64, on calls that are drawn
beyond the deck. If no call tells the two apart, the edit is equivalent: it writes the same operation in another way. If
one does, all checks are asked, as of any planted fault, and an edit that none catches survives.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.check import OutOfRangeError
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.edits.compiled import CompiledCall, Programs
from rnnspec.conformance.edits.placing import changed_equations, with_equations
from rnnspec.conformance.edits.single import Edit, EditedPart, single_edits
from rnnspec.conformance.faults.changed import backend_of, by_steps
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.score import FaultScore, score_fault
from rnnspec.conformance.run import PROFILES, Profile
from rnnspec.conformance.run.session import session_of
from rnnspec.spec import CallError, Operation, operation
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Settings, settings_of
from rnnspec.spec.system import System

DTYPE: Final = "float32"
"""The type of the deck: that which a run looks at most closely."""

SMALL: Final = 24
"""The largest size of a case that every edit is asked."""

DRAWN: Final = 48
"""Calls beyond the deck at which an edit is held against the right equations, of those in which its line holds."""

_DRAWN_MORE: Final = 8
"""How many times as many are drawn at most, for lines that hold in few calls."""

_RELATIVE: Final = 1e-12
_ABSOLUTE: Final = 1e-13
"""What two float64 results may be apart: relative to each number, and to the largest of the array."""

_PROBED: Final = 3
"""Attributes under which an edit is tried at sizes that are all alike, before it counts as one that cannot run."""

Fate = Literal["caught", "equivalent", "cannot_run", "surviving"]


@dataclass(frozen=True)
class Verdict:
    """What became of one edit: of one that is caught, by which check at which case, the first being 1."""

    edit: Edit
    fate: Fate
    check: str = ""
    cases: int = 0
    case: str = ""
    """Of an edit that survives, the call that tells it from what is right."""


@dataclass
class EditScore:
    """What became of an operation's edits."""

    operation: str
    edits: int = 0
    caught: int = 0
    equivalent: int = 0
    cannot_run: int = 0
    surviving: list[dict[str, str]] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one more."""
        self.edits += 1
        if verdict.fate == "surviving":
            told = {"edit": verdict.edit.title, "part": verdict.edit.part, "case": verdict.case}
            self.surviving.append(told)
        else:
            setattr(self, verdict.fate, getattr(self, verdict.fate) + 1)


class _RaisedError(Exception):
    """The edited equations cannot be evaluated at this call."""


@dataclass(frozen=True)
class _Frame:
    """A call that is ready to be evaluated by other equations, and by the right ones."""

    case: Case
    call: CompiledCall

    @classmethod
    def of(cls, op: Operation, case: Case) -> _Frame:
        return cls(case, CompiledCall(op, case.given.inputs, case.given.attributes))

    @cached_property
    def settings(self) -> Settings:
        return settings_of(self.call.attributes)

    def right(self, part: EditedPart) -> Sequence[Array]:
        """The outputs, or the gradients, by the right equations."""
        known = self.case.worked_out
        if part not in known:
            known[part] = _results(self.call, self.case.given_cotangents, part)
        found: Sequence[Array] = known[part]
        return found


class _Right:
    """The right equations under each setting of the attributes, with what was translated of them."""

    def __init__(self, op: Operation) -> None:
        self.op = op
        self._systems: dict[Settings, tuple[System, Programs]] = {}

    def frame(self, case: Case) -> _Frame:
        """A case's call."""
        frame = _Frame.of(self.op, case)
        known = self._systems.setdefault(frame.settings, (frame.call.system, {}))
        frame.call.system, frame.call.programs = known
        return frame


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
            edited = with_equations(frame.call.system, new)
            self._systems[frame.settings] = edited, _Layered(frame.call.programs, (one.value for one in new))
        call = copy(frame.call)
        call.system, call.programs = self._systems[frame.settings]
        return call

    def reads_otherwise(self, frame: _Frame) -> bool:
        """Whether some equation of the call is another one."""
        try:
            return self.call(frame).system is not frame.call.system
        except _RaisedError:
            return True

    def results(self, frame: _Frame, cotangents: Cotangents, part: EditedPart) -> list[Array]:
        """The outputs or the gradients; _RaisedError if they cannot be evaluated."""
        call = self.call(frame)
        try:
            return _results(call, cotangents, part)
        except Exception as error:  # of a wrong equation, anything may come
            raise _RaisedError(str(error)) from error


class _Layered(dict[ast.expr, Any]):
    """Translated equations: those of one edit, and of all others those that the right equations have too."""

    def __init__(self, shared: Programs, own: Iterable[ast.expr]) -> None:
        super().__init__()
        self.shared, self.own = shared, frozenset(own)

    def get(self, node: ast.expr, default: Any = None) -> Any:
        """What was translated of an expression."""
        return super().get(node, default) if node in self.own else self.shared.get(node, default)

    def __setitem__(self, node: ast.expr, program: Any) -> None:
        if node in self.own:
            super().__setitem__(node, program)
        else:
            self.shared[node] = program


def _results(call: CompiledCall, cotangents: Cotangents, part: EditedPart) -> list[Array]:
    """The outputs, or the gradients of the float inputs in their order, in float64."""
    with np.errstate(all="ignore"):
        if part == "values":
            return call.outputs()
        given = tuple(cotangents)  # type: ignore[arg-type]
        found = call.gradients(given) if call.op.gradient else by_steps(call, given)
        return [found[name] for name in call.given]


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
        arrays = self.edited.results(self.frame, cotangents, "gradients")
        with np.errstate(all="ignore"):
            named = zip(self.frame.call.given, arrays, strict=True)
            return {name: array.astype(call.inputs[name].dtype) for name, array in named}


class Bench:
    """What all edits of an operation are asked: the planned cases of one seed, and calls beyond them."""

    def __init__(self, op: Operation, profile: Profile, seed: int) -> None:
        self.op, self.profile, self.seed = op, profile, seed
        self._right = _Right(op)
        deck = session_of(NumpyBackend(), op.name, DTYPE, profile, seed).deck
        small = [case for case in deck.cases if max(case.sizes.values(), default=0) <= SMALL]
        self._deck = [self._right.frame(case) for case in sorted(small, key=_work)]
        self._drawn: list[_Frame] = []
        self._choices = RandomChoices(np.random.default_rng(seed))
        self._probes: dict[Settings, _Frame | None] = {}

    def judge(self, edit: Edit) -> Verdict:
        """What becomes of an edit."""
        edited = _Edited(self.op, edit)
        frames = [frame for frame in self._deck if edit.shows(self.op, frame.call.attributes)]
        found = None
        if edit.part == "values":
            found = self._asked(edited, frames, "values")
        elif self.op.differentiable:
            found = self._asked(edited, frames, "gradients")
        if found is not None:
            return found
        telling = self._telling(edited)
        if telling is None:
            return Verdict(edit, "equivalent")
        if edit.part == "values" and self.op.differentiable:
            found = self._asked(edited, frames, "gradients")
        return found or self._by_all_checks(edit, telling)

    def _asked(self, edited: _Edited, frames: Sequence[_Frame], part: EditedPart) -> Verdict | None:
        """What the values or the gradients of the planned cases say; None if they find nothing."""
        check: Check = Values() if part == "values" else Gradients()
        for number, frame in enumerate(frames, 1):
            if (part == "gradients" and not frame.case.differentiated) or not edited.reads_otherwise(frame):
                continue
            try:
                check.examine(_Implementation(edited, frame), frame.case)
            except OutOfRangeError:
                continue
            except _RaisedError:
                if self._never_runs(edited, frames[number - 1 :], part):
                    return Verdict(edited.edit, "cannot_run")
                return Verdict(edited.edit, "caught", part, number, str(frame.case))
            except Violation:
                return Verdict(edited.edit, "caught", part, number, str(frame.case))
        return None

    def _never_runs(self, edited: _Edited, frames: Sequence[_Frame], part: EditedPart) -> bool:
        """Whether the edit cannot be evaluated at sizes that are all alike either, where the most shapes fit."""
        by_settings = {frame.settings: frame.case for frame in frames}
        probes = [probe for case in by_settings.values() if (probe := self._probe(case)) is not None]
        for probe in probes[:_PROBED]:
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
                self._drawn.append(self._right.frame(self._drawn_case(number)))
            frame = self._drawn[number]
            if edited.edit.shows(self.op, frame.call.attributes) and edited.reads_otherwise(frame):
                yield frame
                found += 1
            if found == DRAWN:
                return

    def _drawn_case(self, number: int) -> Case:
        """A case beyond the deck; every other one has the parts that are edited."""
        case = draw_case(self._choices, Scope(self.op.name, "float64"))
        choosers = {part.operation for part in self.op.parts} & set(self.op.attributes)
        usual = {name: self.op.attributes[name].default for name in choosers}
        return case if number % 2 else case.with_attributes(**usual)

    def _differs(self, edited: _Edited, frame: _Frame) -> bool:
        if self.op.differentiable and not self.op.gradient:
            return self._differs_in_step(edited, frame)
        parts: tuple[EditedPart, ...] = ("values", "gradients") if edited.edit.part == "values" else ("gradients",)
        return any(
            _apart(edited.results(frame, frame.case.given_cotangents, part), frame.right(part))
            for part in (parts if self.op.differentiable else ("values",))
        )

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
        return _apart([a.real for a in came], [a.real for a in right]) or _apart(
            [a.imag * 1e20 for a in came], [a.imag * 1e20 for a in right]
        )

    def _by_all_checks(self, edit: Edit, telling: Case) -> Verdict:
        """What the suite says of an edit that differs somewhere, asked as of any planted fault."""
        fault = Fault(edit.text, self.op.name, edit.text, backend_of(edit.operation), DTYPE)
        score = score_fault(fault, self.profile, shrink=False, seed=self.seed)
        if score.caught:
            return Verdict(edit, "caught", score.check, score.cases, score.case)
        return Verdict(edit, "surviving", case=str(telling))


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
            largest = np.abs(b, where=np.isfinite(b), out=np.zeros(b.shape)).max(initial=0)
            near = np.abs(a - b) <= _RELATIVE * np.abs(b) + _ABSOLUTE * largest
        if not (near | (a == b) | (np.isnan(a) & np.isnan(b))).all():
            return True
    return False
