"""The equation language: a small subset of Python's expression syntax, parsed and never executed as Python.

One equation stands on one line, ``target = expression``. A target is a name (``h``), an indexed name, or the definition
of a function (``arg(a)``). ``h[t]`` holds at every step t, ``alpha[t, j]`` at every t and j. An index that is a number
or a size, as in ``h[-1]`` or ``h[n - 1]``, means that place alone.

An expression is made of numbers, names, ``+ - * / @ ** % //``, ``.T``, indices in brackets, comparisons, ``and``,
``or``, ``not`` and ``a if condition else b``. It may call the functions of `rnnspec.spec.vocabulary`, functions defined
in the same system, and reducers over a range. ``sum(… for t in range(…))`` is a reducer, and likewise max, min, argmax,
log_sum_exp, all, any, vector and ``top(j, (… for t in range(…)))``. A sum may also run over the gates,
``sum(… for k in gates)``. Anything else is refused, with the line and the reason.

Some names are made of others: `gradient_of`, `before` and `initial` say how, and nothing else spells them.
"""

from __future__ import annotations

import ast
import operator as operators
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from rnnspec.spec.errors import SpecError
from rnnspec.spec.vocabulary import REDUCERS, VOCABULARY

_EQUALS = re.compile(r"(?<![=<>!])=(?!=)")
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult, ast.Pow, ast.Mod, ast.FloorDiv)
_OF_SIZES: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operators.add,
    ast.Sub: operators.sub,
    ast.Mult: operators.mul,
    ast.Pow: operators.pow,
}
LARGEST: Final = 10**30
"""Beyond any size, and any number of operations."""
COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operators.eq,
    ast.NotEq: operators.ne,
    ast.Lt: operators.lt,
    ast.LtE: operators.le,
    ast.Gt: operators.gt,
    ast.GtE: operators.ge,
}
"""The comparisons of the language, as of two numbers."""


@dataclass(frozen=True)
class Equation:
    """``target[indices] = value``; a plain name has no indices, `parameters` are those of a function definition."""

    target: str
    indices: tuple[ast.expr, ...]
    parameters: tuple[str, ...] | None
    value: ast.expr
    place: str

    def __repr__(self) -> str:
        """The equation, not its tree."""
        return f"<{self.left} = {ast.unparse(self.value)}>"

    def letters(self, sizes: Collection[str]) -> tuple[str | None, ...]:
        """For each index its letter, if the equation holds wherever it stands; None if it holds at one place alone."""
        return tuple(
            index.id if isinstance(index, ast.Name) and index.id not in sizes else None for index in self.indices
        )

    @property
    def left(self) -> str:
        """The left side, as text."""
        if self.parameters is not None:
            return f"{self.target}({', '.join(self.parameters)})"
        return f"{self.target}[{', '.join(map(ast.unparse, self.indices))}]" if self.indices else self.target


def gradient_of(name: str) -> str:
    """Return the name of the derivative of the loss with respect to a quantity."""
    return f"d{name}"


def differentiated(name: str, quantities: Collection[str]) -> str | None:
    """Return what a left side of the gradient's equations is the gradient of; None for an auxiliary quantity.

    A gradient is ``dq`` for one of the `quantities`, or a part of it with a label of its own, such as ``dq_all``, which
    counts as the gradient of ``q_all``. A ``delta`` is none, as there is no quantity ``elta``.
    """
    stem = name.removeprefix("d")
    known = stem in quantities or stem.rpartition("_")[0] in quantities
    return stem if known and name == gradient_of(stem) else None


def before(state: str) -> str:
    """Return the name under which a cell takes the state before its step."""
    return f"{state}_prev"


def initial(state: str) -> str:
    """Return the name under which a layer takes the state before its first step."""
    return f"{state}0"


@lru_cache(maxsize=16384)
def parse(text: str, place: str) -> tuple[Equation, ...]:
    """Parse lines of equations; `place` (file, operation, block) opens every error message.

    The same lines are read many times, as blocks of several systems, so that they are kept: nobody changes their trees.
    """
    equations = []
    for number, line in enumerate(text.splitlines(), start=1):
        source = line.strip()
        if source and not source.startswith("#"):
            equations.append(_parse_line(source, f"{place}, line {number}: {source!r}"))
    return tuple(equations)


@lru_cache(maxsize=1024)
def parse_size(text: str, place: str) -> ast.expr:
    """Parse a size given by other sizes, such as ``2 * H`` or ``D if L == 1 else H``."""
    value = _parse_expression(text, place)
    try:
        _check_size(value, place)
    except RecursionError:
        raise SpecError(f"{place}: expected an expression that is nested less deeply") from None
    return value


def sizes_in(node: ast.expr) -> tuple[str, ...]:
    """Names of the sizes in an expression, as `parse_size` gives it."""
    functions = {id(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
    names = (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and id(inner) not in functions)
    return tuple(dict.fromkeys(names))


def size_of(node: ast.expr, sizes: Mapping[str, int]) -> int:
    """Value of an expression in sizes, as `parse_size` gives it; KeyError if one is not known.

    Raises
    ------
    SpecError
        If a part has no whole number as its value, or one beyond `LARGEST`.
    """
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return sizes[name]
        case ast.BinOp(left=left, op=operator, right=right):
            return _computed(operator, size_of(left, sizes), size_of(right, sizes))
        case ast.Call(args=arguments):
            return min(size_of(argument, sizes) for argument in arguments)
        case ast.IfExp(test=ast.Compare(left=left, comparators=[right]), body=body, orelse=other):
            return size_of(body if size_of(left, sizes) == size_of(right, sizes) else other, sizes)
    raise AssertionError(f"the parser let through {ast.dump(node)}")


def _computed(operator: ast.operator, left: int, right: int) -> int:
    """A part's value; no power is computed that has more digits than the largest."""
    bits = right * (abs(left).bit_length() - 1) if isinstance(operator, ast.Pow) else 0
    if isinstance(operator, ast.Pow) and right < 0:
        raise SpecError(f"expected a power of 0 or more, got {right}")
    value = _OF_SIZES[type(operator)](left, right) if bits <= LARGEST.bit_length() else LARGEST + 1
    if abs(value) > LARGEST:
        raise SpecError(f"expected sizes and numbers of operations up to {LARGEST:.0e}")
    return int(value)


def _check_size(node: ast.expr, place: str) -> None:
    """Refuse whatever gives no size."""
    match node:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return
        case ast.Name():
            return
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OF_SIZES:
            parts = [left, right]
        case ast.Call(func=ast.Name(id="min"), args=[_, _, *_] as arguments, keywords=[]):
            parts = arguments
        case ast.IfExp(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]), body=body, orelse=other):
            parts = [left, right, body, other]
        case _:
            forms = "+ - * ** of sizes, by 'min(a, b)' or by 'a if b == c else d'"
            raise SpecError(f"{place}: a size is given by {forms}, got '{ast.unparse(node)}'")
    for part in parts:
        _check_size(part, place)


def indices_of(node: ast.expr) -> tuple[ast.expr, ...]:
    """Return what stands between brackets, one expression an index."""
    return tuple(node.elts) if isinstance(node, ast.Tuple) else (node,)


def indexed(name: str, indices: tuple[ast.expr, ...]) -> ast.expr:
    """Return ``name[indices]``, or the plain name if there are none."""
    if not indices:
        return ast.Name(name)
    return ast.Subscript(ast.Name(name), indices[0] if len(indices) == 1 else ast.Tuple(list(indices)))


def _parse_line(source: str, place: str) -> Equation:
    sides = _EQUALS.split(source, maxsplit=1)
    if len(sides) != 2:
        raise SpecError(f"{place}: expected 'target = expression', got no '='")
    target, value = (_parse_expression(side, place) for side in sides)
    _check_expression(value, place)
    match target:
        case ast.Name(id=name):
            return Equation(name, (), None, value, place)
        case ast.Subscript(value=ast.Name(id=name), slice=index) if indices_of(index):
            for one in indices_of(index):
                _check_expression(one, place)
            return Equation(name, indices_of(index), None, value, place)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if arguments:
            parameters = tuple(a.id for a in arguments if isinstance(a, ast.Name))
            if len(parameters) == len(arguments):
                return Equation(name, (), parameters, value, place)
    raise SpecError(f"{place}: expected a target like 'h', 'h[t]' or 'f(a)', got '{sides[0].strip()}'")


def _parse_expression(source: str, place: str) -> ast.expr:
    try:
        return ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error or "nested too deeply"
        raise SpecError(f"{place}: not an expression: {reason}") from None


def _check_expression(node: ast.expr, place: str) -> None:
    """Refuse whatever is not in the language."""
    match node:
        case ast.Constant(value=number):
            if type(number) not in (int, float):
                raise SpecError(f"{place}: expected a real number, got {ast.unparse(node)}")
        case ast.Name():
            return
        case ast.BinOp(left=left, op=operator, right=right):
            if not isinstance(operator, _OPERATORS):
                raise SpecError(f"{place}: expected one of + - * / @ ** % //, got '{ast.unparse(node)}'")
            _check_all((left, right), place)
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            _check_expression(operand, place)
        case ast.BoolOp(values=values):
            _check_all(values, place)
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in COMPARISONS:
            _check_all((left, right), place)
        case ast.IfExp(test=test, body=body, orelse=other):
            _check_all((test, body, other), place)
        case ast.Attribute(value=value, attr=attribute):
            if attribute != "T":
                raise SpecError(f"{place}: the only attribute in the language is .T, got '.{attribute}'")
            _check_expression(value, place)
        case ast.Subscript(value=value, slice=index):
            if not isinstance(value, ast.Name) or not indices_of(index):
                raise SpecError(f"{place}: only a name can be indexed, by one index or more, got '{ast.unparse(node)}'")
            _check_all(indices_of(index), place)
        case ast.Call(func=ast.Name(id=name), args=[*leading, ast.GeneratorExp() as generator], keywords=[]):
            if name not in REDUCERS or len(leading) != (name == "top"):
                raise SpecError(f"{place}: expected one of {', '.join(REDUCERS)}, got '{ast.unparse(node)}'")
            _check_all(leading, place)
            _check_generator(name, generator, place)
        case ast.Call(func=ast.Name(id=name)) if name in REDUCERS and name not in VOCABULARY:
            form = "top(j, (… for t in range(…)))" if name == "top" else f"{name}(… for t in range(…))"
            raise SpecError(f"{place}: expected {form}, got '{ast.unparse(node)}'")
        case ast.Call(func=ast.Name(), args=arguments, keywords=[]):
            _check_all(arguments, place)
        case _:
            known = ", ".join(sorted(VOCABULARY))
            raise SpecError(
                f"{place}: '{ast.unparse(node)}' is not in the equation language: expected numbers, names, "
                f"+ - * / @ ** % //, .T, indices, one comparison at a time, and, or, not, … if … else …, "
                f"sum(… for t in range(…)) or another of {', '.join(REDUCERS)}, or one of {known}"
            )


def _check_all(nodes: Collection[ast.expr], place: str) -> None:
    for node in nodes:
        _check_expression(node, place)


def _check_generator(name: str, generator: ast.GeneratorExp, place: str) -> None:
    match generator.generators:
        case [ast.comprehension(target=ast.Name(), iter=over, ifs=[], is_async=0)]:
            pass
        case _:
            raise SpecError(f"{place}: expected one 'for' with one name and no 'if', got '{ast.unparse(generator)}'")
    match over:
        case ast.Name(id="gates") if name == "sum":
            pass
        case ast.Call(func=ast.Name(id="range"), args=[_] | [_, _] as bounds, keywords=[]):
            _check_all(bounds, place)
        case _:
            allowed = "range(…) or gates" if name == "sum" else "range(…)"
            raise SpecError(f"{place}: a {name} runs over {allowed}, got '{ast.unparse(over)}'")
    _check_expression(generator.elt, place)
