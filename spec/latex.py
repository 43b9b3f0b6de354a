"""Equations typeset as LaTeX, which KaTeX and TeX engines compile, from the tree that is evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from rnnspec.spec.language import Equation, differentiated, gradient_of, indexed, indices_of, initial
from rnnspec.spec.loading import operations
from rnnspec.spec.operation import Operation
from rnnspec.spec.printing import as_read, summed
from rnnspec.spec.ranks import Ranks, rank_of, ranks_of
from rnnspec.spec.system import System
from rnnspec.spec.vocabulary import REDUCERS, VOCABULARY

_GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "lambda", "mu", "sigma", "tau", "theta"}
_PRECEDENCE = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 2, ast.MatMult: 3, ast.Pow: 5, ast.Mod: 2, ast.FloorDiv: 2}
_COMPARISON, _AND, _OR = 0, -1, -2
_UNARY, _ATOM = 4, 9
_SIGNS = {
    ast.Add: " + ",
    ast.Sub: " - ",
    ast.Mult: " \\odot ",
    ast.MatMult: " ",
    ast.Mod: " \\bmod ",
    ast.FloorDiv: " \\mathbin{/\\!/} ",
}
_RELATIONS = {ast.Eq: "=", ast.NotEq: "\\neq", ast.Lt: "<", ast.LtE: "\\leq", ast.Gt: ">", ast.GtE: "\\geq"}
_AROUND = {"abs": ("|", "|"), "floor": ("\\lfloor", "\\rfloor"), "norm": ("\\lVert", "\\rVert")}
_COUNT = "n"
"""The number of steps, which a gate and the label of a final state share their letter with."""


def typesetter(op: Operation, attributes: Mapping[str, Any], rules: System) -> Typesetter:
    """Return a typesetter of an operation's equations; `op` has the parts that the attributes choose."""
    targets = {equation.target: len(equation.indices) for equation in (*rules.forward, *rules.gradient)}
    ends = (*op.outputs_for(attributes), *(() if _COUNT in rules.gates else targets))
    finals = frozenset(name for name in ends if name.endswith(f"_{_COUNT}"))
    defined = {equation.target for equation in rules.forward}
    quantities = {*op.inputs_for(attributes), *op.outputs_for(attributes), *defined}
    words = frozenset(
        name for name in (*quantities, *attributes) if name.startswith("d") and differentiated(name, quantities) is None
    )
    return Typesetter(ranks_of(op, attributes, rules), targets, finals, words)


@dataclass(frozen=True)
class Typesetter:
    """Typesets equations: ``@`` as juxtaposition, ``*`` of arrays as the elementwise product, ``.T`` as a transpose.

    `ranks` has the axes of quantities: numbers are multiplied without a sign, and a vector that is multiplied by a
    matrix from the right is transposed. An expression that is not known to be a number counts as an array. `targets`
    are the quantities that the equations define, with the numbers of their indices: the state ``h_n`` is the final one
    of these, and not that of a gate; ``h0`` is the initial one, and not that after step 0. `finals` are other names of
    final states, `words` the names that begin with a d and are no derivatives.
    """

    ranks: Ranks = field(default_factory=dict)
    targets: Mapping[str, int] = field(default_factory=dict)
    finals: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    def equation(self, equation: Equation) -> str:
        """Typeset an equation as one line of an ``align`` environment."""
        inner = _InEquation(self, equation)
        return f"{inner.latex(indexed(equation.target, equation.indices))} &= {inner.latex(as_read(equation))}"

    def expression(self, node: ast.expr) -> str:
        """Typeset an expression."""
        return _InEquation(self, None).latex(node)


@dataclass(frozen=True)
class _InEquation:
    """The typesetting of one equation, whose letters are numbers."""

    known: Typesetter
    within: Equation | None

    def latex(self, node: ast.expr) -> str:
        return self._latex(node)[0]

    def _rank(self, node: ast.expr) -> int | None:
        return rank_of(node, self.known.ranks, self.within)

    def _latex(self, node: ast.expr) -> tuple[str, int]:
        """Return the LaTeX of a node and its precedence."""
        match node:
            case ast.Constant(value=number):
                return _number(str(number))
            case ast.Name(id="inf"):
                return "\\infty", _ATOM
            case ast.Name(id=name):
                return self._name(name, ""), _ATOM
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                return self._name(name, ",".join(map(self._index, indices_of(index)))), _ATOM
            case ast.Attribute(value=value):
                return f"{self._wrap(value, _ATOM)}^\\top", _PRECEDENCE[ast.Pow]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"\\lnot {self._wrap(operand, _UNARY)}", _UNARY
            case ast.UnaryOp(operand=operand):
                return f"-{self._wrap(operand, _UNARY)}", _UNARY
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return f"\\frac{{{self.latex(left)}}}{{{self.latex(right)}}}", _UNARY
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return f"{self._wrap(left, _ATOM)}^{{{self.latex(right)}}}", _PRECEDENCE[ast.Pow]
            case ast.BinOp(left=left, op=ast.MatMult(), right=right) if self._rank(left) == 1:
                binds = _PRECEDENCE[ast.MatMult]
                return f"{self._wrap(left, _ATOM)}^\\top {self._wrap(right, binds + 1)}", binds
            case ast.BinOp(left=left, op=operator, right=right):
                binds = _PRECEDENCE[type(operator)]
                sign = _SIGNS[type(operator)]
                if isinstance(operator, ast.Mult) and 0 in (self._rank(left), self._rank(right)):
                    sign = " \\, "  # scaling: no sign for the elementwise product
                return f"{self._wrap(left, binds)}{sign}{self._wrap(right, binds + 1)}", binds
            case ast.Call(
                func=ast.Name(id=name), args=[*leading, ast.GeneratorExp(elt=element, generators=[loop])]
            ) if name in REDUCERS:
                return self._reduced(name, leading, element, loop)
            case ast.IfExp(test=test, body=body, orelse=other):
                cases = [(body, self.latex(test))]
                while isinstance(other, ast.IfExp):
                    cases.append((other.body, self.latex(other.test)))
                    other = other.orelse
                rows = [f"{self.latex(value)} & {when}" for value, when in [*cases, (other, "\\text{else}")]]
                return "\\begin{cases}" + " \\\\ ".join(rows) + "\\end{cases}", _ATOM
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                binds = _PRECEDENCE[ast.Add]
                relation = _RELATIONS[type(operator)]
                return f"{self._wrap(left, binds)} {relation} {self._wrap(right, binds)}", _COMPARISON
            case ast.BoolOp(op=junction, values=values):
                word, binds = (" \\land ", _AND) if isinstance(junction, ast.And) else (" \\lor ", _OR)
                return word.join(self._wrap(value, binds + 1) for value in values), binds
            case ast.Call(func=ast.Name(id="outer"), args=[left, right]):
                binds = _PRECEDENCE[ast.MatMult]
                return f"{self._wrap(left, binds)} \\, {self._wrap(right, _ATOM)}^\\top", binds
            case ast.Call(func=ast.Name(id="sqrt"), args=[argument]):
                return f"\\sqrt{{{self.latex(argument)}}}", _ATOM
            case ast.Call(func=ast.Name(id=name), args=arguments):
                inner = ", ".join(self.latex(argument) for argument in arguments)
                if name in _AROUND:
                    before, after = _AROUND[name]
                    return f"\\left{before} {inner} \\right{after}", _ATOM
                return f"{_function(name)}\\left({inner}\\right)", _ATOM
        raise AssertionError(f"the parser let through {ast.dump(node)}")

    def _reduced(
        self, name: str, leading: list[ast.expr], element: ast.expr, loop: ast.comprehension
    ) -> tuple[str, int]:
        """A function over a range."""
        assert isinstance(loop.iter, ast.Call)
        first, last = ([ast.Constant(0), *loop.iter.args])[-2:]
        below = f"{self.latex(loop.target)}={self.latex(first)}"
        above = self._index(summed(ast.BinOp(last, ast.Sub(), ast.Constant(1))))
        if name == "sum":
            term = self._wrap(element, _PRECEDENCE[ast.Mult])
            return f"\\sum_{{{below}}}^{{{above}}} {term}", _PRECEDENCE[ast.Add]
        ranked = f"{self.latex(leading[0])};\\," if leading else ""
        return (
            f"\\operatorname*{{{_word(name)}}}_{{{ranked}{below}..{above}}}\\left({self.latex(element)}\\right)",
            _ATOM,
        )

    def _wrap(self, node: ast.expr, at_least: int) -> str:
        text, binds = self._latex(node)
        return text if binds >= at_least else f"\\left({text}\\right)"

    def _index(self, node: ast.expr) -> str:
        """An index, as tight as indices are."""
        return self.latex(node).replace(" + ", "+").replace(" - ", "-")

    def _name(self, name: str, index: str) -> str:
        """Typeset a name: the letter of the number of steps is upright as a gate, and its label of a state a word."""
        stem, _, label = name.rpartition("_")
        final = stem in self.known.targets or bool({name, name.removeprefix("d")} & self.known.finals)
        if label == _COUNT and final:
            name = f"{stem}_final"
        state = next((one for one in self.known.targets if name in (initial(one), gradient_of(initial(one)))), None)
        if state is not None:
            name = f"{name.removesuffix(initial(''))}_initial"
        indices = self.known.targets.get(_COUNT)  # of the gate n; None where the equations have no such gate
        if name.removeprefix("d") == _COUNT and indices is not None and (indices > 0) == (index != ""):
            differential = "\\mathrm{d}" * name.startswith("d")
            return f"{differential}\\mathrm{{{_COUNT}}}_{{{index}}}" if index else f"{differential}\\mathrm{{{_COUNT}}}"
        return _name(name, index, any(name == word or name.startswith(f"{word}_") for word in self.known.words))


def _number(text: str) -> tuple[str, int]:
    """The LaTeX of a number and its precedence; ``1e-08`` is a power of ten."""
    digits, _, exponent = text.partition("e")
    if not exponent:
        return text, _ATOM
    power = f"10^{{{int(exponent)}}}"
    return (power, _PRECEDENCE[ast.Pow]) if digits == "1" else (f"{digits} \\cdot {power}", _PRECEDENCE[ast.Mult])


def _function(name: str) -> str:
    stem = name.removesuffix("_prime")
    known = {"logistic": "\\sigma", "tanh": "\\tanh", "exp": "\\exp", "log": "\\log"}
    return known.get(stem, f"\\operatorname{{{_word(stem)}}}") + ("'" if name != stem else "")


def _word(name: str) -> str:
    return name.replace("_", "\\,")


@cache
def _prefixes() -> tuple[str, ...]:
    """Return what the names of parts' quantities begin with, such as ``decoder_``, before a name of the part's own."""
    return tuple({part.prefix for op in operations().values() for part in op.parts if part.prefix})


def _name(name: str, index: str, is_word: bool) -> str:
    """Typeset a name: a leading d as a differential, labels as upright subscripts, the index as an italic one.

    A label stands below a letter, as in ``h_prev``, or below a part. Of several words, as ``log_partition``, the second
    is none: below the first it would be read as an index, or as the base of a logarithm.
    """
    match = re.fullmatch(r"(d?)([A-Za-z]+?)(\d*)((?:_[A-Za-z0-9]+)*)", name)
    if match is None:
        return f"\\mathit{{{name}}}"
    differential, stem, digits, suffix = match.groups()
    if is_word or differential + stem in _GREEK:
        differential, stem = "", differential + stem
    labels = [word for word in [digits, *suffix.split("_")] if word]
    function = stem in VOCABULARY or stem in REDUCERS
    in_words = len(stem) > 1 and stem not in _GREEK and not f"{stem}_".startswith(_prefixes())
    if in_words and (function or any(len(one) > 1 for one in labels)):
        stem, labels = _word(stem + suffix), [digits] * bool(digits)
    letter = f"\\{stem}" if stem in _GREEK else stem if len(stem) == 1 else f"\\mathrm{{{stem}}}"
    words = [word if word.isdigit() else f"\\mathrm{{{word}}}" for word in labels]
    subscript = ",".join([*words, *([index] if index else [])])
    body = f"{letter}_{{{subscript}}}" if subscript else letter
    return f"\\mathrm{{d}}{body}" if differential else body
