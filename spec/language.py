"""The equation language: a small subset of Python's expression syntax, parsed and never executed as Python.

One equation stands on one line, ``target = expression``. A target is a name (``h``), an indexed name (``h[t]``, which
holds at every step t; ``h[-1]`` or ``h[n - 1]``, which holds at that step alone) or the definition of a function
(``arg(a)``). An expression is made of numbers, names, ``+ - * / @ **``, ``.T``, one index in brackets, the functions of
`rnnspec.spec.vocabulary`, functions defined in the same system, and ``sum(… for t in range(…))`` or
``sum(… for k in gates)``. Anything else is refused, with the line and the reason.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from rnnspec.spec.errors import SpecError
from rnnspec.spec.vocabulary import VOCABULARY

STEP = "t"
"""The index of an equation that holds at every step."""

_EQUALS = re.compile(r"(?<![=<>!])=(?!=)")
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult, ast.Pow)


@dataclass(frozen=True)
class Equation:
    """``target[index] = value``; `index` is None for a plain name, `parameters` are those of a function definition."""

    target: str
    index: ast.expr | None
    parameters: tuple[str, ...] | None
    value: ast.expr
    place: str

    @property
    def general(self) -> bool:
        """Whether it holds at every step, rather than at one."""
        return isinstance(self.index, ast.Name) and self.index.id == STEP

    @property
    def left(self) -> str:
        """The left side, as text."""
        if self.parameters is not None:
            return f"{self.target}({', '.join(self.parameters)})"
        return self.target if self.index is None else f"{self.target}[{ast.unparse(self.index)}]"


def parse(text: str, place: str) -> list[Equation]:
    """Parse lines of equations; `place` (file, operation, block) opens every error message."""
    equations = []
    for number, line in enumerate(text.splitlines(), start=1):
        source = line.strip()
        if source and not source.startswith("#"):
            equations.append(_parse_line(source, f"{place}, line {number}: {source!r}"))
    return equations


def _parse_line(source: str, place: str) -> Equation:
    sides = _EQUALS.split(source, maxsplit=1)
    if len(sides) != 2:
        raise SpecError(f"{place}: expected 'target = expression', got no '='")
    target, value = (_parse_expression(side, place) for side in sides)
    _check_expression(value, place)
    match target:
        case ast.Name(id=name):
            return Equation(name, None, None, value, place)
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            _check_expression(index, place)
            return Equation(name, index, None, value, place)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if arguments:
            parameters = tuple(a.id for a in arguments if isinstance(a, ast.Name))
            if len(parameters) == len(arguments):
                return Equation(name, None, parameters, value, place)
    raise SpecError(f"{place}: expected a target like 'h', 'h[t]' or 'f(a)', got '{sides[0].strip()}'")


def _parse_expression(source: str, place: str) -> ast.expr:
    try:
        return ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
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
                raise SpecError(f"{place}: expected one of + - * / @ **, got '{ast.unparse(node)}'")
            _check_expression(left, place)
            _check_expression(right, place)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _check_expression(operand, place)
        case ast.Attribute(value=value, attr=attribute):
            if attribute != "T":
                raise SpecError(f"{place}: the only attribute in the language is .T, got '.{attribute}'")
            _check_expression(value, place)
        case ast.Subscript(value=value, slice=index):
            if not isinstance(value, ast.Name):
                raise SpecError(f"{place}: only a name can be indexed, got '{ast.unparse(node)}'")
            _check_expression(index, place)
        case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp() as generator], keywords=[]):
            _check_sum(generator, place)
        case ast.Call(func=ast.Name(id="sum")):
            raise SpecError(f"{place}: expected sum(… for t in range(…)), got '{ast.unparse(node)}'")
        case ast.Call(func=ast.Name(), args=arguments, keywords=[]):
            for argument in arguments:
                _check_expression(argument, place)
        case _:
            known = ", ".join(sorted(VOCABULARY))
            raise SpecError(
                f"{place}: '{ast.unparse(node)}' is not in the equation language: expected numbers, names, "
                f"+ - * / @ **, .T, one index, sum(… for t in range(…)) or one of {known}"
            )


def _check_sum(generator: ast.GeneratorExp, place: str) -> None:
    match generator.generators:
        case [ast.comprehension(target=ast.Name(), iter=over, ifs=[], is_async=0)]:
            pass
        case _:
            raise SpecError(f"{place}: expected one 'for' with one name and no 'if', got '{ast.unparse(generator)}'")
    match over:
        case ast.Name(id="gates"):
            pass
        case ast.Call(func=ast.Name(id="range"), args=[_] | [_, _] as bounds, keywords=[]):
            for bound in bounds:
                _check_expression(bound, place)
        case _:
            raise SpecError(f"{place}: a sum runs over range(…) or gates, got '{ast.unparse(over)}'")
    _check_expression(generator.elt, place)
