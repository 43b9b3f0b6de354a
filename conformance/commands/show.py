"""``rnnspec show``: one operation in full: shapes, attributes, equations, errors, cost, sources."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.commands.list import operation_json
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.implications import laws, refused
from rnnspec.conformance.report.operation import (
    ARRAY_TYPES,
    BATCHES,
    equations_of,
    of_what,
    shape_text,
    sizes_in_words,
    typeset,
)
from rnnspec.conformance.run.files import write_json
from rnnspec.spec import FLOAT_TYPES, CallError, Operation, check_attributes, operation, resolved, system
from rnnspec.spec.language import Equation
from rnnspec.spec.operation import Attribute, When, when_text
from rnnspec.spec.printing import equation_text, notation


def show_operation(name: str, latex: bool, settings: tuple[str, ...], json_file: Path | None) -> None:
    """Print an operation under the given settings of its attributes, as text or with its equations in LaTeX."""
    op = operation(name)
    attributes = check_attributes(op, parse_settings(op, settings))
    forward, gradient = equations_of(op, system(op, attributes))
    if latex:
        # Printed as it stands, to be pasted: no wrapping and no markup.
        print("\n".join(typeset(op, attributes, block) for block in (forward, gradient) if block))
    else:
        _print(open_console(), op, attributes, forward, gradient)
    if json_file:
        write_json(json_file, operation_json(op, attributes))


def parse_settings(op: Operation, settings: Iterable[str]) -> dict[str, Any]:
    """Read NAME=VALUE pairs; a value is a name, a number, true, false or none.

    Several have commas between them, with brackets and quotes around them as a default is shown or without.
    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise CallError(f"{op.name}: expected NAME=VALUE, got {setting!r}")
        if name in parsed:
            raise CallError(f"{op.name}: {name}: expected one value, got another: {setting!r}")
        words = op.attributes[name].values if name in op.attributes else ()
        text = text.strip()
        inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
        parsed[name] = (
            tuple(_value(one.strip(), words) for one in inner.split(",")) if "," in inner else _value(text, words)
        )
    return parsed


def _value(text: str, known: Collection[Any]) -> Any:
    if text in known:  # a word of the attribute's own, such as the merge "none"
        return text
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last two of brackets without end
        return text


def _print(
    console: Console,
    op: Operation,
    attributes: Mapping[str, Any],
    forward: tuple[Equation, ...],
    gradient: tuple[Equation, ...],
) -> None:
    whole = resolved(op, attributes)
    inputs, outputs = whole.inputs_for(attributes), whole.outputs_for(attributes)
    console.print(Text.assemble((op.name, "bold"), f": {op.title}"))
    _paragraph(console, op.summary)
    _table(console, "Sizes", ("", ""), sizes_in_words(whole, attributes))
    _table(
        console,
        "Inputs",
        ("", "shape", "type", ""),
        (
            (i.name, shape_text(i.shape), ARRAY_TYPES[i.kind], i.about + (" (optional)" if i.optional else ""))
            for i in inputs.values()
        ),
    )
    _table(
        console,
        "Outputs",
        ("", "shape", "type", ""),
        ((o.name, shape_text(o.shape), ARRAY_TYPES[o.kind], o.about) for o in outputs.values()),
    )
    _attributes(
        console, op, attributes, [name for name in (*op.inputs, *op.outputs) if name not in (*inputs, *outputs)]
    )
    _equations(console, f"Equations, {of_what(op)}", forward)
    _gradient(console, op, gradient)
    named = {
        f"W_{gate}": f"the part of W that belongs to gate {gate}; likewise for other gates and parameters"
        for gate in whole.gates_for(attributes)[:1]
    }
    _table(console, "Notation", ("", ""), {**named, **notation((*forward, *gradient))}.items())
    if op.has_steps:
        _paragraph(console, BATCHES.format(state=" the state passes it by," if op.unrolls or op.parts else ""))
    _table(console, "Laws that are checked", ("", ""), laws(op))
    console.print(Text("Errors: refused, with one message that says what was expected", "bold"))
    for line in refused(whole, attributes):
        console.print(Padding(Text(line), (0, 0, 0, 2)))
    console.print()
    bytes_each = ", ".join(f"{name} {format_of(name).dtype.itemsize}" for name in FLOAT_TYPES)
    _table(
        console,
        "Cost",
        ("", ""),
        (
            ("flops", op.cost["flops"]),
            ("elements", f"{op.cost['elements']} (numbers read and written once)"),
            ("bytes", f"elements times {bytes_each}"),
        ),
    )
    console.print(Text("Sources", "bold"))
    for source in op.sources:
        console.print(Padding(Text(source), (0, 0, 0, 2)))


def _gradient(console: Console, op: Operation, gradient: tuple[Equation, ...]) -> None:
    if gradient and op.differentiable:
        title = "Gradient, in vector-Jacobian form: dq is the derivative of the loss with respect to q"
        _equations(console, title, gradient)
    elif gradient:
        _equations(console, "Derivatives that these equations use, of one step by what it starts from", gradient)
    elif op.differentiable:
        _paragraph(console, "The gradient has no equations of its own: it is the derivative of the equations above.")
    else:
        _paragraph(console, "It has no gradient.")


def _paragraph(console: Console, text: str) -> None:
    console.print(Padding(Text(" ".join(text.split())), (0, 0, 1, 2)))


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


def _attributes(console: Console, op: Operation, attributes: Mapping[str, Any], elsewhere: list[str]) -> None:
    if not op.attributes:
        return
    meant = op.attributes_for(attributes)
    console.print(Text("Attributes, as they are set here (--set NAME=VALUE); the equations have their values", "bold"))
    for attribute in meant.values():
        value = attributes[attribute.name]
        here = ", ".join(value) if isinstance(value, tuple) else str(value)
        console.print(Padding(Text(f"{attribute.name} = {here}"), (0, 0, 0, 2)))
        tried = f" Tried: {attribute.tried()}." if attribute.range else ""
        console.print(Padding(Text(f"{attribute.about}. Expected {attribute.expected()}.{tried}", "dim"), (0, 0, 0, 6)))
    others = [_elsewhere(attribute) for name, attribute in op.attributes.items() if name not in meant]
    others += [f"{name} ({when_text(when)})" for name in elsewhere if (when := _condition(op, name))]
    if others:
        console.print(Padding(Text(f"With other settings also: {', '.join(others)}."), (0, 0, 0, 2)))
    console.print()


def _elsewhere(attribute: Attribute) -> str:
    return f"{attribute.name} ({when_text(attribute.when)})"


def _condition(op: Operation, name: str) -> When:
    return op.inputs[name].when if name in op.inputs else op.outputs[name].when


def _equations(console: Console, title: str, equations: tuple[Equation, ...]) -> None:
    console.print(Text(title, "bold"))
    for equation in equations:
        console.print(Padding(Text(equation_text(equation)), (0, 0, 0, 2)))
    console.print()
