"""The change of an operation's system by an edit, found without computing the whole system anew."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from rnnspec.conformance.edits.single import Edit, PartPath
from rnnspec.spec import Operation, resolved, system
from rnnspec.spec.composition import Lift
from rnnspec.spec.language import Equation
from rnnspec.spec.operation import Block, Settings, attributes_of, settings_of
from rnnspec.spec.system import System, equations_of


def changed_equations(op: Operation, edit: Edit, attributes: Mapping[str, Any]) -> list[Equation]:
    """Return the equations of the edited system that read otherwise than those of the right one.

    What one gate has of a line is no equation where the attributes leave that gate out.

    Parameters
    ----------
    op
        The operation as it is without the edit.
    edit
        One of its edits, whose line holds under the attributes.
    attributes
        A complete set of them.

    Raises
    ------
    SpecError
        If the edited equations make no system.
    """
    right = system(op, attributes)
    if edit.defines:
        edited = system(edit.operation, attributes)
        new = [*edited.forward, *edited.gradient]
    else:
        new = _at(op, attributes, edit.path, edit.lines)
    of_right = right.by_left
    return [
        equation
        for equation in new
        if equation.left in of_right and not _same(equation.value, of_right[equation.left].value)
    ]


def with_equations(right: System, new: Sequence[Equation]) -> System:
    """Return the system with these in the place of the equations of the same left sides; itself, if there are none.

    All other equations are the very objects that they were, so that what is known of them still holds.
    """
    if not new:
        return right
    by_left = {equation.left: equation for equation in new}
    placed = {id(right.by_left[left]): equation for left, equation in by_left.items()}

    def put(equations: Sequence[Equation]) -> tuple[Equation, ...]:
        return tuple(placed.get(id(equation), equation) for equation in equations)

    edited = replace(right, forward=put(right.forward), gradient=put(right.gradient))
    # `rules` is a cached property, which is filled in here. Rules follow from left sides, and these are the same:
    # working them out anew would take most of the time.
    edited.__dict__["rules"] = {target: list(put(equations)) for target, equations in right.rules.items()}
    return edited


def _at(op: Operation, attributes: Mapping[str, Any], path: PartPath, lines: Sequence[Block]) -> list[Equation]:
    """The equations that lines of an operation, or of its part at the path, are in the operation's system."""
    if not path:
        return [equation for line in lines for equation in equations_of(op, attributes, line)]
    (number, choice), *rest = path
    chosen, inner, lift = _lifted(op, settings_of(attributes), number, choice)
    return lift.equations(_at(chosen, inner, tuple(rest), lines))


@lru_cache(maxsize=512)
def _lifted(op: Operation, settings: Settings, number: int, choice: str) -> tuple[Operation, Mapping[str, Any], Lift]:
    """A part of an operation, its attributes, and the function that lifts its equations into the operation's system."""
    attributes = attributes_of(settings)
    part = resolved(op, attributes).parts[number]
    chosen = part.choices[choice]
    inner = {name: attributes.get(name, item.default) for name, item in chosen.attributes.items()} | dict(part.fixed)
    rules = system(chosen, inner)
    return chosen, inner, Lift(part, resolved(chosen, inner), rules.gates, rules.forward, rules.gradient)


def _same(one: Any, other: Any) -> bool:
    """Whether two expressions read the same."""
    if isinstance(one, ast.AST):
        if type(one) is not type(other):
            return False
        return all(_same(getattr(one, name, None), getattr(other, name, None)) for name in one._fields if name != "ctx")
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and type(one) is type(other)
