"""The equations for people: as text for a terminal, and as LaTeX. Both print the tree that is evaluated."""

from __future__ import annotations

import ast
import re

from rnnspec.spec.language import Equation, indexed, indices_of
from rnnspec.spec.tree import transform
from rnnspec.spec.vocabulary import REDUCERS

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


def to_text(node: ast.expr) -> str:
    """Print an expression in the equation language itself."""

    def visit(inner: ast.expr) -> ast.expr:
        match inner:
            case ast.Call(
                func=ast.Name(id=name), args=[*leading, ast.GeneratorExp(elt=element, generators=[loop])]
            ) if name in REDUCERS:
                terms = f"{ast.unparse(element)} for {ast.unparse(loop.target)} in {ast.unparse(loop.iter)}"
                # ast.unparse would put a second pair of parentheses around a generator that stands alone.
                first = "".join(f"{ast.unparse(one)}, " for one in leading)
                return ast.Name(f"{name}({first}({terms}))" if leading else f"{name}({terms})")
            case ast.Subscript(value=value, slice=index):
                # … nor parentheses around several indices.
                return ast.Name(f"{ast.unparse(value)}[{', '.join(map(ast.unparse, indices_of(index)))}]")
        return inner

    return ast.unparse(transform(node, visit))


def equation_text(equation: Equation) -> str:
    """Print an equation in the equation language itself."""
    return f"{equation.left} = {to_text(equation.value)}"


def equation_latex(equation: Equation) -> str:
    """Print an equation as one line of a LaTeX ``align`` environment."""
    return f"{to_latex(indexed(equation.target, equation.indices))} &= {to_latex(equation.value)}"


def to_latex(node: ast.expr) -> str:
    """Print an expression as LaTeX: ``@`` as juxtaposition, ``*`` as the elementwise product, ``.T`` as a transpose."""
    return _latex(node)[0]


def _latex(node: ast.expr) -> tuple[str, int]:
    """Return the LaTeX of a node and how tightly it binds."""
    match node:
        case ast.Constant(value=number):
            return str(number), _ATOM
        case ast.Name(id=name):
            return _name(name, ""), _ATOM
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            return _name(name, ",".join(to_text(one).replace(" ", "") for one in indices_of(index))), _ATOM
        case ast.Attribute(value=value):
            return f"{_wrap(value, _ATOM)}^\\top", _PRECEDENCE[ast.Pow]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"\\lnot {_wrap(operand, _UNARY)}", _UNARY
        case ast.UnaryOp(operand=operand):
            return f"-{_wrap(operand, _UNARY)}", _UNARY
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return f"\\frac{{{to_latex(left)}}}{{{to_latex(right)}}}", _UNARY
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"{_wrap(left, _ATOM)}^{{{to_latex(right)}}}", _PRECEDENCE[ast.Pow]
        case ast.BinOp(left=left, op=operator, right=right):
            binds = _PRECEDENCE[type(operator)]
            sign = _SIGNS[type(operator)]
            # A number times something is scaling: no sign for the elementwise product.
            if isinstance(operator, ast.Mult) and (isinstance(left, ast.Constant) or isinstance(right, ast.Constant)):
                sign = " \\, "
            return f"{_wrap(left, binds)}{sign}{_wrap(right, binds + 1)}", binds
        case ast.Call(func=ast.Name(id=name), args=[*leading, ast.GeneratorExp(elt=element, generators=[loop])]) if (
            name in REDUCERS
        ):
            assert isinstance(loop.iter, ast.Call)
            first, last = ([ast.Constant(0), *loop.iter.args])[-2:]
            below, above = f"{to_latex(loop.target)}={to_latex(first)}", f"{to_latex(last)}-1"
            if name == "sum":
                term = _wrap(element, _PRECEDENCE[ast.Mult])
                return f"\\sum_{{{below}}}^{{{above}}} {term}", _PRECEDENCE[ast.Add]
            word = name.replace("_", "\\,") + "".join(f"_{{{to_latex(one)}}}" for one in leading)
            return f"\\operatorname*{{{word}}}_{{{below}..{above}}}\\left({to_latex(element)}\\right)", _ATOM
        case ast.IfExp(test=test, body=body, orelse=other):
            cases = f"{to_latex(body)} & {to_latex(test)} \\\\ {to_latex(other)} & \\text{{else}}"
            return f"\\begin{{cases}}{cases}\\end{{cases}}", _ATOM
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            sum_binds = _PRECEDENCE[ast.Add]
            return f"{_wrap(left, sum_binds)} {_RELATIONS[type(operator)]} {_wrap(right, sum_binds)}", _COMPARISON
        case ast.BoolOp(op=junction, values=values):
            word, binds = (" \\land ", _AND) if isinstance(junction, ast.And) else (" \\lor ", _OR)
            return word.join(_wrap(value, binds + 1) for value in values), binds
        case ast.Call(func=ast.Name(id="outer"), args=[left, right]):
            return f"{_wrap(left, _PRECEDENCE[ast.MatMult])} \\, {_wrap(right, _ATOM)}^\\top", _PRECEDENCE[ast.MatMult]
        case ast.Call(func=ast.Name(id=name), args=arguments):
            inner = ", ".join(to_latex(argument) for argument in arguments)
            return f"{_function(name)}\\left({inner}\\right)", _ATOM
    raise AssertionError(f"the parser let through {ast.dump(node)}")


def _wrap(node: ast.expr, at_least: int) -> str:
    text, binds = _latex(node)
    return text if binds >= at_least else f"\\left({text}\\right)"


def _function(name: str) -> str:
    stem = name.removesuffix("_prime")
    known = {"logistic": "\\sigma", "tanh": "\\tanh", "exp": "\\exp", "log": "\\log"}
    return known.get(stem, f"\\operatorname{{{stem}}}") + ("'" if name != stem else "")


def _name(name: str, index: str) -> str:
    """Typeset a name: a leading d as a differential, labels as upright subscripts, the index as an italic one."""
    match = re.fullmatch(r"(d?)([A-Za-z]+?)(\d*)((?:_[A-Za-z0-9]+)*)", name)
    if match is None:
        return f"\\mathit{{{name}}}"
    differential, stem, digits, suffix = match.groups()
    if differential + stem in _GREEK:
        differential, stem = "", differential + stem
    letter = f"\\{stem}" if stem in _GREEK else stem if len(stem) == 1 else f"\\mathrm{{{stem}}}"
    words = [f"\\mathrm{{{word}}}" for word in [digits, *suffix.split("_")] if word]
    subscript = ",".join([*words, *([index] if index else [])])
    body = f"{letter}_{{{subscript}}}" if subscript else letter
    return f"\\mathrm{{d}}{body}" if differential else body
