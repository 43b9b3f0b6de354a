"""The equations for people: as text for a terminal, and as LaTeX. Both print the tree that is evaluated."""

from __future__ import annotations

import ast
import re

from rnnspec.spec.language import Equation
from rnnspec.spec.system import transform

_GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "lambda", "mu", "sigma", "tau", "theta"}
_PRECEDENCE = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 2, ast.MatMult: 3, ast.Pow: 5}
_UNARY, _ATOM = 4, 9


def to_text(node: ast.expr) -> str:
    """Print an expression in the equation language itself."""

    def visit(inner: ast.expr) -> ast.expr:
        match inner:
            case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp(elt=element, generators=[loop])]):
                # ast.unparse would put a second pair of parentheses around the generator.
                over = f"{ast.unparse(loop.target)} in {ast.unparse(loop.iter)}"
                return ast.Name(f"sum({ast.unparse(element)} for {over})")
        return inner

    return ast.unparse(transform(node, visit))


def equation_text(equation: Equation) -> str:
    """Print an equation in the equation language itself."""
    return f"{equation.left} = {to_text(equation.value)}"


def equation_latex(equation: Equation) -> str:
    """Print an equation as one line of a LaTeX ``align`` environment."""
    left = ast.Name(equation.target) if equation.index is None else _subscript(equation.target, equation.index)
    return f"{to_latex(left)} &= {to_latex(equation.value)}"


def _subscript(name: str, index: ast.expr) -> ast.expr:
    return ast.Subscript(ast.Name(name), index)


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
            return _name(name, to_text(index).replace(" ", "")), _ATOM
        case ast.Attribute(value=value):
            return f"{_wrap(value, _ATOM)}^\\top", _PRECEDENCE[ast.Pow]
        case ast.UnaryOp(operand=operand):
            return f"-{_wrap(operand, _UNARY)}", _UNARY
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return f"\\frac{{{to_latex(left)}}}{{{to_latex(right)}}}", _UNARY
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"{_wrap(left, _ATOM)}^{{{to_latex(right)}}}", _PRECEDENCE[ast.Pow]
        case ast.BinOp(left=left, op=operator, right=right):
            binds = _PRECEDENCE[type(operator)]
            sign = {ast.Add: " + ", ast.Sub: " - ", ast.Mult: " \\odot ", ast.MatMult: " "}[type(operator)]
            # A number times something is scaling: no sign for the elementwise product.
            if isinstance(operator, ast.Mult) and (isinstance(left, ast.Constant) or isinstance(right, ast.Constant)):
                sign = " \\, "
            return f"{_wrap(left, binds)}{sign}{_wrap(right, binds + 1)}", binds
        case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp(elt=element, generators=[loop])]):
            assert isinstance(loop.iter, ast.Call)
            first, last = ([ast.Constant(0), *loop.iter.args])[-2:]
            bounds = f"_{{{to_latex(loop.target)}={to_latex(first)}}}^{{{to_latex(last)}-1}}"
            return f"\\sum{bounds} {_wrap(element, _PRECEDENCE[ast.Mult])}", _PRECEDENCE[ast.Add]
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
