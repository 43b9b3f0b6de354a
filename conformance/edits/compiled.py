"""The literal equations at the speed of Python: each is translated to a function once.

`spec.evaluate` walks an equation's tree at every place where it is needed; that is the definition, and easy to follow.
Thousands of calls of changed equations want it faster, and get the same numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Any

import numpy as np

from rnnspec.spec.arrays import Array
from rnnspec.spec.errors import SpecError
from rnnspec.spec.evaluate import Evaluation, Key, LiteralCall
from rnnspec.spec.language import indices_of
from rnnspec.spec.system import System
from rnnspec.spec.vocabulary import REDUCERS, VOCABULARY

Program = Callable[..., Any]
Programs = dict[ast.expr, Program]

_STEP = 1e-20
"""The size of a complex step: its square vanishes beside any number."""

_NATIVE: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.MatMult: "@",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_OF_NUMPY: dict[type[ast.operator], str] = {
    ast.Div: "divide",  # of two whole numbers, by 0 too
    ast.Pow: "power",
    ast.Mod: "mod",
    ast.FloorDiv: "floor_divide",
}
_KNOWN: dict[str, Any] = {
    **{f"f_{name}": function for name, function in VOCABULARY.items()},
    **{f"r_{name}": function for name, function in REDUCERS.items()},
    **{name: getattr(np, name) for name in _OF_NUMPY.values()},
}


class CompiledCall(LiteralCall):
    """A call by its literal equations, translated."""

    programs: Programs
    """Those of its system that were needed so far; to be kept with the system."""

    known: Sequence[Mapping[Key, Any]] = ()
    """The facts about each of its sequences, so that they are not worked out anew."""

    functions: Mapping[str, Any] = MappingProxyType({})
    """The replacements of functions that translated equations use, by the names that they have there."""

    evaluations: list[Evaluation]
    """Those of its sequences, of which the results came last."""

    def outputs(self) -> list[Array]:
        """Return the outputs of the call."""
        self.evaluations = []
        return super().outputs()

    def gradients(self, cotangents: tuple[Array, ...]) -> dict[str, Array]:
        """Return the gradients of the call's float inputs."""
        self.evaluations = []
        return super().gradients(cotangents)

    def with_inputs(self, **changed: Array) -> CompiledCall:
        """Return the call with other float arrays in the place of some, which may be complex."""
        other = copy(self)
        other.inputs = {**self.inputs, **changed}
        other.dtype = np.result_type(self.dtype, *changed.values())
        other.known = ()
        return other

    def evaluation(self, values: Mapping[str, Array], sizes: Mapping[str, int]) -> Evaluation:
        """The translation that computes the quantities of one sequence."""
        one = _Compiled(self.system, values, sizes, self.programs)
        one.functions = self.functions
        place = len(self.evaluations)
        if place < len(self.known):
            one.known.update(self.known[place])
        self.evaluations.append(one)
        return one


def by_steps(call: CompiledCall, cotangents: tuple[Array, ...]) -> dict[str, Array]:
    """The gradients of a call by a complex step of every entry of every float input."""
    floats = [place for place, item in enumerate(call.results.values()) if item.kind == "float"]
    found = {}
    for name in call.given:
        array = call.inputs[name].astype(np.complex128)
        gradient = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            stepped = array.copy()
            stepped[place] += 1j * _STEP
            outputs = call.with_inputs(**{name: stepped}).outputs()
            gradient[place] = sum(
                float((outputs[at].imag * d.astype(np.float64)).sum()) for at, d in zip(floats, cotangents, strict=True)
            )
        found[name] = gradient / _STEP
    return found


class _Compiled(Evaluation):
    """An evaluation by translated equations."""

    def __init__(
        self, rules: System, values: Mapping[str, Array], sizes: Mapping[str, int], programs: Programs
    ) -> None:
        super().__init__(rules, values, sizes)
        self.programs = programs

    functions: Mapping[str, Any] = MappingProxyType({})

    def _expression(self, node: ast.expr, bound: Mapping[str, int]) -> Any:
        program = self.programs.get(node)
        if program is None:
            known = {**_KNOWN, **self.functions} if self.functions else _KNOWN
            program = self.programs[node] = _translated(node, frozenset(bound), frozenset(self.sizes), known)
        return program(self._value, self.sizes, bound, self._index)

    def _index(self, number: Any) -> int:
        """Return a number that has to be a whole one."""
        if np.ndim(number) != 0 or number.real != int(number.real):
            raise SpecError(f"{self.system.name}: expected a whole number as an index, got {number}")
        return int(number.real)


def _translated(
    node: ast.expr, letters: frozenset[str], sizes: frozenset[str], known: dict[str, Any] = _KNOWN
) -> Program:
    """Return the function of the quantities, the sizes, the letters' values and what makes a number an index."""
    text = f"lambda q, s, b, w: {_text(node, {letter: f'b[{letter!r}]' for letter in letters}, sizes)}"
    program: Program = eval(text, known)
    return program


def _text(node: ast.expr, bound: Mapping[str, str], sizes: frozenset[str]) -> str:
    """The expression in Python, where the names of `bound` stand for what they are bound to."""

    def text(inner: ast.expr) -> str:
        return _text(inner, bound, sizes)

    match node:
        case ast.Constant(value=number):
            return f"({number!r})"
        case ast.Name(id=name):
            if name in bound:
                return bound[name]
            return f"s[{name!r}]" if name in sizes else f"q({name!r}, ())"
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            return f"q({name!r}, ({''.join(f'{_whole(one, bound, sizes)}, ' for one in indices_of(index))}))"
        case ast.Attribute(value=value):
            return f"{text(value)}.T"
        case ast.UnaryOp(op=sign, operand=operand):
            return f"({'not ' if isinstance(sign, ast.Not) else '-'}{text(operand)})"
        case ast.BinOp(left=left, op=operator, right=right):
            if type(operator) in _OF_NUMPY:
                return f"{_OF_NUMPY[type(operator)]}({text(left)}, {text(right)})"
            return f"({text(left)} {_NATIVE[type(operator)]} {text(right)})"
        case ast.IfExp(test=test, body=body, orelse=other):
            return f"({text(body)} if {text(test)} else {text(other)})"
        case ast.BoolOp(op=junction, values=values):
            return f"({(' and ' if isinstance(junction, ast.And) else ' or ').join(map(text, values))})"
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            return f"({text(left)}.real {_NATIVE[type(comparison)]} {text(right)}.real)"
        case ast.Call(func=ast.Name(id=name), args=[*leading, ast.GeneratorExp(elt=element, generators=[loop])]):
            assert isinstance(loop.iter, ast.Call)
            assert isinstance(loop.target, ast.Name)
            letter = f"{loop.target.id}{len(bound)}"
            inside = _text(element, {**bound, loop.target.id: letter}, sizes)
            ends = ", ".join(_whole(end, bound, sizes) for end in loop.iter.args)
            first = "".join(f"{_whole(one, bound, sizes)}, " for one in leading)
            return f"r_{name}({first}[{inside} for {letter} in range({ends})])"
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return f"f_{name}({', '.join(map(text, arguments))})"
    raise AssertionError(f"the parser let through {ast.dump(node)}")


def _whole(node: ast.expr, bound: Mapping[str, str], sizes: frozenset[str]) -> str:
    """A whole number in Python: an expression of letters, sizes and numbers is one, another quantity has to show it."""
    text = _text(node, bound, sizes)
    sure = all(
        isinstance(inner, ast.Constant | ast.operator | ast.unaryop | ast.expr_context)
        or (isinstance(inner, ast.Name) and (inner.id in bound or inner.id in sizes))
        or (isinstance(inner, ast.BinOp) and not isinstance(inner.op, ast.Div | ast.Pow))
        or isinstance(inner, ast.UnaryOp)
        for inner in ast.walk(node)
    )
    return text if sure else f"w({text})"
