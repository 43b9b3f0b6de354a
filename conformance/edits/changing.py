"""An operation with some of its equations changed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from rnnspec.spec import Operation, SpecError
from rnnspec.spec.composition import for_state, states_of
from rnnspec.spec.language import Equation, parse
from rnnspec.spec.operation import Block
from rnnspec.spec.system import for_gate
from rnnspec.spec.vocabulary import VOCABULARY


def changed(op: Operation, blocks: Iterable[Block]) -> Operation:
    """Return the operation with lines in the place of those with the same left side, of values and gradients.

    Parameters
    ----------
    op
        The operation, as the specification has it.
    blocks
        The lines, in the form that blocks of the specification have: each stands for all equations of that left side,
        or for those that hold `when` the block says. A left side that the operation itself lacks is looked for in its
        parts: so a line for a layer reaches the cell that it unrolls. A line such as ``tanh(a) = relu(a)`` defines a
        function of the vocabulary anew, in the operation and its parts.

    Raises
    ------
    SpecError
        If no equation has a line's left side, if a line changes nothing, or if `when` names no attribute of the
        operation.
    """
    for block in blocks:
        for line in filter(None, map(str.strip, block.text.splitlines())):
            op = _with_line(op, replace(block, text=line))
    return op


def with_gates(op: Operation, order: Sequence[str]) -> Operation:
    """Return the operation with its gates in another order on the axis that W, R and b have for them.

    Where fewer gates have weights, those that have keep this order. Raises SpecError if it is no other order of them.
    """
    if sorted(order) != sorted(op.gates) or tuple(order) == op.gates:
        raise SpecError(f"'gates' expects another order of {', '.join(op.gates)}, got {', '.join(order)}")
    variants = tuple((when, tuple(gate for gate in order if gate in some)) for when, some in op.gate_variants)
    return replace(op, gates=tuple(order), gate_variants=variants)


def equations_of(op: Operation) -> tuple[Equation, ...]:
    """Return every equation that the operation has of its own under any attributes, gates and states written out."""
    return tuple(equation for block in (*op.equations, *op.gradient) for equation in _written(op, block))


def touches_values(op: Operation) -> bool:
    """Whether a change may reach the values: not if it is of equations that the gradient alone has."""
    of_gradient = {equation.left for block in op.gradient for equation in _written(op, block)}
    own = [equation for line in op.changes for equation in _written(op, line)]
    if any(e.parameters is not None or e.left not in of_gradient for e in own):
        return True
    # Where a part is a step of a layer, its gradient makes values.
    return any(
        touches_values(choice) or (part.step and _is_changed(choice))
        for part in op.parts
        for choice in part.choices.values()
    )


def _is_changed(op: Operation) -> bool:
    return bool(op.changes) or any(_is_changed(choice) for part in op.parts for choice in part.choices.values())


def _with_line(op: Operation, line: Block) -> Operation:
    placed = _placed(op, line)
    if placed is None:
        (equation,) = parse(line.text, line.place)
        lefts = sorted({e.left for e in _with_parts(op)})
        raise SpecError(
            f"{line.place}: no equation of {op.name} has the left side {equation.left}: expected one of "
            f"{', '.join(lefts)}"
        )
    return placed


def _placed(op: Operation, line: Block) -> Operation | None:
    """Return the operation with the line where its left side first is, itself before its parts; None if nowhere."""
    new = _written(op, line)
    own = _by_left(op)
    if not new:
        raise SpecError(f"{line.place}: 'each' is {line.each}, and {op.name} has none")
    if any(_is_itself(equation) for equation in new):
        raise SpecError(f"{line.place}: the line changes nothing: {line.text}")
    if all(equation.parameters is not None and equation.target in VOCABULARY for equation in new):
        return _everywhere(op, line)
    if any(equation.left in own for equation in new):
        if all(ast.dump(e.value) in own.get(e.left, {ast.dump(e.value)}) and len(own[e.left]) == 1 for e in new):
            raise SpecError(f"{line.place}: the line changes nothing of {op.name}: {line.text}")
        unknown = sorted(set(line.when) - set(op.attributes))
        if unknown:
            raise SpecError(f"{line.place}: 'when' names {unknown[0]}, which is no attribute of {op.name}")
        return replace(op, changes=(*op.changes, line))
    parts = []
    for part in op.parts:
        choices = {name: _placed(choice, line) for name, choice in part.choices.items()}
        found = {name: choice for name, choice in choices.items() if choice is not None}
        parts.append(replace(part, choices={**part.choices, **found}) if found else part)
    return replace(op, parts=tuple(parts)) if tuple(parts) != op.parts else None


def _is_itself(equation: Equation) -> bool:
    """Whether it defines a function as that very function, ``tanh(a) = tanh(a)``."""
    return equation.parameters is not None and ast.unparse(equation.value) == equation.left


def _everywhere(op: Operation, line: Block) -> Operation:
    """Return the operation with the line in itself and in all its parts."""
    parts = tuple(
        replace(part, choices={name: _everywhere(choice, line) for name, choice in part.choices.items()})
        for part in op.parts
    )
    return replace(op, parts=parts, changes=(*op.changes, line))


@lru_cache(maxsize=256)
def _by_left(op: Operation) -> dict[str, set[str]]:
    """The right sides of every left side."""
    found: dict[str, set[str]] = {}
    for equation in equations_of(op):
        found.setdefault(equation.left, set()).add(ast.dump(equation.value))
    return found


def _with_parts(op: Operation) -> Iterator[Equation]:
    yield from equations_of(op)
    for part in op.parts:
        for choice in part.choices.values():
            yield from _with_parts(choice)


def _written(op: Operation, block: Block) -> Sequence[Equation]:
    """Return the equations of a block for every gate or state that the operation has under any attributes."""
    equations = parse(block.text, block.place)
    if block.each in ("STATE", "MEMORY"):
        found: list[Equation] = []
        if not op.parts:
            return found
        part = op.parts[0]
        for choice in part.choices:
            states = list(states_of(op, {part.operation: choice}).items())[block.each == "MEMORY" :]
            found += [for_state(e, block.each, *state, part.reads) for state in states for e in equations]
        return found
    if block.each:
        return [for_gate(equation, block.each, gate) for gate in _gates(op) for equation in equations]
    return equations


def _gates(op: Operation) -> tuple[str, ...]:
    own = [op.gates, *(gates for _, gates in op.gate_variants)]
    of_parts = [_gates(choice) for part in op.parts for choice in part.choices.values()]
    return tuple(dict.fromkeys(gate for gates in (*own, *of_parts) for gate in gates))
