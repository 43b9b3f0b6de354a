"""A fault in the terminal: twelve lines at most."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from textwrap import wrap
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from rnnspec.conformance.diagnosis.result import FaultResult

LINES: Final = 12
"""Lines that a fault may take."""

_NUMBERS: Final = 6
"""Numbers of an input that are shown."""

_TRACED: Final = 14
"""Quantities of a trace up to which it is shown."""

_ALIKE: Final = 0.7
"""Two suspects whose words are alike by more than this, of 1, tell a reader the same."""


def print_fault(console: Console, number: int, fault: FaultResult) -> None:
    """Print what a fault depends on, what the code computes, the smallest case, and the checks that found it.

    Lines are as wide as the terminal; what does not fit is cut, what matters least first. A repro's path is never cut.
    """
    heading = f"fault {number}: {fault.operation} in {', '.join(fault.dtypes)}, {fault.cause}"
    parts = [(heading, 0), *_parts(fault)]
    path = [f"  repro: {fault.repro}"] if fault.repro else []
    wrapped = [_wrapped(text, console.width) for text, _ in parts]
    room = LINES - len(parts) - sum(-(-len(line) // max(console.width, 1)) for line in path)
    shown = [1] * len(parts)
    for place in sorted(range(len(parts)), key=lambda place: parts[place][1]):
        more = max(0, min(len(wrapped[place]) - 1, room))
        shown[place] += more
        room -= more
    for place, lines in enumerate(wrapped):
        style = "" if place else "bold red"
        cut = len(lines) > shown[place]
        for at, line in enumerate(lines[: shown[place]]):
            ends = cut and at == shown[place] - 1
            console.print(Text(_ended(line, console.width) if ends else line, style), soft_wrap=True)
    for line in path:
        console.print(Text(line), soft_wrap=True)


def moved_in(message: str, width: int) -> Iterator[str]:
    """Yield the lines of a message, moved in, and further in where one goes on; no address is broken."""
    for line in message.split("\n"):
        further = line[: len(line) - len(line.lstrip())] + "    "
        yield from wrap(
            line, width, initial_indent="  ", subsequent_indent=further, break_long_words=False, break_on_hyphens=False
        ) or [""]


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a part: the heading stands at the margin, and all else and what goes on is moved in."""
    first = "" if text.startswith("fault ") else "  "
    inner = max(width - 6, 20)
    return wrap(text, inner + 4, initial_indent=first, subsequent_indent="    ", break_on_hyphens=False) or [first]


def _ended(line: str, width: int) -> str:
    return f"{line[: max(width - 2, 1)].rstrip()} …"


def _parts(fault: FaultResult) -> Iterator[tuple[str, int]]:
    """The paragraphs below the heading, each with its rank among those that may take more than one line."""
    if fault.suspects:
        first, others = fault.suspects[0], fault.suspects[1:]
        same = f"{len(others)} other{'s' * (len(others) > 1)}"
        yield f"behaves as if {first}" + (f" ({same} would give the same numbers)" if others else ""), 1
        if unlike := next((one for one in others if not _is_alike(one, first)), None):
            yield f"or as if {unlike}", 7
    if fault.call:
        yield f"in {fault.call}", 3
    if fault.inputs:
        yield ", ".join(f"{name} = {numbers_text(value)}" for name, value in fault.inputs.items()), 4
    first, *rest = fault.message.splitlines()[:3] or [""]
    yield first, 2
    yield from ((line.strip(), 6) for line in rest if line.strip() and line.strip() != f"in {fault.call}")
    if 0 < len(fault.trace) <= _TRACED:
        yield "equations: " + ", ".join(f"{quantity_text(one)} = {number_text(one['value'])}" for one in fault.trace), 5
    yield f"found by {', '.join(fault.checks)}", 8


def _is_alike(one: str, other: str) -> bool:
    return SequenceMatcher(None, one, other, False).ratio() > _ALIKE


def numbers_text(value: Any) -> str:
    """Format the first numbers of an input in one line."""
    flat = list(_flat(value))
    if not isinstance(value, list):
        return number_text(value)
    inside = ", ".join(map(number_text, flat[:_NUMBERS])) + (", …" if len(flat) > _NUMBERS else "")
    return f"[{inside}]"


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    else:
        yield value


def number_text(value: Any) -> str:
    """Format a number of a result; a list as `numbers_text` does."""
    if isinstance(value, list):
        return numbers_text(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower()


def quantity_text(one: Any) -> str:
    """Format the name of a trace's quantity with its index."""
    return f"{one['name']}[{', '.join(map(str, one['index']))}]" if one["index"] else str(one["name"])
