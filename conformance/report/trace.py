"""The call of a trace, drawn at random, and its quantities as text and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.text import Text

from rnnspec.conformance.cases import Case
from rnnspec.conformance.run.again import numbers_in
from rnnspec.conformance.run.plan import PlanError
from rnnspec.spec import Operation
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.printing import equation_text
from rnnspec.spec.tracing import Quantity, plain

_MOST_NUMBERS: Final = 10**6
"""Numbers of a drawn call: literal equations take seconds for that many, and nobody reads more."""
_WIDE: Final = 24
"""Characters up to which columns are aligned."""


def drawn(
    op: Operation, attributes: Mapping[str, Any], sizes: Mapping[str, int], seed: int
) -> tuple[NamedArrays, tuple[Array, ...]]:
    """Draw a call's numbers and its cotangents at random; sizes that are not given are as small as can be.

    Raises
    ------
    PlanError
        If the operation has no such size, it is below 0, or the call would have more numbers than can be traced.
    """
    symbols = drawn_sizes(op)
    for symbol, size in sizes.items():
        if symbol not in symbols or size < 0:
            raise PlanError(f"size {symbol} = {size}: expected a number from 0 on for one of {', '.join(symbols)}")
    case = Case(op.name, "float64", {**dict.fromkeys(symbols, 1), **sizes}, attributes, seed=seed)
    case = case.with_at_least(**case.spec.at_least)
    for symbol, size in sizes.items():
        if symbol in case.lengths_of and case.lengths_of[symbol] != size:
            raise PlanError(f"size {symbol} = {size}: expected {case.lengths_of[symbol]}, as the other sizes give")
    if (numbers := numbers_in(case)) > _MOST_NUMBERS:
        raise PlanError(f"sizes: expected at most {_MOST_NUMBERS:,} numbers in inputs and outputs, got {numbers:,}")
    return dict(case.given.inputs), case.given_cotangents


def drawn_sizes(op: Operation) -> list[str]:
    """Return the sizes that a drawn call may be given."""
    others = {symbol for when, pairs in op.same_size if not when for symbol in pairs}
    return [symbol for symbol in op.sizes if symbol not in ("G", "n") and symbol not in others]


def to_json(
    op: Operation, attributes: dict[str, Any], inputs: NamedArrays, found: Sequence[Quantity]
) -> dict[str, Any]:
    """The call and its quantities as plain data; numbers that are not finite are names."""
    return {
        "operation": op.name,
        "attributes": attributes,
        "inputs": {name: plain(array) for name, array in inputs.items()},
        "quantities": [one.to_json() for one in found],
    }


def print_trace(console: Console, op: Operation, inputs: NamedArrays, found: Sequence[Quantity]) -> None:
    """Print a call's inputs and quantities, each with its equation."""
    console.print(Text.assemble((op.name, "bold"), f": {op.title}"))
    for name, array in inputs.items():
        console.print(Text(f"  {name} = {value_text(array)}"), soft_wrap=True)
    console.print()
    names, values = [str(one) for one in found], [value_text(one.value) for one in found]
    wide, long = (min(max(map(len, texts), default=0), _WIDE) for texts in (names, values))
    for one, name, value in zip(found, names, values, strict=True):
        console.print(Text(f"{name:{wide}} = {value:{long}}  {equation_text(one.equation)}"), soft_wrap=True)


def value_text(value: Any) -> str:
    """Format a number or an array in one line."""
    array = np.asarray(value)
    if array.size == 1:
        return f"{array.item():.9g}"
    return np.array2string(array, precision=6, separator=", ", threshold=64).replace("\n", " ")
