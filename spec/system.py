"""From an operation's text to the system of recurrence relations that holds for given attributes.

Specialising chooses the blocks whose conditions hold, repeats those meant for each gate, puts the chosen functions in
the place of ``f`` or ``gate``, and writes definitions like ``arg(a) = clipped(a, clip)`` into the equations that use
them. A layer's system is its cell's, with every quantity of the step given the index t, and the layer's own equations.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rnnspec.spec.errors import SpecError
from rnnspec.spec.language import STEP, Equation, parse
from rnnspec.spec.operation import Block, Operation, holds
from rnnspec.spec.vocabulary import ARGUMENTS, VOCABULARY


@dataclass(frozen=True)
class System:
    """Equations of one operation under given attributes: those of its outputs, and those of its gradient."""

    name: str
    gates: tuple[str, ...]
    forward: tuple[Equation, ...]
    gradient: tuple[Equation, ...]

    @cached_property
    def rules(self) -> dict[str, list[Equation]]:
        """Equations by target, those at one step before the general one."""
        by_target: dict[str, list[Equation]] = {}
        for equation in (*self.forward, *self.gradient):
            by_target.setdefault(equation.target, []).append(equation)
        for target, equations in by_target.items():
            equations.sort(key=lambda equation: equation.general)
            lefts = [equation.left for equation in equations]
            for left in lefts:
                if lefts.count(left) > 1:
                    raise SpecError(f"{equations[-1].place}: {self.name} defines {left} twice")
            if len({equation.index is None for equation in equations}) > 1:
                raise SpecError(f"{equations[-1].place}: {target} is defined both with and without an index")
        return by_target


def system(op: Operation, attributes: Mapping[str, Any]) -> System:
    """Return the equations of `op` for a complete set of attributes."""
    gates = op.gates_for(attributes)
    own = _Specialiser(op, attributes, gates)
    forward, gradient = own.equations(op.equations), own.equations(op.gradient)
    if op.cell:
        cell = system(op.cell, {name: attributes[name] for name in op.cell.attributes})
        step_forward, step_gradient = _unroll(op, op.cell, cell)
        forward, gradient = [*step_forward, *forward], [*step_gradient, *gradient]
    return System(op.name, gates, tuple(forward), tuple(gradient))


class _Specialiser:
    """Turns blocks of text into equations for given attributes."""

    def __init__(self, op: Operation, attributes: Mapping[str, Any], gates: tuple[str, ...]) -> None:
        self.op = op
        self.attributes = attributes
        self.gates = gates
        self.functions: dict[str, str] = {}
        self.numbers: dict[str, float] = {}
        for name, attribute in op.attributes.items():
            value = attributes[name]
            if attribute.functions:
                chosen = value if attribute.is_tuple else (value,)
                for function, choice in zip(attribute.functions, chosen, strict=True):
                    self.functions[function] = choice
                    self.functions[f"{function}_prime"] = f"{choice}_prime"
            elif isinstance(value, int | float) and not isinstance(value, bool):
                self.numbers[name] = value
        # A cell's functions hold in its gradient as well: definitions are gathered from both lists of blocks.
        self.definitions = {
            equation.target: equation
            for equation in self._chosen([*op.equations, *op.gradient])
            if equation.parameters is not None
        }

    def equations(self, blocks: Iterable[Block]) -> list[Equation]:
        found = []
        for equation in self._chosen(blocks):
            if equation.parameters is None:
                found.append(replace(equation, value=self._expand(equation.value, equation.place)))
        return found

    def _chosen(self, blocks: Iterable[Block]) -> list[Equation]:
        found: list[Equation] = []
        for block in blocks:
            if not holds(block.when, self.attributes):
                continue
            equations = parse(block.text, block.place)
            if block.each:
                equations = [_for_gate(e, block.each, gate) for gate in self.gates for e in equations]
            found.extend(equations)
        return found

    def _expand(self, value: ast.expr, place: str, within: tuple[str, ...] = ()) -> ast.expr:
        """Write out sums over gates, chosen functions, defined functions and numeric attributes.

        `within` are the definitions that are being written out.
        """

        def visit(node: ast.expr) -> ast.expr:
            match node:
                case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp() as generator]):
                    loop = generator.generators[0]
                    if isinstance(loop.iter, ast.Name) and isinstance(loop.target, ast.Name):
                        letter = loop.target.id
                        if not self.gates:
                            raise SpecError(f"{place}: a sum over gates, but {self.op.name} has none")
                        terms = [_rename_gate(generator.elt, letter, gate) for gate in self.gates]
                        total = terms[0]
                        for term in terms[1:]:
                            total = ast.BinOp(total, ast.Add(), term)
                        return total
                case ast.Call(func=ast.Name(id=name), args=arguments):
                    if name in self.definitions:
                        definition = self.definitions[name]
                        assert definition.parameters is not None
                        _check_count(name, len(definition.parameters), arguments, place)
                        if name in within:
                            cycle = " -> ".join([*within[within.index(name) :], name])
                            raise SpecError(f"{definition.place}: circular definition: {cycle}")
                        bound = dict(zip(definition.parameters, arguments, strict=True))
                        return transform(
                            self._expand(definition.value, definition.place, (*within, name)),
                            lambda inner: bound.get(inner.id, inner) if isinstance(inner, ast.Name) else inner,
                        )
                    chosen = self.functions.get(name, name)
                    if chosen not in VOCABULARY and chosen != "sum":
                        known = ", ".join([*VOCABULARY, *self.definitions, "sum"])
                        raise SpecError(f"{place}: unknown function {name!r}: expected one of {known}")
                    if chosen != "sum":
                        _check_count(name, ARGUMENTS[chosen], arguments, place)
                    return ast.Call(ast.Name(chosen), arguments, [])
                case ast.Name(id=name) if name in self.numbers:
                    return ast.Constant(self.numbers[name])
            return node

        return _simplify(transform(value, visit))


def _check_count(name: str, expected: int, arguments: list[ast.expr], place: str) -> None:
    if len(arguments) != expected:
        plural = "" if expected == 1 else "s"
        raise SpecError(f"{place}: {name} takes {expected} argument{plural}, got {len(arguments)}")


def _for_gate(equation: Equation, letter: str, gate: str) -> Equation:
    target = ast.Name(equation.target)
    renamed = _rename_gate(target, letter, gate)
    assert isinstance(renamed, ast.Name)
    return replace(equation, target=renamed.id, value=_rename_gate(equation.value, letter, gate))


def _rename_gate(node: ast.expr, letter: str, gate: str) -> ast.expr:
    """Put `gate` in the place of the suffix ``_letter`` of every name."""

    def visit(inner: ast.expr) -> ast.expr:
        if isinstance(inner, ast.Name) and inner.id.endswith(f"_{letter}"):
            return ast.Name(f"{inner.id.removesuffix(letter)}{gate}")
        return inner

    return transform(node, visit)


def _unroll(layer: Operation, cell_op: Operation, cell: System) -> tuple[list[Equation], list[Equation]]:
    """Index a cell's equations by the step: ``h = f(a)`` becomes ``h[t] = f(a[t])`` and ``h_prev``, ``h[t - 1]``.

    In the gradient a parameter's equation becomes the sum over the steps, and ``dh_prev[t]`` is what step t hands to
    the state before it.
    """
    assert layer.unrolls is not None
    step = ast.Name(STEP)
    before = ast.BinOp(ast.Name(STEP), ast.Sub(), ast.Constant(1))
    parameters = {name for name, item in cell_op.inputs.items() if not item.per_sequence}
    sliced = {f"{name}_{gate}" for name in parameters for gate in cell.gates}
    parameter_gradients = {f"d{name}" for name in parameters | sliced}
    indexed: dict[str, ast.expr] = {}
    for equation in (*cell.forward, *cell.gradient):
        if equation.target not in parameter_gradients:
            indexed[equation.target] = _at(equation.target, step)
    for output in cell_op.outputs:
        indexed[f"d{output}"] = _at(f"d{output}", step)
    for read, name in layer.unrolls.reads.items():
        indexed[read] = _at(name, step)
        indexed[f"d{read}"] = _at(f"d{name}", step)
    for state_before, state in layer.unrolls.state.items():
        indexed[state_before] = _at(state, before)

    def visit(node: ast.expr) -> ast.expr:
        return indexed.get(node.id, node) if isinstance(node, ast.Name) else node

    def unrolled(equation: Equation) -> Equation:
        value = transform(equation.value, visit)
        if equation.target in parameter_gradients:
            steps = ast.Call(ast.Name("range"), [ast.Name("n")], [])
            loop = ast.comprehension(ast.Name(STEP), steps, [], 0)
            return replace(equation, value=ast.Call(ast.Name("sum"), [ast.GeneratorExp(value, [loop])], []))
        target = indexed[equation.target]
        assert isinstance(target, ast.Subscript)
        assert isinstance(target.value, ast.Name)
        return replace(equation, target=target.value.id, index=target.slice, value=value)

    return [unrolled(e) for e in cell.forward], [unrolled(e) for e in cell.gradient]


def _at(name: str, index: ast.expr) -> ast.expr:
    return ast.Subscript(ast.Name(name), index)


def _simplify(value: ast.expr) -> ast.expr:
    """Drop factors of 1, which a definition such as ``within(a) = 1`` leaves behind."""

    def visit(node: ast.expr) -> ast.expr:
        match node:
            case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=1)):
                return left
            case ast.BinOp(left=ast.Constant(value=1), op=ast.Mult(), right=right):
                return right
        return node

    return transform(value, visit)


def transform(node: ast.expr, visit: Callable[[ast.expr], ast.expr]) -> ast.expr:
    """Rebuild an expression bottom up, `visit` having the last word on each node; function names are left alone."""

    def inside(child: ast.expr) -> ast.expr:
        return transform(child, visit)

    match node:
        case ast.BinOp(left=left, op=operator, right=right):
            node = ast.BinOp(inside(left), operator, inside(right))
        case ast.UnaryOp(op=operator, operand=operand):
            node = ast.UnaryOp(operator, inside(operand))
        case ast.Attribute(value=value, attr=attribute):
            node = ast.Attribute(inside(value), attribute)
        case ast.Subscript(value=value, slice=index):
            node = ast.Subscript(value, inside(index))
        case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp(elt=element, generators=[loop])]):
            over = loop.iter
            if isinstance(over, ast.Call):
                over = ast.Call(over.func, [inside(bound) for bound in over.args], [])
            loop = ast.comprehension(loop.target, over, [], 0)
            node = ast.Call(ast.Name("sum"), [ast.GeneratorExp(inside(element), [loop])], [])
        case ast.Call(func=function, args=arguments):
            node = ast.Call(function, [inside(argument) for argument in arguments], [])
    return visit(node)
