"""Reading of the specification from its TOML files.

An operation may take over entries of others: a layer unrolls its cell, and a stack has layers as its parts. Each is
read when it is first needed. A fault raises SpecError with its file, table and key.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from rnnspec.spec.composition import renamed_axes, renamed_same_size, renamed_words
from rnnspec.spec.errors import SpecError, one_of, shown
from rnnspec.spec.language import before, initial, parse, parse_size, sizes_in
from rnnspec.spec.operation import (
    DOMAINS,
    GATE,
    RANGED,
    WHOLE,
    Attribute,
    Block,
    Input,
    Operation,
    Output,
    Part,
    When,
    lies_in,
)
from rnnspec.spec.table import TableReader, document
from rnnspec.spec.unrolling import Unrolling, unrolled

_FAMILIES = "families.toml"
"""Entries for all families: their order, and the kinds of layers."""

_UNROLLING = "unrolling.toml"
"""Entries that every layer adds to its cell."""

_KINDS = ("layers", "cells")
"""Sets of values that an attribute may name in place of a list: every kind of layer, or the cell of each."""

_STEPS = {
    "lengths": Input("lengths", ("B",), "valid steps of each sequence; all T if absent", "lengths", True),
    "mask": Input("mask", ("B", "T"), "true at valid steps, in place of lengths", "mask", True),
}


@cache
def operations() -> dict[str, Operation]:
    """Return every operation of the specification by name, in the order of its families."""
    return load(files("rnnspec.spec"))


def operation(name: str) -> Operation:
    """Return the operation of this name; raise UnknownOperationError if there is none."""
    known = operations()
    if name not in known:
        raise UnknownOperationError(f"unknown operation {shown(name)}: {one_of(name, known)}")
    return known[name]


class UnknownOperationError(LookupError):
    """There is no operation of that name; the message lists the known ones."""


def load(folder: Traversable) -> dict[str, Operation]:
    """Read every ``*.toml`` of a folder: a family each, in the order of its ``families.toml``, if there is one."""
    documents = {file.name: document(file) for file in folder.iterdir() if file.name.endswith(".toml")}
    families, layers = _families(documents.pop(_FAMILIES, {}))
    documents.pop(_UNROLLING, None)
    tables: dict[str, tuple[str, dict[str, Any]]] = {}

    def rank(file: str) -> tuple[int, str]:
        family = file.removesuffix(".toml")
        return (families.index(family) if family in families else len(families), family)

    for file in sorted(documents, key=rank):
        for name, table in documents[file].items():
            if name in tables:
                raise SpecError(f"{file}: [{name}]: expected a new name, but {tables[name][0]} defines it too")
            tables[name] = (file, table)
    loading = _Loading(tables, layers)
    return {name: loading.get(name) for name in tables}


def _families(document: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the order of the families and the kinds of layers."""
    reader = _Reader(_FAMILIES, "")
    entries = reader.take(document, "", order=list, layers=list)
    return reader.words(entries.get("order", ()), "order"), reader.words(entries.get("layers", ()), "layers")


@cache
def _unrolling() -> Unrolling:
    reader = _Reader(_UNROLLING, "unrolling")
    entries = reader.take(
        document(files("rnnspec.spec") / _UNROLLING)["unrolling"], "",
        sizes=dict, inputs=dict, outputs=dict, attributes=dict, alone=list, same_size=list, equations=list,
        gradient=list,
    )  # fmt: skip
    return Unrolling(
        entries["sizes"],
        {name: reader.input(name, item) for name, item in entries["inputs"].items()},
        {name: reader.output(name, item) for name, item in entries["outputs"].items()},
        {name: reader.attribute(name, item) for name, item in entries["attributes"].items()},
        reader.words(entries["alone"], "alone"),
        reader.same_size(entries["same_size"]),
        tuple(reader.blocks(entries["equations"], "equations")),
        tuple(reader.blocks(entries["gradient"], "gradient")),
    )


class _Loading:
    """Operations during reading; each is read once, after those that it is built of."""

    def __init__(self, tables: Mapping[str, tuple[str, dict[str, Any]]], layers: tuple[str, ...]) -> None:
        self.tables = tables
        self.layers = layers
        self.loaded: dict[str, Operation] = {}
        self.pending: list[str] = []

    def get(self, name: str) -> Operation:
        if name not in self.loaded:
            file, table = self.tables[name]
            if name in self.pending:
                raise SpecError(f"{file}: [{name}]: built of itself: {' -> '.join([*self.pending, name])}")
            self.pending.append(name)
            self.loaded[name] = self._read(_Reader(file, name, self.layers), table)
            self.pending.pop()
        return self.loaded[name]

    def _other(self, reader: _Reader, where: str, name: Any) -> Operation:
        if name not in self.tables or name == reader.name:
            raise reader.fail(where, f"an operation other than {reader.name} itself", name)
        return self.get(name)

    def _read(self, reader: _Reader, table: Any) -> Operation:
        entries = reader.table(table, "")
        op = reader.operation(entries)
        if op.unrolls:
            op = unrolled(op, self._other(reader, "unrolls.cell", op.unrolls), _unrolling())
        for item in entries.get("includes", ()):
            included = reader.take(item, "includes", operation=str, sizes=dict)
            reader.need(included, "includes", "operation")
            other = self._other(reader, "includes.operation", included["operation"])
            op = _including(op, other, included.get("sizes", {}))
        op = self._with_parts(op, reader)
        if entries.get("steps", False) or op.unrolls:
            op = replace(op, inputs={**op.inputs, **_STEPS})
        reader.check_names(op)
        return op

    def _with_parts(self, op: Operation, reader: _Reader) -> Operation:
        """Return the operation with the choices of its parts, and with the attributes of these choices."""
        parts, attributes = [], dict(op.attributes)
        for part in op.parts:
            chooser = op.attributes.get(part.operation)
            names = (part.operation,) if chooser is None else chooser.values
            choices = {name: self._other(reader, "parts.operation", name) for name in names}
            if chooser is not None:
                choices = {name: self._layer_of(choice, part) for name, choice in choices.items()}
                part = replace(part, fixed={**_of_layers_alone(choices.values()), **part.fixed})
                for name, choice in choices.items():
                    for key, attribute in choice.attributes.items():
                        if key not in part.fixed:
                            _take_over(attributes, _renamed(attribute, part.sizes), chooser.name, name, reader)
                for name in part.differs.values():
                    having = tuple(kind for kind, choice in choices.items() if _changes(choice))
                    attributes[name] = replace(attributes[name], when={chooser.name: having})
                op = _with_states_written_out(op, chooser.name, choices, reader)
            parts.append(replace(part, choices=choices))
        return replace(op, parts=tuple(parts), attributes=attributes)

    def _layer_of(self, choice: Operation, part: Part) -> Operation:
        """Return the layer that unrolls a cell, unless each place of the part is one step of the cell itself."""
        if part.step:
            return self.get(choice.unrolls)
        if part.index or not choice.name.endswith("_cell"):
            return choice
        return self.get(choice.name.removesuffix("_cell"))


def _changes(choice: Operation) -> bool:
    """Whether an operation has functions that `with_function` puts others in place of."""
    return any(set(item.functions) - {GATE} for item in choice.attributes.values())


def _of_layers_alone(choices: Iterable[Operation]) -> dict[str, Any]:
    """Return the attributes, at their defaults, that layers have by themselves alone; none of cells."""
    layers = [choice for choice in choices if choice.unrolls]
    return {name: layer.attributes[name].default for layer in layers for name in _unrolling().alone}


def _take_over(
    attributes: dict[str, Attribute], attribute: Attribute, chooser: str, choice: str, reader: _Reader
) -> None:
    """Add a part's attribute, with a meaning under the choices that have it; refuse it if one of them has another."""
    name, known = attribute.name, attributes.get(attribute.name)
    if known is None:
        attributes[name] = replace(attribute, when={chooser: (choice,), **attribute.when})
        return
    if chooser not in known.when:
        return
    having = known.when[chooser]
    if choice not in having and replace(attribute, about=known.about, when=known.when) != known:
        raise reader.fail(f"attributes.{chooser}", f"{name} of {choice} to be that of {having[-1]}", attribute)
    attributes[name] = replace(attribute, when={chooser: tuple(dict.fromkeys((*having, choice))), **attribute.when})


def _with_states_written_out(
    op: Operation, chooser: str, choices: Mapping[str, Operation], reader: _Reader
) -> Operation:
    """Replace conditions on the states of a part by the choices that have such states."""

    def written_out(when: When, where: str) -> When:
        states = when.get(chooser)
        if not isinstance(states, dict):
            return when
        chosen = tuple(name for name, choice in choices.items() if states.items() <= _states(choice, states).items())
        if not chosen:
            raise reader.fail(f"{where}.when", f"states that some {chooser} has", states)
        return {**when, chooser: chosen[0] if len(chosen) == 1 else list(chosen)}

    equations, gradient = (
        tuple(replace(block, when=written_out(block.when, where)) for block in blocks)
        for where, blocks in (("equations", op.equations), ("gradient", op.gradient))
    )
    same_size = tuple((written_out(when, "same_size"), pairs) for when, pairs in op.same_size)
    return replace(op, equations=equations, gradient=gradient, same_size=same_size)


def _states(choice: Operation, names: Iterable[str]) -> dict[str, str]:
    """Return the shapes of a cell's or layer's states of these names; ``none`` for a missing one."""
    given = {name: choice.inputs.get(before(name)) or choice.inputs.get(initial(name)) for name in names}
    return {name: "none" if item is None else " ".join(item.shape) for name, item in given.items()}


def _renamed(attribute: Attribute, sizes: Mapping[str, str]) -> Attribute:
    """Return an attribute of another operation with its sizes renamed."""
    ends = tuple(renamed_words(end, sizes) if isinstance(end, str) else end for end in attribute.range)
    return replace(attribute, range=ends)


def _including(op: Operation, other: Operation, sizes: Mapping[str, str]) -> Operation:
    """Take over another operation's own attributes, parameters and their sizes, and its definitions of functions.

    `sizes` renames sizes of the other operation.
    """
    parameters = {
        name: replace(
            item,
            shape=renamed_axes(item.shape, sizes),
            shapes=tuple((when, renamed_axes(shape, sizes)) for when, shape in item.shapes),
        )
        for name, item in other.inputs.items()
        if item.kind in ("float", "bits") and not item.per_sequence
    }
    axes = {
        axis for item in parameters.values() for shape in (item.shape, *(s for _, s in item.shapes)) for axis in shape
    }
    same = renamed_same_size(other.same_size, sizes)
    equations, gradient = (
        tuple(
            replace(block, text=renamed_words(block.text, sizes))
            for block in blocks
            if all(e.parameters is not None for e in parse(block.text, block.place))
        )
        for blocks in (other.equations, other.gradient)
    )
    choosers = {part.operation for part in other.parts}  # attributes that parts bring along come with op's own parts
    differing = {name for part in other.parts for name in part.differs.values()}
    attributes = {
        name: _renamed(item, sizes)
        for name, item in other.attributes.items()
        if name in differing or not choosers & item.when.keys()
    }
    return replace(
        op,
        sizes={**{name: about for name, about in other.sizes.items() if name in axes}, **op.sizes},
        inputs={**op.inputs, **parameters},
        attributes={**attributes, **op.attributes},
        equations=(*equations, *op.equations),
        gradient=(*gradient, *op.gradient),
        same_size=(*op.same_size, *((when, pairs) for when, pairs in same if pairs)),
    )


@dataclass(frozen=True)
class _Reader(TableReader):
    """Reader of one operation's table."""

    layers: tuple[str, ...] = ()

    def check_names(self, op: Operation) -> None:
        """Refuse undefined sizes and attributes, and defaults that are not allowed."""
        items: list[tuple[str, Input | Output]] = [(f"inputs.{name}", item) for name, item in op.inputs.items()]
        items += [(f"outputs.{name}", item) for name, item in op.outputs.items()]
        sizes = {*op.sizes, *(size for part in op.parts for choice in part.choices.values() for size in choice.sizes)}
        for where, item in items:
            for shape in (item.shape, *(shape for _, shape in item.shapes)):
                for axis in shape:
                    if axis not in sizes and not axis.isdigit():
                        raise self.fail(where, f"axes from {', '.join(op.sizes)}", axis)
        conditions: list[tuple[str, When]] = [(where, item.when) for where, item in items]
        conditions += [(where, when) for where, item in items for when, _ in item.shapes]
        conditions += [("gates.variants", when) for when, _ in op.gate_variants]
        conditions += [("same_size", when) for when, _ in op.same_size]
        for where, blocks in (("equations", op.equations), ("gradient", op.gradient)):
            conditions += [(f"{where}.{number}", block.when) for number, block in enumerate(blocks, start=1)]
        for where, when in conditions:
            for name, wanted in when.items():
                if name not in op.attributes:
                    raise self.fail(f"{where}.when", f"attributes from {', '.join(op.attributes) or 'none'}", name)
                if isinstance(wanted, dict):
                    raise self.fail(f"{where}.when.{name}", "values, or states of the part that it chooses", wanted)
        for name, attribute in op.attributes.items():
            default = attribute.default
            chosen = default if isinstance(default, tuple) else (default,)
            if not attribute.domain and not all(value in attribute.values for value in chosen):
                raise self.fail(f"attributes.{name}.default", f"one of {list(attribute.values)}", default)
            self.check_range(
                attribute, {size: op.at_least.get(size, 0 if size in ("B", "T", "n") else 1) for size in sizes}
            )

    def check_range(self, attribute: Attribute, least: Mapping[str, int]) -> None:
        """Refuse ends of a range that name unknown sizes or lie outside the domain; `least` has the smallest sizes."""
        where = f"attributes.{attribute.name}.range"
        for end in attribute.range:
            named = sizes_in(parse_size(end, f"{self.file}: [{self.name}.{where}]")) if isinstance(end, str) else ()
            if not set(named) <= set(least):
                raise self.fail(where, f"sizes from {', '.join(sorted(least))}", end)
        if attribute.range:
            low, _ = attribute.ends(least)
            if not lies_in(attribute.domain, low):
                raise self.fail(where, f"to begin at {DOMAINS[attribute.domain]}", low)

    def operation(self, table: dict[str, Any]) -> Operation:
        entries = self.take(
            table, "",
            title=str, summary=str, sources=list, laws=list, sizes=dict, gates=dict, attributes=dict, inputs=dict,
            outputs=dict, same_size=list, at_least=dict, equations=list, gradient=list, cost=dict, unrolls=dict,
            parts=list, includes=list, steps=bool, over=str, differentiable=bool, padding_label=dict,
        )  # fmt: skip
        self.need(entries, "", "title", "summary", "sources", "cost")
        if "unrolls" not in entries:
            self.need(entries, "", "sizes", "inputs", "equations")
        gates = self.take(entries.get("gates", {}), "gates", order=list, memory=str, variants=list)
        variants = [self.take(v, "gates.variants", when=dict, order=list) for v in gates.get("variants", [])]
        for variant in variants:
            self.need(variant, "gates.variants", "when", "order")
        cost = self.take(entries["cost"], "cost", flops=str, elements=str)
        self.need(cost, "cost", "flops", "elements")
        self.words(entries.get("sizes", {}).values(), "sizes")
        label = entries.get("padding_label")
        if label is not None:
            label = self.take(label, "padding_label", input=str, label=str, when=dict)
            self.need(label, "padding_label", "input", "label", "when")
        unrolls = self.take(entries.get("unrolls", {"cell": ""}), "unrolls", cell=str)
        self.need(unrolls, "unrolls", "cell")
        return Operation(
            name=self.name,
            family=self.file.removesuffix(".toml"),
            title=entries["title"],
            summary=" ".join(entries["summary"].split()),
            sources=self.words(entries["sources"], "sources"),
            sizes=entries.get("sizes", {}),
            inputs={name: self.input(name, item) for name, item in entries.get("inputs", {}).items()},
            outputs={name: self.output(name, item) for name, item in entries.get("outputs", {}).items()},
            attributes={name: self.attribute(name, item) for name, item in entries.get("attributes", {}).items()},
            equations=tuple(self.blocks(entries.get("equations", []), "equations")),
            gradient=tuple(self.blocks(entries.get("gradient", []), "gradient")),
            gates=self.words(gates.get("order", ()), "gates.order"),
            gate_variants=tuple(
                (variant["when"], self.words(variant["order"], "gates.variants.order")) for variant in variants
            ),
            memory_gate=gates.get("memory", ""),
            same_size=self.same_size(entries.get("same_size", [])),
            at_least=entries.get("at_least", {}),
            laws=self.words(entries.get("laws", ()), "laws"),
            cost=cost,
            over_batch=self.among(("batch", "sequence"), entries.get("over", "sequence"), "over") == "batch",
            differentiable=entries.get("differentiable", True),
            padding_label=None if label is None else (label["input"], label["label"], label["when"]),
            unrolls=unrolls["cell"],
            parts=tuple(self.part(item) for item in entries.get("parts", [])),
        )

    def same_size(self, items: Iterable[Any]) -> tuple[tuple[When, dict[str, str]], ...]:
        tables = [self.table(item, "same_size") for item in items]
        return tuple((item.get("when", {}), {k: v for k, v in item.items() if k != "when"}) for item in tables)

    def part(self, item: Any) -> Part:
        entries = self.take(
            item, "parts",
            operation=str, index=list, over=list, parameters=str, reads=dict, sizes=dict, prefix=str, fixed=dict,
            states=bool, gives=bool, step=bool, differs=dict,
        )  # fmt: skip
        self.need(entries, "parts", "operation")
        self.among(("shared", "own"), entries.get("parameters", "shared"), "parts.parameters")
        fixed = {name: None if value == "none" else value for name, value in entries.pop("fixed", {}).items()}
        index, over = (self.words(entries.pop(key, ()), f"parts.{key}") for key in ("index", "over"))
        if len(index) != len(over):
            raise self.fail("parts.over", f"a size for each index, {', '.join(index)}", over)
        return Part(**entries, index=index, over=over, fixed=fixed)

    def input(self, name: str, item: Any) -> Input:
        where = f"inputs.{name}"
        entries = self.take(
            item, where,
            shape=str, about=str, optional=bool, when=dict, shapes=list, kind=str, below=str, domain=str, rows=list,
        )  # fmt: skip
        return Input(
            name,
            self.shape(entries, where),
            entries.get("about", ""),
            self.among(("float", "ids", "bits"), entries.get("kind", "float"), where),  # type: ignore[arg-type]  # checked
            entries.get("optional", False),
            entries.get("when", {}),
            self.shapes(entries, where),
            entries.get("below", ""),
            self.among(("", *RANGED, "forbidding"), entries.get("domain", ""), where),
            self.words(entries.get("rows", ()), where),
        )

    def output(self, name: str, item: Any) -> Output:
        where = f"outputs.{name}"
        entries = self.take(item, where, shape=str, about=str, kind=str, when=dict, shapes=list, impossible=float)
        kind = self.among(("float", "ids"), entries.get("kind", "float"), where)
        return Output(
            name,
            self.shape(entries, where),
            entries.get("about", ""),
            kind,  # type: ignore[arg-type]  # checked
            entries.get("when", {}),
            self.shapes(entries, where),
            self.impossible(entries.get("impossible", -math.inf), where),
        )

    def impossible(self, value: float, where: str) -> float:
        """Return the infinity that is a result; refuse other numbers."""
        if not math.isinf(value):
            raise self.fail(f"{where}.impossible", "inf or -inf", value)
        return value

    def shapes(self, entries: Mapping[str, Any], where: str) -> tuple[tuple[When, tuple[str, ...]], ...]:
        found = []
        for item in entries.get("shapes", []):
            variant = self.take(item, f"{where}.shapes", when=dict, shape=str)
            self.need(variant, f"{where}.shapes", "when", "shape")
            found.append((variant["when"], self.shape(variant, f"{where}.shapes")))
        return tuple(found)

    def shape(self, entries: Mapping[str, Any], where: str) -> tuple[str, ...]:
        if "shape" not in entries:
            raise self.fail(where, "a shape like 'B T D'", None)
        axes = tuple(entries["shape"].split())
        if not all(axis.isidentifier() or axis.isdigit() for axis in axes):
            raise self.fail(where, "a shape like 'B T D'", entries["shape"])
        return axes

    def attribute(self, name: str, item: Any) -> Attribute:
        where = f"attributes.{name}"
        entries = self.take(
            item, where,
            about=str, values=list, kinds=str, default=(str, bool, int, float, list), functions=list, others=bool,
            domain=str, range=list, usual=list, size=str, when=dict,
        )  # fmt: skip
        self.need(entries, where, "default")
        if "domain" in entries:
            self.among(DOMAINS, entries["domain"], f"{where}.domain")
            self.need(entries, where, "range")
            self.numbers(entries, where)
        else:
            for key in ("range", "usual"):
                if key in entries:
                    raise self.fail(where, f"a domain beside {key}", list(entries))
        default = entries["default"]
        if isinstance(default, list):
            default = tuple(default)
        values = tuple(entries.get("values", ()))
        if "kinds" in entries:
            if "values" in entries or "domain" in entries:
                raise self.fail(where, "kinds in place of values or a domain", list(entries))
            values = self.kinds(entries["kinds"], default, f"{where}.kinds")
        return Attribute(
            name,
            entries.get("about", ""),
            None if default == "none" and "none" not in entries.get("values", ()) else default,
            values,
            tuple(entries.get("functions", ())),
            entries.get("others", False),
            entries.get("domain", ""),
            tuple(entries.get("range", ())),
            tuple(entries.get("usual", ())),
            entries.get("size", ""),
            entries.get("when", {}),
        )

    def kinds(self, word: str, default: Any, where: str) -> tuple[str, ...]:
        """Return every kind of layer, or the cell of each, the default first."""
        end = "_cell" if self.among(_KINDS, word, where) == "cells" else ""
        names = tuple(layer + end for layer in self.layers)
        return (default, *(name for name in names if name != default)) if default in names else names

    def numbers(self, entries: Mapping[str, Any], where: str) -> None:
        """Refuse a malformed range, and numbers outside it or its domain."""
        domain, ends, default = entries["domain"], entries["range"], entries["default"]
        if "values" in entries:
            raise self.fail(where, "values or a domain, not both", list(entries))
        if len(ends) != 2:
            raise self.fail(f"{where}.range", "two ends, the lower first", ends)
        for end in ends:
            if isinstance(end, str) and domain not in WHOLE:
                raise self.fail(f"{where}.range", f"numbers: {DOMAINS[domain]} is no size", end)
            if not isinstance(end, str) and not lies_in(domain, end):
                raise self.fail(f"{where}.range", DOMAINS[domain], end)
        low, high = (end if isinstance(end, int | float) else None for end in ends)
        if low is not None and high is not None and low > high:
            raise self.fail(f"{where}.range", "the lower end first", ends)
        numbers = {"default": [] if default == "none" else [default], "usual": entries.get("usual", [])}
        for key, values in numbers.items():
            for value in values:
                if not lies_in(domain, value):
                    raise self.fail(f"{where}.{key}", DOMAINS[domain], value)
                if (low is not None and value < low) or (high is not None and value > high):
                    raise self.fail(f"{where}.{key}", f"a number within the range {ends}", value)

    def blocks(self, items: list[Any], where: str) -> Iterator[Block]:
        for number, item in enumerate(items, start=1):
            place = f"{self.file}: [[{self.name}.{where}]] {number}"
            entries = self.take(item, f"{where}.{number}", text=str, when=dict, each=str)
            self.need(entries, f"{where}.{number}", "text")
            yield Block(entries["text"], place, entries.get("when", {}), entries.get("each", ""))
