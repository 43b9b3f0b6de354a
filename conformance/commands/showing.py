"""``rnnspec show``: one operation, so that whoever has never seen it learns it from the screen."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.commands.listing import operation_json
from rnnspec.conformance.run.files import write_json
from rnnspec.spec import CallError, Operation, check_attributes, operation, system
from rnnspec.spec.language import Equation
from rnnspec.spec.printing import equation_latex, equation_text


def show_operation(name: str, latex: bool, settings: tuple[str, ...], json_file: Path | None) -> None:
    """Print an operation under the given settings of its attributes, as text or with its equations in LaTeX."""
    op = operation(name)
    attributes = check_attributes(op, parse_settings(op, settings))
    chosen = system(op, attributes)
    console = Console()
    if latex:
        # Printed as it stands, to be pasted: no wrapping and no markup.
        for block in (chosen.forward, chosen.gradient):
            print("\\begin{align*}", " \\\\\n".join(map(equation_latex, block)), "\\end{align*}", sep="\n")
    else:
        _print(console, op, attributes, chosen.forward, chosen.gradient)
    if json_file:
        write_json(json_file, operation_json(op, attributes))


def parse_settings(op: Operation, settings: Iterable[str]) -> dict[str, Any]:
    """Read NAME=VALUE pairs; a value is a name, a number, true, false or none, several with commas between them."""
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise CallError(f"{op.name}: expected NAME=VALUE, got {setting!r}")
        parsed[name] = tuple(map(_value, text.split(","))) if "," in text else _value(text)
    return parsed


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _print(
    console: Console,
    op: Operation,
    attributes: Mapping[str, Any],
    forward: tuple[Equation, ...],
    gradient: tuple[Equation, ...],
) -> None:
    console.print(Text.assemble((op.name, "bold"), f": {op.title}"))
    console.print(Padding(op.summary, (0, 0, 1, 2)))
    gates = op.gates_for(attributes)
    sizes = {symbol: about for symbol, about in op.sizes.items() if symbol != "G" or gates}
    if gates:
        sizes["G"] = f"{len(gates)} gates, in this order on the leading axis: {', '.join(gates)}"
    _table(console, "Sizes", ("", ""), sizes.items())
    inputs = op.inputs_for(attributes).values()
    _table(
        console,
        "Inputs",
        ("", "shape", ""),
        ((i.name, _shape(i.shape), i.about + (" (optional)" if i.optional else "")) for i in inputs),
    )
    _table(console, "Outputs", ("", "shape", ""), ((o.name, _shape(o.shape), o.about) for o in op.outputs.values()))
    _attributes(console, op, attributes)
    where = " at every step t of one sequence, 0 <= t < n" if op.has_steps else ""
    _equations(console, f"Equations{where}", forward)
    _equations(console, "Gradient (dq is the derivative of the loss with respect to q)", gradient)
    if op.has_steps:
        console.print(
            Padding(
                "Sequences of a batch are independent. A step that lengths or mask take out is not there: the state "
                "passes it by, its output is 0, and what stands in it changes nothing.",
                (0, 0, 1, 2),
            )
        )
    _table(console, "Cost", ("", ""), op.cost.items())
    console.print(Text("Sources", "bold"))
    for source in op.sources:
        console.print(Padding(Text(source), (0, 0, 0, 2)))


def _table(console: Console, title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    lines = list(rows)
    if not lines:
        return
    console.print(Text(title, "bold"))
    table = Table(box=None, show_header=any(columns), header_style="dim", padding=(0, 2, 0, 2))
    for column in columns:
        table.add_column(column)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    console.print(table)
    console.print()


def _attributes(console: Console, op: Operation, attributes: Mapping[str, Any]) -> None:
    if not op.attributes:
        return
    console.print(Text("Attributes", "bold"))
    for attribute in op.attributes.values():
        value = attributes[attribute.name]
        here = ", ".join(value) if isinstance(value, tuple) else str(value)
        console.print(Padding(Text(f"{attribute.name} = {here}"), (0, 0, 0, 2)))
        console.print(Padding(Text(f"{attribute.about}. Expected {attribute.expected()}.", "dim"), (0, 0, 0, 6)))
    console.print()


def _equations(console: Console, title: str, equations: tuple[Equation, ...]) -> None:
    console.print(Text(title, "bold"))
    for equation in equations:
        console.print(Padding(Text(equation_text(equation)), (0, 0, 0, 2)))
    console.print()


def _shape(axes: tuple[str, ...]) -> str:
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
