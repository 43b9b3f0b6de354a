"""Calls by an operation's own equations, right or edited, at the speed of translated ones.

The work on the right equations is kept, so that an edit costs no more than the equations that it changes.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from rnnspec.conformance.edits.compiled import CompiledCall, Program, Programs, by_steps
from rnnspec.conformance.edits.placing import changed_equations, with_equations
from rnnspec.conformance.edits.single import Edit, EditedPart
from rnnspec.spec import Operation
from rnnspec.spec.arrays import Array
from rnnspec.spec.language import Equation
from rnnspec.spec.operation import Settings, settings_of
from rnnspec.spec.system import System


class Runner:
    """Runs calls of one operation by its equations."""

    def __init__(self, op: Operation) -> None:
        self.op = op
        self._systems: dict[Settings, tuple[System, Programs]] = {}
        self._changed: dict[tuple[int, Settings], list[Equation]] = {}

    def call(self, inputs: Mapping[str, Array], attributes: Mapping[str, Any]) -> CompiledCall:
        """Return the call by the right equations; raise CallError if it is not legal."""
        call = CompiledCall(self.op, inputs, attributes)
        call.system, call.programs = self._systems.setdefault(settings_of(call.attributes), (call.system, {}))
        return call

    def edited(self, call: CompiledCall, edits: Sequence[Edit]) -> CompiledCall:
        """Return a call by edited equations; the call itself where the edits change none that it has.

        The later one of two edits of one line stands. Raises SpecError if the edited equations make no system.
        """
        new = [equation for edit in edits for equation in self._equations(call, edit)]
        if not new:
            return call
        other = copy(call)
        other.system = with_equations(call.system, new)
        other.programs = Layered(call.programs, (equation.value for equation in new))
        return other

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
    if only is not None:
        call = copy(call)
        call.given = tuple(name for name in call.given if name in only)
        call.results = {name: item for name, item in call.results.items() if part == "gradients" or name in only}
    with np.errstate(all="ignore"):
        if part == "values":
            return dict(zip(call.results, call.outputs(), strict=True))
        return call.gradients(cotangents) if call.op.gradient else by_steps(call, cotangents)


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
