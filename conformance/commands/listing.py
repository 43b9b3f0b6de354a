"""``rnnspec list``: the operations of the specification and the installed backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.backends import available
from rnnspec.conformance.commands.explaining import cost
from rnnspec.conformance.run.files import write_json
from rnnspec.spec import Operation, operations, system
from rnnspec.spec.printing import equation_text


def list_everything(json_file: Path | None) -> None:
    """Print both tables, and write them as JSON if asked to."""
    backends = available()
    console = Console()
    table = Table(title="Operations", title_justify="left", header_style="bold")
    for column in ("operation", "family", "what it is", "attributes"):
        table.add_column(column)
    for op in operations().values():
        table.add_row(op.name, op.family, op.title, ", ".join(op.attributes))
    console.print(table)
    table = Table(title="Backends", title_justify="left", header_style="bold")
    for column in ("backend", "available", "operations"):
        table.add_column(column)
    for backend in backends:
        table.add_row(backend.name, Text("yes" if backend.available else backend.reason), ", ".join(backend.operations))
    console.print(table)
    if json_file:
        write_json(
            json_file,
            {
                "operations": [operation_json(op) for op in operations().values()],
                "backends": [
                    {
                        "name": backend.name,
                        "available": backend.available,
                        "reason": backend.reason,
                        "operations": list(backend.operations),
                    }
                    for backend in backends
                ],
            },
        )


def operation_json(op: Operation, attributes: dict[str, Any] | None = None) -> dict[str, Any]:
    """An operation as plain data, its equations for the given attributes (the defaults)."""
    chosen = system(op, attributes or op.defaults())
    return {
        "name": op.name,
        "family": op.family,
        "title": op.title,
        "summary": op.summary,
        "sources": list(op.sources),
        "sizes": dict(op.sizes),
        "inputs": [
            {
                "name": item.name,
                "shape": list(item.shape),
                "kind": item.kind,
                "optional": item.optional,
                "when": dict(item.when),
                "about": item.about,
            }
            for item in op.inputs.values()
        ],
        "outputs": [
            {"name": output.name, "shape": list(output.shape), "about": output.about} for output in op.outputs.values()
        ],
        "attributes": [
            {
                "name": attribute.name,
                "values": list(attribute.values),
                "functions": list(attribute.functions),
                "domain": attribute.domain,
                "default": attribute.default,
                "about": attribute.about,
            }
            for attribute in op.attributes.values()
        ],
        "equations": [equation_text(equation) for equation in chosen.forward],
        "gradient_equations": [equation_text(equation) for equation in chosen.gradient],
        "laws": list(op.laws),
        "cost": cost(op),
    }
