"""Faults that are a changed equation: TOML files, one a family, and their reader.

A table is a fault. It has a name, the `operation`, and a sentence `about` the error. Where there are several
operations, a ``*`` in the name stands for the family of each. `text` has the lines that replace the equations with the
same left side, written as in the specification; `when` and `each` are those of its blocks. `blocks` is a list of such
tables where one is not enough. `taken` are attributes that the fault takes to have that value in every call. `gates` is
the order in which it takes W, R and b to have them. `dtype` is the type to be caught in, float32 if left out.

Where lines of the value alone are changed, the gradient is what the gradient's equations give at the changed values; a
fault that is to be wrong throughout has lines of the gradient too. With ``gradients = "right"``, the gradient is that
of the right values.

A table that names a `quantity` is an error near the bound, which `rnnspec.conformance.faults.near_the_bound` reads. The
quantity is one of the reference. It is too large by so many `units` of roundoff of the `dtype` that the check of a
`part`, the values or the gradients, sees it.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from rnnspec.conformance.edits.changing import changed, equations_of, with_gates
from rnnspec.conformance.faults.changed import backend_of
from rnnspec.conformance.faults.fault import Fault, family_of
from rnnspec.spec import Operation, SpecError, operation
from rnnspec.spec.operation import Block, When

_KEYS = {"operation", "about", "text", "when", "each", "blocks", "taken", "gates", "gradients", "dtype"}


@dataclass(frozen=True)
class ChangedEquation:
    """A fault, the lines that make it, where it is nothing but lines, and its operation with them."""

    fault: Fault
    blocks: tuple[Block, ...]
    operation: Operation


@dataclass(frozen=True, eq=False)
class _Table:
    """A fault as it is written, for one of its operations."""

    name: str
    operation: str
    table: Mapping[str, Any]
    place: str

    @cached_property
    def read(self) -> ChangedEquation:
        return _fault(self.name, operation(self.operation), self.table, self.place)


def read(text: str, file: str) -> Iterator[ChangedEquation]:
    """Yield the faults of a file; where it is wrong, raise SpecError with the file, the fault and what was expected."""
    for table in _tables(text, file):
        yield table.read


def _tables(text: str, file: str) -> Iterator[_Table]:
    for name, table in tomllib.loads(text).items():
        if not is_changed_equation(table):
            continue
        place = f"{file}: [{name}]"
        unknown = sorted(set(table) - _KEYS)
        if unknown:
            raise SpecError(f"{place}: unknown key {unknown[0]!r}: expected {', '.join(sorted(_KEYS))}")
        for key in ("operation", "about"):
            if not table.get(key):
                raise SpecError(f"{place}: expected {key!r}")
        planted_into = table["operation"]
        if isinstance(planted_into, str):
            yield _Table(name, planted_into, table, place)
            continue
        for one in planted_into:
            yield _Table(name.replace("*", family_of(one)), one, table, place)


def _fault(name: str, op: Operation, table: Mapping[str, Any], place: str) -> ChangedEquation:
    taken = table.get("taken", {})
    for attribute, value in taken.items():
        known = op.attributes.get(attribute)
        if known is None or (known.values and not known.is_tuple and value not in known.values):
            raise SpecError(f"{place}: 'taken' expects attributes of {op.name}, at a value of theirs, got {attribute}")
    own = [table] if "text" in table else []
    blocks = [
        Block(block["text"], place, block.get("when", {}), block.get("each", ""))
        for block in (*own, *table.get("blocks", ()))
    ]
    if not blocks and not taken and "gates" not in table:
        raise SpecError(f"{place}: expected 'text', 'blocks', 'taken' or 'gates': a fault changes something")
    if table.get("gradients", "right") != "right":
        raise SpecError(f"{place}: 'gradients' expects 'right', got {table['gradients']!r}")
    if "gates" in table:
        try:
            op = with_gates(op, table["gates"])
        except SpecError as error:
            raise SpecError(f"{place}: {error}") from None
    op = changed(op, blocks)
    for idle in _idle(op):
        when = " and ".join(f"{name} is {value}" for name, value in idle.when.items())
        raise SpecError(f"{idle.place}: the line changes nothing of {op.name} when {when}: {idle.text}")
    read_as = {key: _value(value) for key, value in taken.items()}
    about = " ".join(table["about"].split())
    implementation = backend_of(op, read_as, right_gradients="gradients" in table)
    fault = Fault(name, op.name, about, implementation, table.get("dtype", "float32"))
    alone = not read_as and "gates" not in table and "gradients" not in table
    return ChangedEquation(fault, tuple(blocks) if alone else (), op)


def _idle(op: Operation) -> Iterator[Block]:
    """Yield the changes of an operation and its parts that say what the equations say already, when they hold."""
    for line in filter(lambda line: line.when, op.changes):
        new = dict(_texts(op, line))
        blocks = (*op.equations, *op.gradient)
        own = [(block.when, *sides) for block in blocks for sides in _texts(op, block) if sides[0] in new]
        # A function of the vocabulary that is defined anew has no equation of its own.
        if own and all(new[left] == right for when, left, right in own if _hold_together(when, line.when)):
            yield line
    for part in op.parts:
        for choice in part.choices.values():
            yield from _idle(choice)


def _texts(op: Operation, block: Block) -> list[tuple[str, str]]:
    """Both sides of a block's equations, for every gate or state that the operation has."""
    own = equations_of(replace(op, equations=(block,), gradient=()))
    return [(equation.left, ast.dump(equation.value)) for equation in own]


def _hold_together(one: When, other: When) -> bool:
    """Whether some attributes have the values that both ask for."""

    def values(wanted: Any) -> set[str]:
        return {repr(value) for value in (wanted if isinstance(wanted, list | tuple) else (wanted,))}

    return all(values(one[name]) & values(other[name]) for name in one.keys() & other.keys())


def _value(value: Any) -> Any:
    """A value of an attribute as a call has it."""
    if value == "none":
        return None
    return tuple(value) if isinstance(value, list) else value


def is_changed_equation(table: Mapping[str, Any]) -> bool:
    """Whether a fault's table has changed equations, and not a quantity that is slightly wrong."""
    return "quantity" not in table


def files_of_faults() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every file."""
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            yield file.name, file.read_text("utf-8")


def changed_equations(operations: Collection[str] = ()) -> tuple[ChangedEquation, ...]:
    """Every fault that is a changed equation, of these operations or of all; each is read when it is first asked for.

    Raises SpecError where a table is wrong.
    """
    return tuple(one.read for one in _every_table() if not operations or one.operation in operations)


@cache
def _every_table() -> tuple[_Table, ...]:
    return tuple(one for file, text in files_of_faults() for one in _tables(text, file))
