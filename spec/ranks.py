"""How many axes the quantities of a system have: whether a product is one of numbers, vectors or matrices."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rnnspec.spec.language import Equation, gradient_of, indices_of
from rnnspec.spec.operation import Input, Operation, Output
from rnnspec.spec.system import System
from rnnspec.spec.vocabulary import REDUCERS

Ranks = Mapping[str, int]
"""The number of axes of each quantity with all its indices left out; of what has no entry it is not known."""

_FIXED: Final = {
    "mean": 0, "norm": 0, "spectral_norm": 0, "total": 0, "log_sum_exp": 0,
    "concat": 1, "one_hot": 1, "ordered": 1, "singular_values": 1, "zeros": 1,
    "identity_matrix": 2, "outer": 2, "power": 2,
}  # fmt: skip
"""Axes of what these functions return; others return as many as their arguments have."""
_ROUNDS: Final = 100


def ranks_of(op: Operation, attributes: Mapping[str, Any], rules: System) -> dict[str, int]:
    """Return the axes of an operation's quantities, for the equations of one sequence.

    Parameters
    ----------
    op, attributes
        The operation, with the parts that the attributes choose, and all its attributes.
    rules
        Its equations under these attributes.
    """
    known: dict[str, int] = {}
    items: dict[str, Input | Output] = {**op.inputs_for(attributes), **op.outputs_for(attributes)}
    for name, item in items.items():
        axes = len(item.shape) - (item.shape[:1] == ("B",) and not op.over_batch)
        rows = (*getattr(item, "rows", ()), *(rules.gates if "G" in item.shape else ()))
        known[name] = known[gradient_of(name)] = axes
        for row in rows:  # the axis of the gates is gone: the letter says which
            split = axes - bool(getattr(item, "rows", ()) or item.shape.count("G"))
            known[f"{name}_{row}"] = known[gradient_of(f"{name}_{row}")] = split
    known |= dict.fromkeys((*rules.sizes, *attributes, "inf"), 0)
    equations = (*rules.forward, *rules.gradient)
    defined = {equation.target for equation in equations}
    found = {name: axes for name, axes in known.items() if name not in defined}
    for _ in range(_ROUNDS):
        before = dict(found)
        for equation in equations:
            of_value = _of(equation.value, {**found, **_letters(equation)})
            if of_value is not None:
                found[equation.target] = max(of_value + len(equation.indices), found.get(equation.target, 0))
        if found == before:
            break
    return found


def rank_of(node: ast.expr, ranks: Ranks, equation: Equation | None = None) -> int | None:
    """Return the axes of an expression in an equation; None where those of a quantity in it are not known."""
    known = {**ranks, **(_letters(equation) if equation else {})}
    functions = {id(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and id(one) not in functions}
    return _of(node, known) if names <= set(known) else None


def _letters(equation: Equation) -> dict[str, int]:
    """The letters of an equation's indices and of its ranges, which are numbers."""
    targets = [node.target for node in ast.walk(equation.value) if isinstance(node, ast.comprehension)]
    return {one.id: 0 for one in (*equation.indices, *targets) if isinstance(one, ast.Name)}


def _of(node: ast.expr, ranks: Ranks) -> int | None:
    match node:
        case ast.Constant() | ast.Compare() | ast.BoolOp():
            return 0
        case ast.Name(id=name):
            return ranks.get(name)
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            whole = ranks.get(name)
            return None if whole is None else max(whole - len(indices_of(index)), 0)
        case ast.Attribute(value=value):
            return _of(value, ranks)
        case ast.UnaryOp(operand=operand):
            return _of(operand, ranks)
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            a, b = _of(left, ranks), _of(right, ranks)
            return None if a is None or b is None else max(a + b - 2, 0)
        case ast.BinOp(left=left, right=right):
            return _greatest((left, right), ranks)
        case ast.IfExp(body=body, orelse=other):
            return _greatest((body, other), ranks)
        case ast.Call(func=ast.Name(id=name), args=[*_, ast.GeneratorExp(elt=element)]) if name in REDUCERS:
            inner = _of(element, ranks)
            if name == "sum" or inner is None:
                return inner
            return inner + 1 if name == "vector" else 0
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FIXED[name] if name in _FIXED else _greatest(arguments, ranks)
    return None


def _greatest(nodes: Iterable[ast.expr], ranks: Ranks) -> int | None:
    """The axes of what is put together entry by entry: those of the greatest, as far as they are known."""
    found = [axes for axes in (_of(node, ranks) for node in nodes) if axes is not None]
    return max(found, default=None)
