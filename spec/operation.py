"""What the specification says of one operation, and how it is read from TOML.

`Operation` is immutable data. A layer that ``unrolls`` a cell takes over the cell's parameters, sizes, gates and
attributes; its equations are the cell's at every step (see `rnnspec.spec.system`) and its own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

from rnnspec.spec.errors import SpecError

When = Mapping[str, Any]
Kind = Literal["float", "lengths", "mask"]


@dataclass(frozen=True)
class Input:
    """An input: its symbolic shape, batch first, and when it is there at all."""

    name: str
    shape: tuple[str, ...]
    about: str
    kind: Kind = "float"
    optional: bool = False
    when: When = field(default_factory=dict)

    @property
    def per_sequence(self) -> bool:
        """Whether each sequence has its own; else it is a parameter that all share."""
        return self.shape[0] == "B"


@dataclass(frozen=True)
class Output:
    """An output and its symbolic shape, batch first."""

    name: str
    shape: tuple[str, ...]
    about: str


@dataclass(frozen=True)
class Attribute:
    """A choice. `values` are the allowed ones; with `functions`, a name from `values` for each function named there.

    With `domain` ``positive``, any positive number or none.
    """

    name: str
    about: str
    default: Any
    values: tuple[Any, ...] = ()
    functions: tuple[str, ...] = ()
    domain: str = ""

    @property
    def is_tuple(self) -> bool:
        """Whether a value is a tuple, one entry a function."""
        return len(self.functions) > 1

    def expected(self) -> str:
        """The allowed values, in words, for error messages."""
        if self.domain:
            return f"a {self.domain} number or None"
        allowed = ", ".join(repr(value) for value in self.values)
        if self.is_tuple:
            return f"a tuple of {len(self.functions)}, for {', '.join(self.functions)}, each one of {allowed}"
        return f"one of {allowed}"


@dataclass(frozen=True)
class Block:
    """Lines of equations that hold `when` the attributes have these values; `each` repeats them for every gate."""

    text: str
    place: str
    when: When = field(default_factory=dict)
    each: str = ""


@dataclass(frozen=True)
class Unrolls:
    """How a layer is made of its cell: `reads` renames the cell's inputs, `state` maps state before to state after."""

    cell: str
    reads: Mapping[str, str]
    state: Mapping[str, str]


@dataclass(frozen=True)
class Operation:
    """One operation of the specification."""

    name: str
    family: str
    title: str
    summary: str
    sources: tuple[str, ...]
    sizes: Mapping[str, str]
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output]
    attributes: Mapping[str, Attribute]
    equations: tuple[Block, ...]
    gradient: tuple[Block, ...]
    gates: tuple[str, ...]
    gate_variants: tuple[tuple[When, tuple[str, ...]], ...]
    memory_gate: str
    same_size: tuple[tuple[When, Mapping[str, str]], ...]
    laws: tuple[str, ...]
    carries: Mapping[str, str]
    cost: Mapping[str, str]
    unrolls: Unrolls | None
    cell: Operation | None = None
    """What it unrolls."""

    @property
    def has_steps(self) -> bool:
        """Whether it runs over sequences (and so takes lengths or a mask)."""
        return "lengths" in self.inputs

    def defaults(self) -> dict[str, Any]:
        """Every attribute at its default."""
        return {name: attribute.default for name, attribute in self.attributes.items()}

    def gates_for(self, attributes: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the gates on the leading axis of W, R and b."""
        for when, order in self.gate_variants:
            if holds(when, attributes):
                return order
        return self.gates

    def inputs_for(self, attributes: Mapping[str, Any]) -> dict[str, Input]:
        """Return the inputs that a call with these attributes has, optional ones included."""
        return {name: item for name, item in self.inputs.items() if holds(item.when, attributes)}

    def same_sizes_for(self, attributes: Mapping[str, Any]) -> dict[str, str]:
        """Return the sizes that equal another under these attributes."""
        return {a: b for when, pairs in self.same_size if holds(when, attributes) for a, b in pairs.items()}


def holds(when: When, attributes: Mapping[str, Any]) -> bool:
    """Whether the attributes have the values of `when`; ``none`` and ``number`` stand for None and any number."""

    def matches(wanted: Any, value: Any) -> bool:
        if wanted == "none":
            return value is None
        if wanted == "number":
            return value is not None
        return bool(wanted == value)

    return all(matches(wanted, attributes[name]) for name, wanted in when.items())


@cache
def operations() -> dict[str, Operation]:
    """Every operation of the specification by name: cells first, then what is built on them."""
    return load(files("rnnspec.spec"))


def operation(name: str) -> Operation:
    """Return the operation of this name; raise UnknownOperationError, which names the known ones."""
    known = operations()
    if name not in known:
        raise UnknownOperationError(f"unknown operation {name!r}: expected one of {', '.join(known)}")
    return known[name]


class UnknownOperationError(LookupError):
    """There is no operation of that name; the message lists those there are."""


def load(folder: Traversable) -> dict[str, Operation]:
    """Read every ``*.toml`` of a folder."""
    tables: dict[str, tuple[str, dict[str, Any]]] = {}
    for file in sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name):
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SpecError(f"{file.name}: not TOML: {error}") from error
        for name, table in document.items():
            if name in tables:
                raise SpecError(f"{file.name}: [{name}]: expected a new name, but {tables[name][0]} defines it too")
            tables[name] = (file.name, table)
    loaded: dict[str, Operation] = {}
    for name, (file_name, table) in tables.items():
        reader = _Reader(file_name, name)
        op = reader.operation(reader.table(table, ""))
        if op.unrolls:
            if op.unrolls.cell not in loaded:
                raise reader.fail("unrolls.cell", "an operation defined above", op.unrolls.cell)
            op = _unrolled(op, loaded[op.unrolls.cell])
        reader.check_names(op)
        loaded[name] = op
    return loaded


def _unrolled(layer: Operation, cell: Operation) -> Operation:
    """Give a layer what it takes over from its cell."""
    parameters = {name: item for name, item in cell.inputs.items() if not item.per_sequence}
    return replace(
        layer,
        cell=cell,
        sizes={**cell.sizes, **layer.sizes},
        inputs={
            **layer.inputs,
            **parameters,
            "lengths": Input("lengths", ("B",), "valid steps of each sequence; all T if absent", "lengths", True),
            "mask": Input("mask", ("B", "T"), "true at valid steps, in place of lengths", "mask", True),
        },
        attributes={**cell.attributes, **layer.attributes},
        gates=cell.gates,
        gate_variants=cell.gate_variants,
        memory_gate=cell.memory_gate,
        same_size=cell.same_size,
    )


@dataclass(frozen=True)
class _Reader:
    """Reads one operation's table, naming the place of whatever is wrong."""

    file: str
    name: str

    def fail(self, where: str, expected: str, got: Any) -> SpecError:
        place = f"{self.file}: [{self.name}{'.' if where else ''}{where}]"
        return SpecError(f"{place}: expected {expected}, got {got!r}")

    def table(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(where, "a table", value)
        return value

    def take(self, table: Any, where: str, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
        """Return the entries of a table, each of its type; refuse unknown ones."""
        for key, value in self.table(table, where).items():
            if key not in kinds:
                raise self.fail(where, f"only the keys {', '.join(kinds)}", key)
            if not isinstance(value, kinds[key]):
                raise self.fail(f"{where}.{key}".lstrip("."), f"a {_name(kinds[key])}", value)
        return dict(table)

    def need(self, entries: Mapping[str, Any], where: str, *keys: str) -> None:
        """Refuse a table without these keys."""
        for key in keys:
            if key not in entries:
                raise self.fail(where, f"the key {key}", list(entries))

    def words(self, items: Iterable[Any], where: str) -> tuple[str, ...]:
        """Refuse what is not text."""
        words = tuple(items)
        for word in words:
            if not isinstance(word, str):
                raise self.fail(where, "only strings", word)
        return words

    def check_names(self, op: Operation) -> None:
        """Refuse sizes and attributes that are used and not defined, and defaults that are not allowed."""
        for where, items in (("inputs", op.inputs), ("outputs", op.outputs)):
            for name, item in items.items():
                for axis in item.shape:
                    if axis not in op.sizes:
                        raise self.fail(f"{where}.{name}", f"axes from {', '.join(op.sizes)}", axis)
        conditions: list[tuple[str, When]] = [(f"inputs.{name}", item.when) for name, item in op.inputs.items()]
        conditions += [("gates.variants", when) for when, _ in op.gate_variants]
        conditions += [("same_size", when) for when, _ in op.same_size]
        for where, blocks in (("equations", op.equations), ("gradient", op.gradient)):
            conditions += [(f"{where}.{number}", block.when) for number, block in enumerate(blocks, start=1)]
        for where, when in conditions:
            for name in when:
                if name not in op.attributes:
                    raise self.fail(f"{where}.when", f"attributes from {', '.join(op.attributes) or 'none'}", name)
        for name, attribute in op.attributes.items():
            default = attribute.default
            chosen = default if isinstance(default, tuple) else (default,)
            if not attribute.domain and not all(value in attribute.values for value in chosen):
                raise self.fail(f"attributes.{name}.default", f"one of {list(attribute.values)}", default)

    def operation(self, table: dict[str, Any]) -> Operation:
        entries = self.take(
            table, "",
            title=str, summary=str, sources=list, laws=list, sizes=dict, gates=dict, attributes=dict, inputs=dict,
            outputs=dict, same_size=list, equations=list, gradient=list, cost=dict, unrolls=dict, carries=dict,
        )  # fmt: skip
        self.need(
            entries, "", "title", "summary", "sources", "sizes", "inputs", "outputs", "equations", "gradient", "cost"
        )
        gates = self.take(entries.get("gates", {}), "gates", order=list, memory=str, variants=list)
        variants = [self.take(v, "gates.variants", when=dict, order=list) for v in gates.get("variants", [])]
        for variant in variants:
            self.need(variant, "gates.variants", "when", "order")
        same_size = [self.table(item, "same_size") for item in entries.get("same_size", [])]
        cost = self.take(entries["cost"], "cost", flops=str, elements=str)
        self.need(cost, "cost", "flops", "elements")
        self.words(entries["sizes"].values(), "sizes")
        return Operation(
            name=self.name,
            family=self.file.removesuffix(".toml"),
            title=entries["title"],
            summary=" ".join(entries["summary"].split()),
            sources=self.words(entries["sources"], "sources"),
            sizes=entries["sizes"],
            inputs={name: self.input(name, item) for name, item in entries["inputs"].items()},
            outputs={name: self.output(name, item) for name, item in entries["outputs"].items()},
            attributes={name: self.attribute(name, item) for name, item in entries.get("attributes", {}).items()},
            equations=tuple(self.blocks(entries["equations"], "equations")),
            gradient=tuple(self.blocks(entries["gradient"], "gradient")),
            gates=self.words(gates.get("order", ()), "gates.order"),
            gate_variants=tuple(
                (variant["when"], self.words(variant["order"], "gates.variants.order")) for variant in variants
            ),
            memory_gate=gates.get("memory", ""),
            same_size=tuple(
                (item.get("when", {}), {k: v for k, v in item.items() if k != "when"}) for item in same_size
            ),
            laws=self.words(entries.get("laws", ()), "laws"),
            carries=entries.get("carries", {}),
            cost=cost,
            unrolls=self.unrolls(entries["unrolls"]) if "unrolls" in entries else None,
        )

    def unrolls(self, item: Any) -> Unrolls:
        entries = self.take(item, "unrolls", cell=str, reads=dict, state=dict)
        self.need(entries, "unrolls", "cell", "reads", "state")
        return Unrolls(**entries)

    def input(self, name: str, item: Any) -> Input:
        entries = self.take(item, f"inputs.{name}", shape=str, about=str, optional=bool, when=dict)
        return Input(
            name,
            self.shape(entries, f"inputs.{name}"),
            entries.get("about", ""),
            optional=entries.get("optional", False),
            when=entries.get("when", {}),
        )

    def output(self, name: str, item: Any) -> Output:
        entries = self.take(item, f"outputs.{name}", shape=str, about=str)
        return Output(name, self.shape(entries, f"outputs.{name}"), entries.get("about", ""))

    def shape(self, entries: Mapping[str, Any], where: str) -> tuple[str, ...]:
        axes = tuple(entries.get("shape", "").split())
        if not axes or not all(axis.isidentifier() for axis in axes):
            raise self.fail(where, "a shape like 'B T D'", entries.get("shape"))
        return axes

    def attribute(self, name: str, item: Any) -> Attribute:
        where = f"attributes.{name}"
        entries = self.take(
            item, where,
            about=str, values=list, default=(str, bool, int, float, list), functions=list, domain=str,
        )  # fmt: skip
        self.need(entries, where, "default")
        if entries.get("domain", "positive") != "positive":
            raise self.fail(f"{where}.domain", "'positive'", entries["domain"])
        default = entries["default"]
        if isinstance(default, list):
            default = tuple(default)
        return Attribute(
            name,
            entries.get("about", ""),
            None if default == "none" else default,
            tuple(entries.get("values", ())),
            tuple(entries.get("functions", ())),
            entries.get("domain", ""),
        )

    def blocks(self, items: list[Any], where: str) -> Iterator[Block]:
        for number, item in enumerate(items, start=1):
            place = f"{self.file}: [[{self.name}.{where}]] {number}"
            entries = self.take(item, f"{where}.{number}", text=str, when=dict, each=str)
            self.need(entries, f"{where}.{number}", "text")
            yield Block(entries["text"], place, entries.get("when", {}), entries.get("each", ""))


def _name(kind: type | tuple[type, ...]) -> str:
    return " or ".join(k.__name__ for k in kind) if isinstance(kind, tuple) else kind.__name__
