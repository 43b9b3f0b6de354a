"""Every single edit of an operation's equations: one slip of the hand in one line.

An edit is of a line as the specification has it. It takes another name for a name, or another operator or function for
one. It exchanges two operands, or drops a term, a factor or a function. It moves an index or a number by one, adds one
to a line, doubles it, or takes it from one. Two lines may exchange their right sides, and a function may be another
wherever it stands. A line that is repeated for every gate or state is edited for all of them at once.

An operation that is built of parts has the lines of its parts edited too. Where an attribute chooses a part, these are
the lines of the default. A part that stands in two places is edited in one at a time.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from types import MappingProxyType
from typing import Any, Final, Literal

from rnnspec.spec import Operation, SpecError
from rnnspec.spec.composition import states_of
from rnnspec.spec.language import Equation, indices_of, parse
from rnnspec.spec.operation import Block, Part, holds
from rnnspec.spec.system import for_gate
from rnnspec.spec.vocabulary import REDUCERS

EditedPart = Literal["values", "gradients"]
PartPath = tuple[tuple[int, str], ...]
"""The place of an operation in another: at each level the part's number, and its choice."""

_ARITHMETIC: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_COMPARISONS: Final = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ALIKE: Final[tuple[tuple[str, ...], ...]] = (
    ("logistic", "tanh", "relu"),
    ("logistic_prime", "tanh_prime", "relu_prime"),
    ("exp", "log"),
    ("clipped", "inside", "maximum"),
    ("mean", "total", "norm"),
    ("sum", "max", "min", "log_sum_exp"),
    ("all", "any"),
)
"""Functions and reducers that stand for one another."""

_OF_ARRAYS: Final = frozenset(("argmax", "outer", "concat", "one_hot", "top", "vector", "zeros", "identity_matrix"))
"""Those that make something of another kind of what they are given: without them, nothing is left to judge."""


@dataclass(frozen=True)
class Edit:
    """An operation with one edit."""

    text: str
    """The line as it reads now; of two that exchange their right sides, both."""

    operation: Operation
    """The operation with that line in place of its own."""

    part: EditedPart
    """Whether the line belongs to the values, or to the gradient alone."""

    lines: tuple[Block, ...]
    """The lines that replace those with the same left side, in the operation at the path."""

    path: PartPath = ()
    right: str = ""
    """The line as the specification has it; empty where a function is another wherever it stands."""

    @property
    def when(self) -> Mapping[str, Any]:
        """The attributes under which its lines hold, at their place."""
        return self.lines[0].when

    @property
    def defines(self) -> bool:
        """Whether it is a function's definition that reads otherwise."""
        return any(equation.parameters is not None for line in self.lines for equation in parse(line.text, line.place))

    @property
    def title(self) -> str:
        """The edit in one line: the part that it is in, if it is in one, the line, and when it holds."""
        where = " > ".join(f"{choice} {number + 1}" if number else choice for number, choice in self.path)
        when = ", ".join(f"{name}={_told(value)}" for name, value in self.when.items())
        return f"{where}: " * bool(where) + self.text + f" (where {when})" * bool(when)

    def made_in(self, op: Operation) -> Operation:
        """Return the operation, right or edited already, with this edit."""
        return _placed(op, self.path, self.lines) if self.right else _in_all(op, self.lines[0])

    def shows(self, op: Operation, attributes: Mapping[str, Any]) -> bool:
        """Whether the line holds under these attributes of `op`, the operation as it is without the edit."""
        for number, choice in self.path:
            part = op.parts[number]
            if attributes.get(part.operation, part.operation) != choice:
                return False
            op = part.choices[choice]
            inner = {name: attributes.get(name, item.default) for name, item in op.attributes.items()}
            attributes = {**inner, **part.fixed}
        return holds(self.when, attributes)


def choosing(op: Operation, attributes: Mapping[str, Any]) -> Operation:
    """Return the operation with these attributes' choices of its parts as its defaults, so that these are edited."""
    choosers = {part.operation for part in op.parts} & set(op.attributes)
    chosen = {name: replace(op.attributes[name], default=attributes[name]) for name in choosers}
    return replace(op, attributes={**op.attributes, **chosen})


def single_edits(op: Operation, given: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Edit]:
    """Yield every single edit of an operation, one line after the other; the same in every run.

    With `given`, the edits are of lines that hold under these attributes.
    """
    yield from _edits(op, given, _values)
    yield from _everywhere(op)


def coarse_edits(op: Operation, given: Mapping[str, Any]) -> Iterator[Edit]:
    """Yield edits of whole lines that hold under these attributes: a function around one, a number in place of one."""
    yield from _edits(op, given, _coarse)


def gate_edits(op: Operation, given: Mapping[str, Any]) -> Iterator[Edit]:
    """Yield edits that one gate has of a line that is repeated for each."""
    yield from _edits(op, given, _values, of_one_gate=True)
    yield from _edits(op, given, _coarse, of_one_gate=True)


def _edits(op: Operation, given: Mapping[str, Any], values: Values, *, of_one_gate: bool = False) -> Iterator[Edit]:
    for path, own, known in _levels(op, (), given):
        parts: tuple[EditedPart, ...] = ("values", "gradients") if _has_gradient(op, path) else ("values",)
        for part in parts:
            blocks = own.equations if part == "values" else own.gradient
            lines = [line for line in _lines(blocks) if _may_hold(own, line.block, known)]
            names = _Names.of(own, part, known)
            if of_one_gate:
                lines, names = [one for line in lines for one in line.of_gates(own.gates)], names.with_gates(own.gates)
            # In an operation that has no gradient of its own, a part's gradient makes values.
            of = part if op.gradient else "values"
            yield from _of_lines(op, path, lines, names, of, values)


def _levels(
    op: Operation, path: PartPath, known: Mapping[str, Any]
) -> Iterator[tuple[PartPath, Operation, Mapping[str, Any]]]:
    """Yield an operation and its default parts, with the attributes that have one value alone there."""
    yield path, op, known
    for number, part in enumerate(op.parts):
        choice = _default(op, part)
        chosen = part.choices[choice]
        alone = {name: item.default for name, item in chosen.attributes.items() if name not in op.attributes}
        passed = {name: value for name, value in known.items() if name in chosen.attributes}
        yield from _levels(chosen, (*path, (number, choice)), {**alone, **passed, **part.fixed})


def _default(op: Operation, part: Part) -> str:
    chooser = op.attributes.get(part.operation)
    return part.operation if chooser is None else str(chooser.default)


def _has_gradient(op: Operation, path: PartPath) -> bool:
    """Whether the gradient's equations at a place are equations of the whole operation."""
    for number, choice in path:
        if not (op.gradient or op.parts[number].step):
            return False
        op = op.parts[number].choices[choice]
    return True


@dataclass(frozen=True)
class _Line:
    """One line of a block."""

    block: Block
    equation: Equation

    @property
    def kind(self) -> tuple[Any, ...]:
        """Lines of one kind may exchange their right sides: they hold under the same attributes and indices."""
        indices = tuple(map(ast.unparse, self.equation.indices))
        return (str(self.block.when), self.block.each, indices, self.equation.parameters)

    def of_gates(self, gates: Sequence[str]) -> Iterator[_Line]:
        """Yield the line as each gate has it; none if it is not repeated for gates."""
        if self.block.each in ("", "STATE", "MEMORY"):
            return
        for gate in gates:
            equation = for_gate(self.equation, self.block.each, gate)
            text = f"{equation.left} = {ast.unparse(ast.fix_missing_locations(equation.value))}"
            yield _Line(replace(self.block, each="", text=text), equation)

    def reading(self, value: ast.expr) -> Block:
        """The line with another right side."""
        return replace(self.block, text=f"{self.equation.left} = {ast.unparse(ast.fix_missing_locations(value))}")


def _told(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list | tuple) else str(value).lower()


def _lines(blocks: Iterable[Block]) -> list[_Line]:
    return [
        _Line(replace(block, text=text), *parse(text, block.place))
        for block in blocks
        for text in filter(None, map(str.strip, block.text.splitlines()))
    ]


def _of_lines(
    op: Operation, path: PartPath, lines: Sequence[_Line], names: _Names, of: EditedPart, values: Values
) -> Iterator[Edit]:
    """Yield the edits of lines at one place of an operation."""

    def edit(lines: Sequence[_Line], *written: Block) -> Edit:
        text, right = ("; ".join(block.text for block in blocks) for blocks in (written, [one.block for one in lines]))
        return Edit(text, _placed(op, path, written), of, written, path, right)

    for line in lines:
        seen = {ast.dump(line.equation.value)}
        for value in values(line.equation, names):
            written = line.reading(value)
            try:
                (read,) = parse(written.text, written.place)
            except SpecError:
                continue  # the language has no such line
            if (dump := ast.dump(read.value)) not in seen:
                seen.add(dump)
                yield edit([line], written)
    for one, other in combinations(lines, 2) if values is _values else ():
        if one.kind == other.kind and ast.dump(one.equation.value) != ast.dump(other.equation.value):
            yield edit([one, other], one.reading(other.equation.value), other.reading(one.equation.value))


def _may_hold(own: Operation, block: Block, known: Mapping[str, Any]) -> bool:
    """Whether a block is an equation of some call, where these attributes have one value alone."""
    if block.each == "MEMORY" and len(states_of(own, own.defaults())) < 2:
        return False
    return all(holds({name: wanted}, known) for name, wanted in block.when.items() if name in known)


def _placed(op: Operation, path: PartPath, lines: Sequence[Block]) -> Operation:
    """Return the operation with lines in the place of those that it, or its part at the path, has of the left side."""
    if not path:
        return replace(op, changes=(*op.changes, *lines))
    (number, choice), *rest = path
    part = op.parts[number]
    changed = replace(part, choices={**part.choices, choice: _placed(part.choices[choice], tuple(rest), lines)})
    return replace(op, parts=(*op.parts[:number], changed, *op.parts[number + 1 :]))


@dataclass(frozen=True)
class _Names:
    """The names that an operation's lines may use, by how many indices they have, and its functions of one number."""

    by_count: Mapping[int, tuple[str, ...]]
    functions: tuple[str, ...] = ()

    @classmethod
    def of(cls, op: Operation, part: EditedPart, known: Mapping[str, Any]) -> _Names:
        """Those that lines of the values, or of the gradient, may use."""
        blocks = (*op.equations, *(op.gradient if part == "gradients" else ()))
        lines = _lines(block for block in blocks if _may_hold(op, block, known))
        letters = {index.id for line in lines for one in line.equation.indices for index in _names_in(one)}
        found: dict[int, dict[str, None]] = {}
        for line in lines:
            equation = line.equation
            bound = {*letters, *(equation.parameters or ()), *_loop_letters(equation.value), *op.sizes, "n"}
            if equation.parameters is None:
                found.setdefault(len(equation.indices), {})[equation.target] = None
            for name, count in _used(equation.value):
                if name not in bound and name not in op.attributes:
                    found.setdefault(count, {})[name] = None
        for name, item in op.inputs.items():
            if item.kind == "float" and not any(name in names for names in found.values()):
                found.setdefault(0, {})[name] = None
        defined = (line.equation for line in lines if len(line.equation.parameters or ()) == 1)
        functions = dict.fromkeys(equation.target for equation in defined)
        return cls({count: tuple(names) for count, names in found.items()}, tuple(functions))

    def with_gates(self, gates: Sequence[str]) -> _Names:
        """Return the names with those that each gate has in the place of ``name_k``."""

        def expanded(name: str) -> list[str]:
            return [name.removesuffix("k") + gate for gate in gates] if name.endswith("_k") else [name]

        return _Names(
            {
                count: tuple(dict.fromkeys(one for name in names for one in expanded(name)))
                for count, names in self.by_count.items()
            },
            self.functions,
        )


def _names_in(node: ast.expr) -> list[ast.Name]:
    return [inner for inner in ast.walk(node) if isinstance(inner, ast.Name)]


def _loop_letters(node: ast.expr) -> set[str]:
    loops = (inner for inner in ast.walk(node) if isinstance(inner, ast.comprehension))
    return {name.id for loop in loops for name in _names_in(loop.target)}


def _used(node: ast.expr) -> Iterator[tuple[str, int]]:
    """The quantities of an expression, each with how many indices it has."""
    skipped = {id(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Subscript) and isinstance(inner.value, ast.Name):
            skipped.add(id(inner.value))
            yield inner.value.id, len(indices_of(inner.slice))
    for name in _names_in(node):
        if id(name) not in skipped:
            yield name.id, 0


Values = Callable[[Equation, _Names], Iterator[ast.expr]]
"""Yields other right sides of an equation."""

Change = Callable[[Any], ast.expr | None]
"""A change of one node in a copy of the tree: the node is changed itself, or another is returned for its place."""


def _values(equation: Equation, names: _Names) -> Iterator[ast.expr]:
    """Yield every other right side of an equation."""
    value = equation.value
    for place, node in enumerate(ast.walk(value)):
        for change in _changes(equation, node, names):
            tree = _copied(value)
            target = next(inner for number, inner in enumerate(ast.walk(tree)) if number == place)
            other = change(target)
            yield tree if other is None else _with(tree, target, other)
    if equation.parameters is None:
        yield ast.BinOp(_copied(value), ast.Add(), ast.Constant(1))
        yield ast.BinOp(ast.Constant(2), ast.Mult(), _copied(value))
        yield ast.BinOp(ast.Constant(1), ast.Sub(), _copied(value))


def _coarse(equation: Equation, names: _Names) -> Iterator[ast.expr]:
    """Yield right sides with a function around the equation's own, with a number in its place, or less of it.

    A name may also be one minus another, as a gate is that is coupled to another.
    """
    value = equation.value
    for function in (*_ALIKE[0], *(names.functions if equation.parameters is None else ())):
        yield ast.Call(ast.Name(function), [_copied(value)], [])
    for number in (0, 1):
        yield ast.Constant(number)
    yield ast.UnaryOp(ast.USub(), _copied(value))
    for parts in (2, 4):
        yield ast.BinOp(_copied(value), ast.Div(), ast.Constant(parts))
    for place, node in enumerate(ast.walk(value)):
        if isinstance(node, ast.Name) and node.id in names.by_count.get(0, ()):
            for other in names.by_count[0]:
                tree = _copied(value)
                target = next(inner for number, inner in enumerate(ast.walk(tree)) if number == place)
                yield _with(tree, target, ast.BinOp(ast.Constant(1), ast.Sub(), ast.Name(other)))


def _copied(node: ast.expr) -> ast.expr:
    """A copy of a tree, whose nodes are its own; `copy.deepcopy` takes several times as long."""
    new: ast.expr = _copy(node)
    return new


def _copy(node: Any) -> Any:
    if isinstance(node, list):
        return [_copy(one) for one in node]
    if not isinstance(node, ast.AST):
        return node
    new = type(node).__new__(type(node))
    new.__dict__.update({name: _copy(value) for name, value in node.__dict__.items()})
    return new


def _with(tree: ast.expr, target: ast.AST, other: ast.expr) -> ast.expr:
    """Put another node in the place of one."""

    class Put(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return other if node is target else self.generic_visit(node)

    put: ast.expr = Put().visit(tree)
    return put


def _changes(equation: Equation, node: ast.AST, names: _Names) -> Iterator[Change]:
    """Yield what may be done to one node."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            count = len(indices_of(index))
            yield from (_other_name(other) for other in names.by_count.get(count, ()) if other != name)
            yield from (_moved(which, by) for which in range(count) for by in (-1, 1))
        case ast.Name(id=name):
            if name in names.by_count.get(0, ()):
                yield from (_set("id", other) for other in names.by_count[0] if other != name)
            elif equation.parameters is not None and name in equation.parameters:
                yield from (_set("id", other) for other in equation.parameters if other != name)
        case ast.Constant(value=int() | float() as number):
            yield from (_set("value", number + by) for by in (-1, 1))
        case ast.BinOp(left=left, op=operator, right=right):
            if isinstance(operator, _ARITHMETIC):
                yield from (_set("op", kind()) for kind in _ARITHMETIC if not isinstance(operator, kind))
            elif isinstance(operator, ast.MatMult):
                yield _set("op", ast.Mult())
            if not isinstance(operator, ast.Add | ast.Mult) and ast.dump(left) != ast.dump(right):
                yield _exchanged("left", "right")
            yield lambda node: node.left
            yield lambda node: node.right
        case ast.Compare(ops=[operator]):
            yield from (_set("ops", [kind()]) for kind in _COMPARISONS if not isinstance(operator, kind))
        case ast.IfExp():
            yield _exchanged("body", "orelse")
            yield lambda node: node.body
            yield lambda node: node.orelse
        case ast.BoolOp(op=junction, values=values):
            yield _set("op", ast.Or() if isinstance(junction, ast.And) else ast.And())
            if len(values) == 2:
                yield lambda node: node.values[0]
                yield lambda node: node.values[1]
        case ast.UnaryOp():
            yield lambda node: node.operand
        case ast.Attribute():  # .T
            yield lambda node: node.value
        case ast.Call(func=ast.Name(id="range"), args=bounds):
            yield from (_end_moved(which, by) for which in range(len(bounds)) for by in (-1, 1))
            if len(bounds) == 1:
                yield lambda node: ast.Call(node.func, [ast.Constant(1), *node.args], [])
        case ast.Call(func=ast.Name(id=name), args=arguments):
            yield from (_renamed(other) for alike in _ALIKE if name in alike for other in alike if other != name)
            if name in REDUCERS and isinstance(arguments[-1], ast.GeneratorExp):
                return
            if name not in _OF_ARRAYS:
                yield lambda node: node.args[0]
            if len(arguments) == 2:
                yield lambda node: ast.Call(node.func, [node.args[1], node.args[0]], [])


def _set(field: str, value: Any) -> Change:
    def change(node: Any) -> None:
        setattr(node, field, value)

    return change


def _other_name(name: str) -> Change:
    def change(node: ast.Subscript) -> None:
        node.value = ast.Name(name)

    return change


def _renamed(name: str) -> Change:
    def change(node: ast.Call) -> None:
        node.func = ast.Name(name)

    return change


def _exchanged(one: str, other: str) -> Change:
    def change(node: Any) -> None:
        first, second = getattr(node, one), getattr(node, other)
        setattr(node, one, second)
        setattr(node, other, first)

    return change


def _by(node: ast.expr, by: int) -> ast.expr:
    """A number plus or minus one, without adding 1 and taking it off again."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return ast.Constant(number + by)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return ast.Constant(by - number)
        case ast.BinOp(left=left, op=ast.Add(), right=ast.Constant(value=number)) if number == -by:
            return left
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=number)) if number == by:
            return left
    return ast.BinOp(node, ast.Add() if by > 0 else ast.Sub(), ast.Constant(1))


def _moved(which: int, by: int) -> Change:
    def change(node: ast.Subscript) -> None:
        indices = list(indices_of(node.slice))
        indices[which] = _by(indices[which], by)
        node.slice = indices[0] if len(indices) == 1 else ast.Tuple(indices)

    return change


def _end_moved(which: int, by: int) -> Change:
    def change(node: ast.Call) -> None:
        node.args[which] = _by(node.args[which], by)

    return change


def _everywhere(op: Operation) -> Iterator[Edit]:
    """Yield the operation with one function in the place of another wherever it stands, in its parts too."""
    of_values, of_gradient = set[str](), set[str]()
    for path, own, _ in _levels(op, (), {}):
        used = _functions(own.equations)
        chosen = (item.values for item in own.attributes.values() if used & set(item.functions))
        of_values |= used.union(*chosen)
        if _has_gradient(op, path):
            of_gradient |= _functions(own.gradient)
    for alike in _ALIKE[:2]:
        for old, new in permutations(alike, 2):
            if old in of_values | of_gradient:
                line = Block(f"{old}(a) = {new}(a)", "everywhere")
                part: EditedPart = "values" if old in of_values or not op.gradient else "gradients"
                yield Edit(line.text, _in_all(op, line), part, (line,))


def _functions(blocks: Iterable[Block]) -> set[str]:
    return {
        call.func.id
        for line in _lines(blocks)
        for call in ast.walk(line.equation.value)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }


def _in_all(op: Operation, line: Block) -> Operation:
    parts = tuple(
        replace(part, choices={name: _in_all(choice, line) for name, choice in part.choices.items()})
        for part in op.parts
    )
    return replace(op, parts=parts, changes=(*op.changes, line))
