"""The implications of an operation's table in the specification, in words: refusals, costs and laws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.checks.identities import IDENTITIES
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec import FLOAT_TYPES, Operation
from rnnspec.spec.operation import holds


def refused(op: Operation, attributes: Mapping[str, Any]) -> Iterator[str]:
    """Everything that bad input to an operation under these attributes can be; `op` has the parts that they choose."""
    inputs = op.inputs_for(attributes)
    same = op.same_sizes_for(attributes)
    shapes = [item.shape for item in inputs.values()] + [item.shape for item in op.outputs_for(attributes).values()]
    used = {axis for shape in shapes for axis in shape}
    needed = [name for name, item in inputs.items() if not item.optional]
    yield f"{_list(needed)} left out, or an input that is not listed here"
    yield "an array with another number of axes, or whose sizes do not fit: a symbol is one size wherever it stands"
    for symbol, expression in same.items():
        if symbol in used:
            yield f"{symbol} other than {expression}"
    free = {symbol: op.at_least.get(symbol, 1) for symbol in op.sizes if symbol in used - {"B", "T", "G", *same}}
    for least in sorted(set(free.values()) - {0}):
        yield f"{_list([symbol for symbol, size in free.items() if size == least])} below {least}"
    if any(item.kind == "float" for item in inputs.values()):
        yield f"floats in a type other than {_list(FLOAT_TYPES, 'or')}, or in different types"
    for name, item in inputs.items():
        if item.kind in ("ids", "lengths"):
            yield f"{name} in a type other than int64"
        if item.kind in ("bits", "mask"):
            yield f"{name} in a type other than bool"
        if item.kind == "ids":
            label = (
                op.padding_label is not None and op.padding_label[0] == name and holds(op.padding_label[2], attributes)
            )
            above = f" or {'above' if label else 'not below'} {item.below}" if item.below else ""
            yield f"an entry of {name} below 0{above}" + (f" ({item.below} itself marks padding)" if label else "")
        if item.domain == "probability":
            yield f"an entry of {name} below 0 or above 1, or NaN"
        if item.domain == "square":
            yield f"an entry of {name} below 0"
    if op.has_steps:
        yield "a length below 0 or above T; lengths and mask both"
    if op.attributes:
        yield "an attribute that is not listed here, or a value other than those listed"
    if any(attribute.when for attribute in op.attributes.values()):
        yield "an attribute that has no meaning beside the others, unless it is at its default"


def cost(op: Operation) -> dict[str, Any]:
    """Floating-point operations, numbers read and written, and their bytes in each type: expressions in the sizes."""
    sizes = {name: format_of(name).dtype.itemsize for name in FLOAT_TYPES}
    return {**op.cost, "bytes": {name: f"{size} * ({op.cost['elements']})" for name, size in sizes.items()}}


def laws(op: Operation) -> Iterator[tuple[str, str]]:
    """Names of the checks of an operation's laws, each with what it says, and its identities with other operations."""
    yield from ((check.id, check.about) for check in CHECKS if check.law and check.law in op.laws)
    yield from (("identities", identity.about) for identity in IDENTITIES if identity.operation == op.name)


def _list(names: Any, word: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else str(last)
