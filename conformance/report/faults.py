"""A fault in the terminal: twelve lines at most."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import shorten
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from rnnspec.conformance.diagnosis.result import FaultResult

LINES: Final = 12
"""Lines that a fault may take."""

_SUSPECTS: Final = 2
_NUMBERS: Final = 6
"""Numbers of an input that are shown."""

_TRACED: Final = 14
"""Quantities of a trace up to which it is shown."""

_WIDTH: Final = 240


def print_fault(console: Console, number: int, fault: FaultResult) -> None:
    """Print what a fault depends on, what the code computes, the smallest case, and the checks that found it."""
    heading = f"fault {number}: {fault.operation} in {', '.join(fault.dtypes)}, {fault.cause}"
    console.print(Text(heading, "bold red"), soft_wrap=True)
    for line in _lines(fault):
        console.print(Text(f"  {line}"), soft_wrap=True)


def _lines(fault: FaultResult) -> Iterator[str]:
    for suspect in fault.suspects[:1]:
        yield f"behaves as if {suspect}"
    if len(fault.suspects) > 1:
        others = "; or as if ".join(fault.suspects[1:_SUSPECTS])
        more = f" (and {len(fault.suspects) - _SUSPECTS} more)" if len(fault.suspects) > _SUSPECTS else ""
        yield shorten(f"or as if {others}{more}", _WIDTH, placeholder=" …")
    if fault.call:
        yield f"in {fault.call}"
    if fault.inputs:
        shown = ", ".join(f"{name} = {_numbers(value)}" for name, value in fault.inputs.items())
        yield shorten(shown, _WIDTH, placeholder=" …")
    yield from (shorten(line, _WIDTH, placeholder=" …") for line in fault.message.splitlines()[:3])
    if 0 < len(fault.trace) <= _TRACED:
        yield "equations: " + ", ".join(f"{_quantity(one)} = {_number(one['value'])}" for one in fault.trace)
    yield f"found by {', '.join(fault.checks)}"
    if fault.repro:
        yield f"repro: {fault.repro}"


def _numbers(value: Any) -> str:
    flat = list(_flat(value))
    if not isinstance(value, list):
        return _number(value)
    inside = ", ".join(map(_number, flat[:_NUMBERS])) + (", …" if len(flat) > _NUMBERS else "")
    return f"[{inside}]"


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    else:
        yield value


def _number(value: Any) -> str:
    if isinstance(value, list):
        return _numbers(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower()


def _quantity(one: Any) -> str:
    return f"{one['name']}[{', '.join(map(str, one['index']))}]" if one["index"] else str(one["name"])
