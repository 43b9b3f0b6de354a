"""Calls by an operation's own equations, right or edited, at the speed of translated ones.

The work on the right equations is kept, so that an edit costs no more than the equations that it changes.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from rnnspec.conformance.edits.changing import changed
from rnnspec.conformance.edits.compiled import CompiledCall, Program, Programs, by_steps
from rnnspec.conformance.edits.placing import changed_equations, with_equations
from rnnspec.conformance.edits.single import Edit, EditedPart
from rnnspec.spec import Operation
from rnnspec.spec.arrays import Array
from rnnspec.spec.evaluate import Key
from rnnspec.spec.language import Equation
from rnnspec.spec.operation import Settings, settings_of
from rnnspec.spec.system import System


class Runner:
    """Runs calls of one operation by its equations."""

    def __init__(self, op: Operation) -> None:
        self.op = op
        self._systems: dict[Settings, tuple[System, Programs]] = {}
        self._changed: dict[tuple[int, Settings], list[Equation]] = {}
        self._joined: dict[tuple[int, ...], tuple[tuple[Edit, ...], Edit]] = {}

    def call(self, inputs: Mapping[str, Array], attributes: Mapping[str, Any]) -> CompiledCall:
        """Return the call by the right equations; raise CallError if it is not legal."""
        call = CompiledCall(self.op, inputs, attributes)
        call.system, call.programs = self._systems.setdefault(settings_of(call.attributes), (call.system, {}))
        return call

    def edited(self, call: CompiledCall, edits: Sequence[Edit]) -> CompiledCall:
        """Return a call by edited equations; the call itself where the edits change none that it has.

        The later one of two edits of one line stands. Raises SpecError if the edited equations make no system.
        """
        each = [self._equations(call, edit) for edit in edits]
        new = [equation for equations in each for equation in equations]
        if len({equation.left for equation in new}) < len(new) and all(edit.defines for edit in edits):
            new = self._equations(call, self._together(edits))  # functions are written out in the line that both change
        if not new:
            return call
        other = EditedCall.of(call, frozenset(equation.target for equation in new))
        other.system = with_equations(call.system, new)
        other.programs = Layered(call.programs, (equation.value for equation in new))
        return other

    def _together(self, edits: Sequence[Edit]) -> Edit:
        """One edit with the lines of several."""
        key = tuple(map(id, edits))
        if key not in self._joined:
            first, *others = edits
            joined = changed(first.operation, [line for edit in others for line in edit.lines])
            self._joined[key] = tuple(edits), replace(first, operation=joined)
        return self._joined[key][1]

    def _equations(self, call: CompiledCall, edit: Edit) -> list[Equation]:
        """The equations of a call's system that an edit changes."""
        if not edit.shows(self.op, call.attributes):
            return []
        key = id(edit), settings_of(call.attributes)
        if key not in self._changed:
            self._changed[key] = changed_equations(self.op, edit, call.attributes)
        return self._changed[key]


def results(
    call: CompiledCall, cotangents: tuple[Array, ...], part: EditedPart, only: Collection[str] | None = None
) -> dict[str, Array]:
    """Return the outputs, or the gradients of the float inputs, by name in float64; `only` these where they are given.

    The gradients are named as the inputs are.
    """
    if isinstance(call, EditedCall):
        call = call.after(part, cotangents)
    if only is not None:
        call = copy(call)
        call.given = tuple(name for name in call.given if name in only)
        call.results = {name: item for name, item in call.results.items() if part == "gradients" or name in only}
    with np.errstate(all="ignore"):
        if part == "values":
            return dict(zip(call.results, call.outputs(), strict=True))
        return call.gradients(cotangents) if call.op.gradient else by_steps(call, cotangents)


class EditedCall(CompiledCall):
    """A call by edited equations, which takes over what does not depend on them from the call by the right ones."""

    right: CompiledCall
    targets: frozenset[str]
    """The quantities of which equations are edited."""

    @classmethod
    def of(cls, right: CompiledCall, targets: frozenset[str]) -> EditedCall:
        """Return the call, as yet by the right equations."""
        new = cls.__new__(cls)  # without a call of __init__, which would check the inputs of the right call once more
        new.__dict__.update(right.__dict__)
        new.right, new.targets = right, targets
        return new

    def after(self, part: EditedPart, cotangents: tuple[Array, ...]) -> EditedCall:
        """Return the call with what is known of it once the right outputs, or gradients, are worked out."""
        if part == "gradients" and not self.op.gradient:
            return self
        if isinstance(self.right, EditedCall):
            return self
        new = copy(self)
        new.known = kept(self.right, part, cotangents).without(self.targets)
        return new


class RightResults:
    """The right equations' results for a call, by sequence."""

    def __init__(self, call: CompiledCall, part: EditedPart, cotangents: tuple[Array, ...]) -> None:
        call = copy(call)
        results(call, cotangents, part)
        self.system = call.system
        self.cotangents = cotangents
        self.known = [one.known for one in call.evaluations]
        self._left: dict[frozenset[str], list[dict[Key, Any]]] = {}

    def without(self, targets: frozenset[str]) -> list[dict[Key, Any]]:
        """Return what does not depend on these quantities."""
        if targets not in self._left:
            gone = _dependent(self.system, targets)
            self._left[targets] = [
                {key: value for key, value in known.items() if key[0] not in gone} for known in self.known
            ]
        return self._left[targets]


def kept(call: CompiledCall, part: EditedPart, cotangents: tuple[Array, ...]) -> RightResults:
    """Return what the right equations give of a call; it is worked out once, and kept as an attribute of the call."""
    found: dict[EditedPart, RightResults] = call.__dict__.setdefault("kept", {})
    if part not in found or found[part].cotangents is not cotangents:
        found[part] = RightResults(call, part, cotangents)
    return found[part]


def _dependent(rules: System, targets: frozenset[str]) -> set[str]:
    """The quantities that these have a part in, and these themselves."""
    found, new = set[str](), set(targets)
    while new:
        found |= new
        new = {user for name in new for user in rules.users.get(name, ())} - found
    return found


class Layered(dict[ast.expr, Any]):
    """Translated equations: an edit's own and, beside them, those of the right equations."""

    def __init__(self, shared: Programs, own: Iterable[ast.expr]) -> None:
        super().__init__()
        self.shared, self.own = shared, frozenset(own)

    def get(self, node: ast.expr, default: Any = None) -> Any:
        """Return what was translated of an expression."""
        return super().get(node, default) if node in self.own else self.shared.get(node, default)

    def __setitem__(self, node: ast.expr, program: Program) -> None:
        if node in self.own:
            super().__setitem__(node, program)
        else:
            self.shared[node] = program
