"""Systems of recurrence relations: an operation's equations under given attributes.

Specialising chooses the blocks whose conditions hold, repeats blocks for each gate or state, and replaces ``f`` or
``gate`` by the chosen functions. It expands definitions like ``arg(a) = clipped(a, clip)`` in the equations that use
them. An operation with parts has its own equations and those of its parts, under names of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from rnnspec.spec.activations import chosen as choice_of
from rnnspec.spec.activations import is_activation
from rnnspec.spec.composition import Lift, for_state, resolved, states_of
from rnnspec.spec.errors import SpecError
from rnnspec.spec.language import Equation, parse
from rnnspec.spec.operation import Block, Operation, Settings, attributes_of, holds, settings_of, with_function
from rnnspec.spec.tree import transform
from rnnspec.spec.vocabulary import ARGUMENTS, REDUCERS, VOCABULARY


@dataclass(frozen=True)
class System:
    """Equations of one operation under given attributes: those of its outputs, and those of its gradient."""

    name: str
    gates: tuple[str, ...]
    forward: tuple[Equation, ...]
    gradient: tuple[Equation, ...]

    sizes: frozenset[str] = frozenset()
    """Names of sizes, which are not index letters."""

    @cached_property
    def by_left(self) -> dict[str, Equation]:
        """Equations by their left sides."""
        return {equation.left: equation for equation in (*self.forward, *self.gradient)}

    @cached_property
    def users(self) -> dict[str, set[str]]:
        """The quantities whose equations use a name, by that name."""
        users: dict[str, set[str]] = {}
        for equation in (*self.forward, *self.gradient):
            for name in {inner.id for inner in ast.walk(equation.value) if isinstance(inner, ast.Name)}:
                users.setdefault(name, set()).add(equation.target)
        return users

    @cached_property
    def rules(self) -> dict[str, list[Equation]]:
        """Equations by target, those at a fixed place before the general ones."""
        by_target: dict[str, list[Equation]] = {}
        for equation in (*self.forward, *self.gradient):
            by_target.setdefault(equation.target, []).append(equation)
        for target, equations in by_target.items():
            equations.sort(key=lambda equation: len(set(equation.letters(self.sizes)) - {None}))
            lefts = [equation.left for equation in equations]
            for left in lefts:
                if lefts.count(left) > 1:
                    raise SpecError(f"{equations[-1].place}: {self.name} defines {left} twice")
            if len({len(equation.indices) for equation in equations}) > 1:
                raise SpecError(f"{equations[-1].place}: {target} is defined with different numbers of indices")
        return by_target


def system(op: Operation, attributes: Mapping[str, Any]) -> System:
    """Return the equations of `op` for a complete set of attributes; the same arguments give the same object."""
    return _system(op, settings_of(attributes))


@lru_cache(maxsize=512)
def _system(op: Operation, settings: Settings) -> System:
    attributes = attributes_of(settings)
    op = resolved(op, attributes)
    gates = op.gates_for(attributes)
    own = _Specialiser(op, attributes, gates)
    forward, gradient = own.equations(op.equations), own.equations(op.gradient)
    for part in reversed(op.parts):
        chosen = part.chosen(attributes)
        inner = part.given(chosen, attributes)
        rules = system(chosen, inner)
        for letter, name in part.differs.items():
            rules = _differing(rules, system(chosen, with_function(chosen, inner, attributes[name])), letter)
        lift = Lift(part, resolved(chosen, inner), rules.gates, rules.forward, rules.gradient)
        forward = [*lift.equations(rules.forward), *forward]
        if op.gradient or part.step:
            gradient = [*lift.equations(rules.gradient), *gradient]
    return System(op.name, gates, tuple(forward), tuple(gradient), frozenset((*op.sizes, "n")))


def _differing(first: System, second: System, letter: str) -> System:
    """Return the first system where an index is 0, and the second elsewhere."""

    def either(ones: Iterable[Equation], others: Iterable[Equation]) -> tuple[Equation, ...]:
        return tuple(
            one
            if ast.dump(one.value) == ast.dump(other.value)
            else replace(one, value=ast.IfExp(_is_zero(letter), one.value, other.value))
            for one, other in zip(ones, others, strict=True)
        )

    if second is first:
        return first
    forward, gradient = either(first.forward, second.forward), either(first.gradient, second.gradient)
    return replace(first, forward=forward, gradient=gradient)


def _is_zero(letter: str) -> ast.expr:
    return ast.Compare(ast.Name(letter), [ast.Eq()], [ast.Constant(0)])


def equations_of(op: Operation, attributes: Mapping[str, Any], block: Block) -> list[Equation]:
    """Return the equations that a block means beside the operation's own, under a complete set of attributes.

    They are those that `system` would have in its own place: none where the block does not hold, and several where it
    is repeated for gates or states. A block that defines a function gives none: it means something only where it is
    used.
    """
    return _specialiser(op, settings_of(attributes)).equations([block])


@lru_cache(maxsize=512)
def _specialiser(op: Operation, settings: Settings) -> _Specialiser:
    attributes = attributes_of(settings)
    op = resolved(op, attributes)
    return _Specialiser(op, attributes, op.gates_for(attributes))


class _Specialiser:
    """Translator of blocks of text into equations for given attributes."""

    def __init__(self, op: Operation, attributes: Mapping[str, Any], gates: tuple[str, ...]) -> None:
        self.op = op
        self.attributes = attributes
        self.gates = gates
        self.functions: dict[str, str] = {}
        self.numbers_of: dict[str, tuple[float, ...]] = {}
        self.numbers: dict[str, float] = {}
        for name, attribute in op.attributes.items():
            value = attributes[name]
            if attribute.functions:
                chosen = value if attribute.is_tuple else (value,)
                for function, choice in zip(attribute.functions, chosen, strict=True):
                    name, numbers = choice_of(choice) if is_activation(choice) else (choice, ())
                    self.functions |= {function: name, f"{function}_prime": f"{name}_prime"}
                    self.numbers_of |= {function: numbers, f"{function}_prime": numbers}
            elif isinstance(value, int | float) and not isinstance(value, bool):
                self.numbers[name] = value
        # A cell's functions hold in its gradient as well, so definitions come from both lists of blocks. A change may
        # also define a function of the vocabulary anew.
        written = [*self._chosen([*op.equations, *op.gradient]), *self._written(op.changes)]
        self.definitions = {equation.target: equation for equation in written if equation.parameters is not None}

    def equations(self, blocks: Iterable[Block]) -> list[Equation]:
        found = []
        for equation in self._chosen(blocks):
            if equation.parameters is None:
                found.append(replace(equation, value=self._expand(equation.value, equation.place)))
        return found

    def _chosen(self, blocks: Iterable[Block]) -> list[Equation]:
        changed = {equation.left: equation.value for equation in self._written(self.op.changes)}
        return [replace(e, value=changed.get(e.left, e.value)) for e in self._written(blocks)]

    def _written(self, blocks: Iterable[Block]) -> list[Equation]:
        """Return the equations of the blocks that hold, repeated for each gate or state where blocks say so."""
        found: list[Equation] = []
        for block in blocks:
            if not holds(block.when, self.attributes):
                continue
            equations: Sequence[Equation] = parse(block.text, block.place)
            if block.each in ("STATE", "MEMORY"):
                states = list(states_of(self.op, self.attributes).items())[block.each == "MEMORY" :]
                reads = self.op.parts[0].reads if self.op.parts else {}
                equations = [for_state(e, block.each, *state, reads) for state in states for e in equations]
            elif block.each:
                equations = [for_gate(e, block.each, gate) for gate in self.gates for e in equations]
            found.extend(equations)
        return found

    def _expand(self, value: ast.expr, place: str, within: tuple[str, ...] = ()) -> ast.expr:
        """Expand sums over gates, chosen functions, defined functions and numeric attributes.

        `within` are the definitions under expansion.
        """

        def visit(node: ast.expr) -> ast.expr:
            match node:
                case ast.Call(
                    func=ast.Name(id="sum"),
                    args=[
                        ast.GeneratorExp(generators=[ast.comprehension(target=ast.Name(id=letter), iter=ast.Name())])
                    ],
                ):
                    if not self.gates:
                        raise SpecError(f"{place}: a sum over gates, but {self.op.name} has none")
                    assert isinstance(node.args[0], ast.GeneratorExp)
                    terms = [_rename_gate(node.args[0].elt, letter, gate) for gate in self.gates]
                    total = terms[0]
                    for term in terms[1:]:
                        total = ast.BinOp(total, ast.Add(), term)
                    return total
                case ast.Call(func=ast.Name(id=name), args=[*_, ast.GeneratorExp()]) if name in REDUCERS:
                    return node
                case ast.Call(func=ast.Name(id=name), args=arguments):
                    chosen = self.functions.get(name, name)
                    arguments = [*arguments, *map(ast.Constant, self.numbers_of.get(name, ()))]
                    anew = not VOCABULARY.keys() & within  # inside such a definition, names mean the vocabulary's
                    if chosen in self.definitions and (anew or chosen not in VOCABULARY):
                        name = chosen
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
                    if chosen not in VOCABULARY:
                        known = ", ".join([*VOCABULARY, *self.definitions, "sum"])
                        raise SpecError(f"{place}: unknown function {name!r}: expected one of {known}")
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


def for_gate(equation: Equation, letter: str, gate: str) -> Equation:
    """Return the equation with `gate` in place of the suffix ``_letter`` of every name, also on the left side."""
    target = ast.Name(equation.target)
    renamed = _rename_gate(target, letter, gate)
    assert isinstance(renamed, ast.Name)
    return replace(equation, target=renamed.id, value=_rename_gate(equation.value, letter, gate))


def _rename_gate(node: ast.expr, letter: str, gate: str) -> ast.expr:
    """Replace the suffix ``_letter`` of every name by `gate`."""

    def visit(inner: ast.expr) -> ast.expr:
        match inner:
            case ast.Name(id=name) if name.endswith(f"_{letter}"):
                return ast.Name(f"{name.removesuffix(letter)}{gate}")
            case ast.Subscript(value=ast.Name(id=name), slice=index) if name.endswith(f"_{letter}"):
                return ast.Subscript(ast.Name(f"{name.removesuffix(letter)}{gate}"), index)
        return inner

    return transform(node, visit)


def _simplify(value: ast.expr) -> ast.expr:
    """Drop factors of 1, which definitions such as ``within(a) = 1`` leave."""

    def visit(node: ast.expr) -> ast.expr:
        match node:
            case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=1)):
                return left
            case ast.BinOp(left=ast.Constant(value=1), op=ast.Mult(), right=right):
                return right
        return node

    return transform(value, visit)
