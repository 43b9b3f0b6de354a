"""Rebuilding of expression trees."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from rnnspec.spec.language import indices_of


def alike(one: Any, other: Any) -> bool:
    """Whether two expressions, or lists of them, are the same; this is sooner than to compare their dumps."""
    if one is other:
        return True
    if isinstance(one, ast.AST):
        return type(one) is type(other) and all(
            alike(getattr(one, field), getattr(other, field)) for field in one._fields if field not in _IDLE
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(alike, one, other))
    return type(one) is type(other) and bool(one == other)


_IDLE: Final = ("ctx", "kind", "type_comment")
"""Fields of nodes that mean nothing in an expression, and that made nodes lack."""


def transform(node: ast.expr, visit: Callable[[ast.expr], ast.expr]) -> ast.expr:
    """Rebuild an expression bottom up; `visit` returns the final form of each node.

    `visit` sees a call or subscript as a whole, and not its function's name or its array's name.
    """

    def inside(child: ast.expr) -> ast.expr:
        return transform(child, visit)

    match node:
        case ast.BinOp(left=left, op=operator, right=right):
            node = ast.BinOp(inside(left), operator, inside(right))
        case ast.UnaryOp(op=sign, operand=operand):
            node = ast.UnaryOp(sign, inside(operand))
        case ast.BoolOp(op=junction, values=values):
            node = ast.BoolOp(junction, [inside(value) for value in values])
        case ast.Compare(left=left, ops=comparisons, comparators=others):
            node = ast.Compare(inside(left), comparisons, [inside(other) for other in others])
        case ast.IfExp(test=test, body=body, orelse=other):
            node = ast.IfExp(inside(test), inside(body), inside(other))
        case ast.Attribute(value=value, attr=attribute):
            node = ast.Attribute(inside(value), attribute)
        case ast.Subscript(value=value, slice=index):
            indices = [inside(one) for one in indices_of(index)]
            node = ast.Subscript(value, indices[0] if len(indices) == 1 else ast.Tuple(indices))
        case ast.Call(func=function, args=[*leading, ast.GeneratorExp(elt=element, generators=[loop])]):
            over = loop.iter
            if isinstance(over, ast.Call):
                over = ast.Call(over.func, [inside(bound) for bound in over.args], [])
            loop = ast.comprehension(loop.target, over, [], 0)
            node = ast.Call(
                function, [*(inside(one) for one in leading), ast.GeneratorExp(inside(element), [loop])], []
            )
        case ast.Call(func=function, args=arguments):
            node = ast.Call(function, [inside(argument) for argument in arguments], [])
    return visit(node)
