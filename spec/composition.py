"""Operations built of others: their complete inputs and outputs, and their parts' equations under names of their own.

Every quantity of a part gets the part's index in front: where a cell says ``h = f(a)``, a layer says ``h[t] = f(a[t])``
and a stack of layers ``h[l, t] = f(a[l, t])``, and the same holds of the gradient's equations.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from rnnspec.spec.language import Equation, before, differentiated, gradient_of, indexed, indices_of, initial
from rnnspec.spec.operation import (
    Axes,
    Input,
    Item,
    Operation,
    Output,
    Part,
    Settings,
    When,
    attributes_of,
    settings_of,
)
from rnnspec.spec.tree import transform


def renamed_axes(shape: Axes, sizes: Mapping[str, str]) -> Axes:
    """Return a shape with other names for some sizes."""
    return tuple(sizes.get(axis, axis) for axis in shape)


def renamed_same_size(
    same_size: Iterable[tuple[When, Mapping[str, str]]], sizes: Mapping[str, str]
) -> tuple[tuple[When, Mapping[str, str]], ...]:
    """Return which sizes others give, with other names for some."""

    return tuple(
        (when, {renamed_words(a, sizes): renamed_words(b, sizes) for a, b in pairs.items()})
        for when, pairs in same_size
    )


def renamed_words(text: str, names: Mapping[str, str]) -> str:
    """Return a text in which whole words have other names."""
    return re.sub(r"\b\w+\b", lambda word: names.get(word[0], word[0]), text)


def _inputs_of(part: Part, chosen: Operation, inputs: Mapping[str, Input]) -> dict[str, Input]:
    """The part's own inputs that an operation takes for it, under their names and in their shapes there."""
    leading = part.over if part.parameters == "own" else ()
    first = {before(state): initial(state) for state in chosen.states}  # of cells one after the other, the first one's
    own: dict[str, Input] = {}
    for name, item in inputs.items():
        state = item.per_sequence
        if name in first:
            name, item = first[name], replace(item, optional=True)
        if name in part.reads or item.kind != "float" or (state and not part.states):
            continue
        shape = renamed_axes(item.shape, part.sizes)
        shape = ("B", *leading, *shape[1:]) if state else (*leading, *shape)
        own[part.prefix + name] = replace(item, name=part.prefix + name, shape=shape)
    return own


def _outputs_of(part: Part, outputs: Mapping[str, Output]) -> dict[str, Output]:
    """The part's outputs that an operation returns."""
    leading = part.over if part.parameters == "own" else ()
    own: dict[str, Output] = {}
    for name, output in outputs.items() if part.gives else ():
        if part.reads.get(name, name) == name:
            shape = ("B", *leading, *renamed_axes(output.shape, part.sizes)[1:])
            shown = name if name in part.reads else part.prefix + name
            own[shown] = replace(output, name=shown, shape=shape)
    return own


def resolved(op: Operation, attributes: Mapping[str, Any]) -> Operation:
    """Return the operation with the inputs, outputs and sizes that its parts, as chosen by `attributes`, bring along.

    An operation without parts, and a layer, whose parts bring nothing, is returned as it is. The same operation and
    attributes give the same object.
    """
    if all(op.unrolls and part.operation == op.unrolls for part in op.parts):
        return op
    return _resolved(op, settings_of(attributes))


@lru_cache(maxsize=4096)
def _resolved(op: Operation, settings: Settings) -> Operation:
    attributes = attributes_of(settings)
    for part in op.parts:
        if not (op.unrolls and part.operation == op.unrolls):
            op = _with_part(op, part, part.chosen(attributes), {**attributes, **part.fixed})
    return op


def _with_part(op: Operation, part: Part, chosen: Operation, attributes: Mapping[str, Any]) -> Operation:
    own_inputs = _inputs_of(part, chosen, chosen.inputs_for(attributes))
    own_outputs = _outputs_of(part, chosen.outputs_for(attributes))
    sizes = {part.sizes.get(name, name): about for name, about in chosen.sizes.items()}
    same = renamed_same_size([({}, chosen.same_sizes_for(attributes))], part.sizes)
    if "S" not in sizes and "H" in sizes:  # a layer without projection has as many units of the state as of the rest
        sizes["S"], same = "units of the state", (*same, ({}, {"S": "H"}))
    return replace(
        op,
        sizes={**sizes, **op.sizes},
        inputs={**op.inputs, **{k: replace(i, when={}) for k, i in own_inputs.items() if k not in op.inputs}},
        outputs={**op.outputs, **{k: replace(o, when={}) for k, o in own_outputs.items() if k not in op.outputs}},
        gates=chosen.gates_for(attributes),
        gate_variants=(),
        memory_gate=chosen.memory_gate,
        same_size=(*op.same_size, *same),
        at_least={**chosen.at_least, **op.at_least},
    )


@cache
def possible_inputs(op: Operation) -> Mapping[str, Input]:
    """Return every input that some call has, those that parts bring along included.

    `when` says with which attributes it is there; of a part's input, with which choices of the part.
    """
    return {**op.inputs, **_of_parts(op, lambda part, chosen: _inputs_of(part, chosen, chosen.inputs), op.inputs)}


@cache
def possible_outputs(op: Operation) -> Mapping[str, Output]:
    """Return every output that some call has, as `possible_inputs` returns the inputs."""
    return {**op.outputs, **_of_parts(op, lambda part, chosen: _outputs_of(part, chosen.outputs), op.outputs)}


def possible_sizes(op: Operation) -> dict[str, str]:
    """Return what every size of the possible inputs and outputs is."""
    about: dict[str, str] = {"S": "units of the state"}
    for part in op.parts:
        for chosen in part.choices.values():
            about |= {part.sizes.get(name, name): text for name, text in chosen.sizes.items()}
    about |= {"G": "gates", **op.sizes}
    items: list[Input | Output] = [*possible_inputs(op).values(), *possible_outputs(op).values()]
    axes = [axis for item in items for shape in (item.shape, *(s for _, s in item.shapes)) for axis in shape]
    return {axis: about[axis] for axis in dict.fromkeys(axes) if not axis.isdigit()}


def _of_parts(
    op: Operation, own_of: Callable[[Part, Operation], dict[str, Item]], known: Container[str]
) -> dict[str, Item]:
    found: dict[str, Item] = {}
    for part in op.parts:
        if op.unrolls and part.operation == op.unrolls:
            continue
        by_choice = {choice: own_of(part, chosen) for choice, chosen in part.choices.items()}
        for name in dict.fromkeys(name for own in by_choice.values() for name in own if name not in known):
            items = {choice: own[name] for choice, own in by_choice.items() if name in own}
            first = next(iter(items.values()))
            when = first.when if all(item.when == first.when for item in items.values()) else {}
            if len(items) < len(by_choice):
                when = {part.operation: tuple(items), **when}
            main, others = _shapes(part, {choice: item.shape for choice, item in items.items()})
            found.setdefault(name, replace(first, shape=main, when=when, shapes=others))
    return found


def _shapes(part: Part, by_choice: Mapping[Any, Axes]) -> tuple[Axes, tuple[tuple[When, Axes], ...]]:
    """From the shape under each choice to the first one, and the others with the choices that they belong to.

    Where two differ only in whether the state may be projected, the one in which it may stands for both.
    """

    def plain(shape: Axes) -> Axes:
        return renamed_axes(shape, {"S": "H"})

    general = {plain(shape): shape for shape in sorted(by_choice.values(), key=lambda shape: "S" in shape)}
    choices: dict[Axes, tuple[Any, ...]] = {}
    for choice, shape in by_choice.items():
        choices[general[plain(shape)]] = (*choices.get(general[plain(shape)], ()), choice)
    main, *others = choices
    return main, tuple(({part.operation: choices[shape]}, shape) for shape in others)


def states_of(op: Operation, attributes: Mapping[str, Any]) -> dict[str, bool]:
    """Return the states of the first part of `op`: by name, whether a state is a vector for each of several places."""
    if not op.parts:
        return {}
    chosen = op.parts[0].chosen(attributes)
    if chosen.unrolls:
        chosen = chosen.parts[0].chosen(attributes)
    return {state: len(chosen.inputs[before(state)].shape) > 2 for state in chosen.states}


def for_state(equation: Equation, word: str, state: str, several: bool, reads: Mapping[str, str]) -> Equation:
    """Put a state, under the name it has here, in the place of a word; one of several places gets the index m."""
    places = (ast.Name("m"),) if several else ()

    def renamed(name: str) -> str:
        return reads.get(name.replace(word, state), name.replace(word, state))

    def visit(node: ast.expr) -> ast.expr:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=index) if word in name:
                return indexed(renamed(name), (*indices_of(index), *places))
            case ast.Name(id=name) if word in name:
                return indexed(renamed(name), places)
        return node

    indices = equation.indices + (places if word in equation.target else ())
    target = renamed(equation.target)
    return replace(equation, target=target, indices=indices, value=transform(equation.value, visit))


class Lift:
    """The equations of a part, with its index in front of every quantity's own and with its names."""

    def __init__(
        self,
        part: Part,
        chosen: Operation,
        gates: Iterable[str],
        forward: Iterable[Equation],
        gradient: Iterable[Equation],
    ) -> None:
        self.part = part
        self.index = tuple(ast.Name(letter) for letter in part.index)
        parameters = set(chosen.parameters)
        parameters |= {f"{name}_{row}" for name in parameters for row in (*gates, *_rows(chosen, name))}
        shared = parameters if part.parameters == "shared" else set()
        self.sums = {gradient_of(name) for name in shared}
        quantities = {equation.target for equation in forward} | parameters
        quantities |= {name for name, item in chosen.inputs.items() if item.per_sequence and item.kind == "float"}
        lefts = {equation.target for equation in gradient}
        gradients = {gradient_of(name): name for name in (*chosen.outputs, *shared)}
        gradients |= {left: of for left in lefts if (of := differentiated(left, quantities)) is not None}
        self.lifted = (quantities | lefts | gradients.keys()) - shared - self.sums
        # A gru has a candidate n[t] at every step of a sequence of n steps: without an index, n is the number.
        self.counts = {"n"} if chosen.has_steps else set()
        self.names = dict(part.sizes)
        if part.prefix:
            self.names |= {name: part.prefix + name for name in quantities | lefts}
            self.names |= {name: gradient_of(part.prefix + of) for name, of in gradients.items()}
        reads = dict(part.reads)
        for name, new in part.reads.items():
            reads |= {f"{name}_{row}": f"{new}_{row}" for row in (*gates, *_rows(chosen, name))}
        self.names |= reads | {gradient_of(name): gradient_of(new) for name, new in reads.items()}

    def equations(self, equations: Iterable[Equation]) -> list[Equation]:
        """Lift these."""
        return [self._equation(equation) for equation in equations]

    def _name(self, name: str) -> str:
        return self.names.get(name, name)

    def _visit(self, node: ast.expr) -> ast.expr:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                front = self.index if name in self.lifted else ()
                return indexed(self._name(name), (*front, *indices_of(index)))
            case ast.Name(id=name) if name in self.counts:
                return ast.Name(self.part.sizes.get(name, name))
            case ast.Name(id=name):
                return indexed(self._name(name), self.index if name in self.lifted else ())
        return node

    def _equation(self, equation: Equation) -> Equation:
        value = transform(equation.value, self._visit)
        indices = tuple(transform(index, self._visit) for index in equation.indices)
        if equation.target in self.sums:
            for letter, size in reversed(tuple(zip(self.part.index, self.part.over, strict=True))):
                value = summed(value, letter, size)
            return replace(equation, target=self._name(equation.target), indices=indices, value=value)
        front = self.index if equation.target in self.lifted else ()
        return replace(equation, target=self._name(equation.target), indices=(*front, *indices), value=value)


def summed(value: ast.expr, letter: str, size: str) -> ast.expr:
    """Return the sum of an expression over an index below a size."""
    bound: ast.expr = ast.Constant(int(size)) if size.isdigit() else ast.Name(size)
    loop = ast.comprehension(ast.Name(letter), ast.Call(ast.Name("range"), [bound], []), [], 0)
    return ast.Call(ast.Name("sum"), [ast.GeneratorExp(value, [loop])], [])


def _rows(op: Operation, name: str) -> tuple[str, ...]:
    return op.inputs[name].rows if name in op.inputs else ()
