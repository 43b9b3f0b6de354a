"""Specification of one operation as immutable data, which `rnnspec.spec.loading` reads from TOML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar

from rnnspec.spec.activations import ACTIVATIONS, is_activation
from rnnspec.spec.language import before, parse_size, size_of

When = Mapping[str, Any]
End = int | float | str
"""An end of a range: a number, or an expression in sizes."""

Axes = tuple[str, ...]
"""Symbols of sizes, and whole numbers as text; ``B`` is the first axis of arrays with a part for each sequence."""

Settings = tuple[tuple[str, type, Any], ...]
"""Attributes as a key: names, types and values. Types tell 1, 1.0 and True apart, which are equal."""

Kind = Literal["float", "lengths", "mask", "ids", "bits"]
DOMAINS = {
    "positive": "a positive number",
    "nonnegative": "a number that is not negative",
    "probability": "a number from 0 to below 1",
    "count": "a whole number, at least 1",
    "index": "a whole number, at least 0",
}
"""Domains of numeric attributes, in words."""
RANGED = {
    "probability": "a probability, 0 .. 1",
    "square": "a number that is not negative",
    "mean": "a mean, whose square is at most that of the squares",
}
"""Domains of float inputs in which not every number is legal, in words."""

WHOLE = ("count", "index")
"""The domains of whole numbers."""


def lies_in(domain: str, value: Any) -> bool:
    """Return whether a numeric attribute of this domain may have a value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        return False
    match domain:
        case "positive":
            return value > 0
        case "nonnegative":
            return value >= 0
        case "probability":
            return 0 <= value < 1
        case "count":
            return isinstance(value, int) and value >= 1
    return isinstance(value, int) and value >= 0


@dataclass(frozen=True)
class Input:
    """An input: its symbolic shape, batch first, and the condition under which a call has it."""

    name: str
    shape: Axes
    about: str
    kind: Kind = "float"
    optional: bool = False
    when: When = field(default_factory=dict)
    shapes: tuple[tuple[When, Axes], ...] = ()
    """Other shapes, with the attributes under which they apply."""

    below: str = ""
    """Size that bounds ids from above, exclusively."""

    domain: str = ""
    """Domain of floats: one of `RANGED`, or ``forbidding`` if minus infinity is legal."""

    rows: tuple[str, ...] = ()
    """Names of the entries of an axis, like those of gates: ``P_i`` is the row ``i`` of P. A gate that a call has not
    has no row either."""

    @property
    def per_sequence(self) -> bool:
        """Whether each sequence has its own; otherwise it is a parameter that all share."""
        return self.shape[:1] == ("B",)


@dataclass(frozen=True)
class Output:
    """An output and its symbolic shape, batch first."""

    name: str
    shape: Axes
    about: str
    kind: Kind = "float"
    when: When = field(default_factory=dict)
    shapes: tuple[tuple[When, Axes], ...] = ()
    impossible: float = -math.inf
    """The infinity that is a result of its own, as the score of a forbidden path is; any other is an overflow."""


@dataclass(frozen=True)
class Attribute:
    """A choice among `values`; with `functions`, a choice for each function named there.

    With a `domain` (see `DOMAINS`), it is a number. Tests try numbers in the `range`, and those in `usual`, to which
    implementations are fixed. None is allowed if it is the default. With `size`, the number is the size of that name.
    """

    name: str
    about: str
    default: Any
    values: tuple[Any, ...] = ()
    functions: tuple[str, ...] = ()
    others: bool = False
    """Whether a function may be any of `rnnspec.spec.activations`, beside `values`, the usual ones."""

    domain: str = ""
    range: tuple[End, ...] = ()
    usual: tuple[int | float, ...] = ()
    size: str = ""
    when: When = field(default_factory=dict)

    def allows(self, value: Any) -> bool:
        """Return whether a value of an attribute without a domain, or an entry of a tuple, is allowed."""
        listed = any(type(value) is type(allowed) and value == allowed for allowed in self.values)
        return listed or (self.others and is_activation(value))

    @property
    def is_tuple(self) -> bool:
        """Whether a value is a tuple with an entry for each function."""
        return len(self.functions) > 1

    def ends(self, sizes: Mapping[str, int]) -> tuple[Any, Any]:
        """Return the least and the greatest number to try at these sizes; the least twice if they leave no range."""
        low, high = (_end(end, sizes) for end in self.range)
        return low, max(low, high)

    @property
    def a_number(self) -> int | float:
        """A number for an attribute that must only be a number."""
        return 1 if self.domain in WHOLE else 0.5

    def tried(self) -> str:
        """Return the numbers to try, in words; empty if the attribute is not numeric."""
        if not self.range:
            return ""
        low, high = self.range
        return f"{low} .. {high}" + "".join(f" or {number}" for number in self.usual)

    def expected(self) -> str:
        """Return the allowed values, in words, for error messages."""
        if self.domain:
            return DOMAINS[self.domain] + (" or None" if self.default is None else "")
        allowed = ", ".join(repr(value) for value in self.values)
        if self.others:
            names = ", ".join(repr(name) for name in ACTIVATIONS if name not in self.values)
            allowed += f", {names}, with numbers as in 'leaky_relu:0.2'"
        if self.is_tuple:
            return f"a tuple of {len(self.functions)}, for {', '.join(self.functions)}, each one of {allowed}"
        return f"one of {allowed}"


@dataclass(frozen=True)
class Block:
    """Lines of equations that hold `when` the attributes have these values.

    If `each` is a letter, the block is repeated with every gate in its place. If it is ``STATE``, the block is repeated
    for every state of the operation's parts; if it is ``MEMORY``, for every state but the first.
    """

    text: str
    place: str
    when: When = field(default_factory=dict)
    each: str = ""


@dataclass(frozen=True)
class Part:
    """An operation that another is built of: all its equations hold in the other, with further indices.

    `operation` names it, or the attribute that chooses it. Every quantity of it has the `index` letters before its own
    indices; they run `over` these sizes. All places have ``shared`` parameters, or each place has its ``own``. `reads`
    renames quantities, `sizes` renames sizes, and `prefix` precedes all other names. `fixed` has values of attributes.
    With `states`, its initial states are inputs of the other; with `gives`, its outputs are outputs of the other.
    `differs` has an index and the attribute that names the functions at its last place, 1, but for those of gates.
    """

    operation: str
    index: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    parameters: Literal["shared", "own"] = "shared"
    reads: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    differs: Mapping[str, str] = field(default_factory=dict)
    states: bool = True
    gives: bool = True
    step: bool = False
    """Whether the part is one step of the chosen layer: the cell that it unrolls."""

    choices: Mapping[str, Operation] = field(default_factory=dict)
    """Operations by the chosen value, or one under its own name."""

    def chosen(self, attributes: Mapping[str, Any]) -> Operation:
        """Return the operation that these attributes choose."""
        return self.choices[attributes.get(self.operation, self.operation)]

    def given(self, chosen: Operation, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes of the chosen operation, complete, from those of the operation that it is a part of."""
        return {name: attributes.get(name, item.default) for name, item in chosen.attributes.items()} | dict(self.fixed)


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of the specification.

    It equals only itself and is a key, so that results for an operation and attributes are computed once.
    """

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
    at_least: Mapping[str, int]
    """Smallest legal values of sizes, if they differ from 1."""

    laws: tuple[str, ...]
    cost: Mapping[str, str]
    over_batch: bool = False
    """Whether the equations are those of the whole batch, and not of one sequence."""

    differentiable: bool = True
    padding_label: tuple[str, str, When] | None = None
    """Input with a label of its own at padded steps, the size that the label equals, and the condition."""

    unrolls: str = ""
    """The cell that this layer unrolls."""

    carries: Mapping[str, str] = field(default_factory=dict)
    """Initial states of a layer, each with the output that takes its place when the sequence continues."""

    parts: tuple[Part, ...] = ()

    changes: tuple[Block, ...] = ()
    """Equations that replace those with the same left side, to show the effect of a change."""

    @property
    def has_steps(self) -> bool:
        """Whether it runs over sequences, and so accepts lengths or a mask."""
        return "lengths" in self.inputs

    @property
    def parameters(self) -> tuple[str, ...]:
        """The inputs that all sequences of a batch share."""
        return tuple(name for name, item in self.inputs.items() if not item.per_sequence)

    @property
    def states(self) -> tuple[str, ...]:
        """A cell's states, which are those outputs that it takes from the step before."""
        return tuple(name for name in self.outputs if before(name) in self.inputs)

    def defaults(self) -> dict[str, Any]:
        """Return every attribute at its default."""
        return {name: attribute.default for name, attribute in self.attributes.items()}

    def gates_for(self, attributes: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the gates on the leading axis of W, R and b."""
        return next((order for when, order in self.gate_variants if holds(when, attributes)), self.gates)

    def inputs_for(self, attributes: Mapping[str, Any]) -> dict[str, Input]:
        """Return all inputs of a call with these attributes, including optional ones, each with its shape."""
        return dict(_inputs_for(self, settings_of(attributes)))

    def outputs_for(self, attributes: Mapping[str, Any]) -> dict[str, Output]:
        """Return all outputs of a call with these attributes, each with its shape."""
        return dict(_outputs_for(self, settings_of(attributes)))

    def attributes_for(self, attributes: Mapping[str, Any]) -> dict[str, Attribute]:
        """Return the attributes that have a meaning under the given ones."""
        return {name: item for name, item in self.attributes.items() if holds(item.when, attributes)}

    def same_sizes_for(self, attributes: Mapping[str, Any]) -> dict[str, str]:
        """Return the sizes that follow from others under these attributes, each as an expression of them."""
        return dict(_same_sizes_for(self, settings_of(attributes)))


def _end(end: End, sizes: Mapping[str, int]) -> int | float:
    return size_of(parse_size(end, f"the end {end!r} of a range"), sizes) if isinstance(end, str) else end


def settings_of(attributes: Mapping[str, Any]) -> Settings:
    """Return attributes as a key; a list becomes the tuple that it stands for."""
    return tuple(
        (name, type(value), tuple(value) if isinstance(value, list) else value) for name, value in attributes.items()
    )


def attributes_of(settings: Settings) -> dict[str, Any]:
    """Return the attributes of a key."""
    return {name: value for name, _, value in settings}


@lru_cache(maxsize=4096)
def _inputs_for(op: Operation, settings: Settings) -> dict[str, Input]:
    attributes = attributes_of(settings)
    absent = set(op.gates) - set(op.gates_for(attributes))
    there = _there(op.inputs, attributes)
    return {k: replace(item, rows=tuple(row for row in item.rows if row not in absent)) for k, item in there.items()}


@lru_cache(maxsize=4096)
def _outputs_for(op: Operation, settings: Settings) -> dict[str, Output]:
    return _there(op.outputs, attributes_of(settings))


Item = TypeVar("Item", Input, Output)


def _there(items: Mapping[str, Item], attributes: Mapping[str, Any]) -> dict[str, Item]:
    """The inputs or outputs that there are, in their shapes."""

    def shape(item: Item) -> Axes:
        return next((shape for when, shape in item.shapes if holds(when, attributes)), item.shape)

    there = ((name, item) for name, item in items.items() if holds(item.when, attributes))
    return {name: replace(item, shape=shape(item), shapes=()) for name, item in there}


@lru_cache(maxsize=4096)
def _same_sizes_for(op: Operation, settings: Settings) -> dict[str, str]:
    attributes = attributes_of(settings)
    return {a: b for when, pairs in op.same_size if holds(when, attributes) for a, b in pairs.items()}


GATE: Final = "gate"
"""The name of the function of gates, among those that an attribute chooses."""

SAME: Final = "same"
"""The value of an attribute that chooses a function anew, for which it stays as it is."""


def with_function(op: Operation, attributes: Mapping[str, Any], function: str) -> dict[str, Any]:
    """Return an operation's attributes with this function in place of each but its gates'; as they are if "same"."""
    changed = dict(attributes)
    for name, item in op.attributes.items() if function != SAME else ():
        if item.functions and name in attributes:
            values = attributes[name] if item.is_tuple else (attributes[name],)
            chosen = tuple(value if of == GATE else function for of, value in zip(item.functions, values, strict=True))
            changed[name] = chosen if item.is_tuple else chosen[0]
    return changed


def when_text(when: When) -> str:
    """Return a condition in words, as ``layer = lstm or gru``."""
    return ", ".join(
        f"{name} = {' or '.join(map(str, values)) if isinstance(values, list | tuple) else values}"
        for name, values in when.items()
    )


def holds(when: When, attributes: Mapping[str, Any]) -> bool:
    """Return whether the attributes have the values of `when`, or one of them if it lists several.

    ``none`` and ``number`` stand for None and any number.
    """

    def matches(wanted: Any, value: Any) -> bool:
        if isinstance(wanted, list | tuple):
            return any(matches(one, value) for one in wanted)
        if wanted == "none":
            return value is None or value == "none"
        if wanted == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        return bool(wanted == value) and isinstance(wanted, bool) == isinstance(value, bool)

    return all(matches(wanted, attributes[name]) for name, wanted in when.items())
