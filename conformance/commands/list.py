"""``rnnspec list``: the operations of the specification and the installed backends."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from rnnspec.backends.discovery import offered
from rnnspec.backends.words import name_of
from rnnspec.conformance.cases.regimes import OF_THEIR_OWN, REGIMES
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.commands.show_model import model_json
from rnnspec.conformance.commands.tables import titled
from rnnspec.conformance.hosting.available import SECONDS, Available, available
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.implications import cost
from rnnspec.conformance.run.files import write_json
from rnnspec.spec import Operation, operations, system
from rnnspec.spec.models import models
from rnnspec.spec.printing import equation_text


def list_everything(
    json_file: Path | None, checks: bool = False, seconds: float = SECONDS, regimes: bool = False
) -> None:
    """Print the operations and backends, or the checks and the regimes, and write them all as JSON if asked to.

    Each backend is tried for so many seconds.
    """
    found = offered()
    others = [_checks()] * checks + [_regimes()] * regimes
    backends = available(seconds, found) if json_file or not others else []
    console = open_console()
    for table in others or (_operations(), _models(), _backends(backends)):
        console.print(table)
    if not others:
        for note in found.notes():
            console.print(Text(note, "yellow"), soft_wrap=True)
    if json_file:
        write_json(
            json_file,
            {
                "operations": [operation_json(op) for op in operations().values()],
                "models": [model_json(found) for found in models().values()],
                "backends": [_fields(one, "name", "available", "reason", "operations") for one in backends],
                "checks": [
                    {**_fields(check, "id", "level", "about", "why"), "operations": check.operations()}
                    for check in CHECKS
                ],
                "regimes": [_fields(regime, "name", "about") for regime in REGIMES.values()],
            },
        )


def _operations() -> Table:
    longest = max(len(f"{name},") for op in operations().values() for name in op.attributes)
    table = titled("Operations", ["operation", "what it is", "attributes"], least={"attributes": longest})
    for family, of_it in groupby(operations().values(), lambda op: op.family):
        table.add_row(Text(f"family {family}", "dim"))
        for op in of_it:
            table.add_row(op.name, op.title, ", ".join(op.attributes))
    return table


def _regimes() -> Table:
    table = titled("Regimes: the kinds of numbers in a call", ["regime", "numbers", "of operations"])
    for regime in REGIMES.values():
        of_it = [op.name for op in operations().values() if regime.of(op)]
        told = "a few calls of their own" if regime.name in OF_THEIR_OWN else str(len(of_it))
        table.add_row(regime.name, regime.about, "all" if len(of_it) == len(operations()) else told)
    return table


def _models() -> Table:
    table = titled("Models", ["model", "what it is", "stages"])
    for found in models().values():
        table.add_row(found.name, found.title, ", ".join(stage.operation.name for stage in found.stages))
    return table


def _backends(backends: list[Available]) -> Table:
    table = titled("Backends", ["backend", "available", "operations"])
    for backend in backends:
        missing = [name for name in operations() if name not in backend.operations]
        has = f"all {len(operations())}" if not missing else ", ".join(backend.operations)
        table.add_row(name_of(backend.name), Text("yes" if backend.available else backend.reason), has)
    return table


def _checks() -> Table:
    table = titled("Checks", ["check", "level", "what is asked, and what for", "of operations"])
    for check in CHECKS:
        asked = len(check.operations())
        table.add_row(check.id, check.level, check.sentence(), "all" if asked == len(operations()) else str(asked))
    return table


def operation_json(op: Operation, attributes: dict[str, Any] | None = None) -> dict[str, Any]:
    """An operation as plain data, its equations for the given attributes (the defaults)."""
    chosen = system(op, attributes or op.defaults())
    of_input = ("name", "shape", "kind", "optional", "when", "about")
    of_attribute = ("name", "values", "functions", "domain", "range", "usual", "default", "about")
    return {
        **_fields(op, "name", "family", "title", "summary", "sources", "sizes"),
        "inputs": [_fields(item, *of_input) for item in op.inputs.values()],
        "outputs": [_fields(output, "name", "shape", "about") for output in op.outputs.values()],
        "attributes": [_fields(attribute, *of_attribute) for attribute in op.attributes.values()],
        "equations": [equation_text(equation) for equation in chosen.forward],
        "gradient_equations": [equation_text(equation) for equation in chosen.gradient],
        "laws": op.laws,
        "cost": cost(op),
    }


def _fields(item: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(item, name) for name in names}
