"""``rnnspec sharpness``: the smallest errors that the suite sees, beside what fixed tolerances would see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rnnspec.conformance.hosting.jobs import each
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.sharpness.measuring import PARTS, Sharpness, applies, error_text, measure
from rnnspec.conformance.sharpness.tolerances import COMPUTED, TOLERANCES
from rnnspec.spec import FLOAT_TYPES, operation, operations


@dataclass(frozen=True)
class Request:
    """What is to be measured; none chosen: all."""

    operations: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    runs: int = 20
    jobs: int = 1


def measure_sharpness(request: Request, json_file: Path | None) -> int:
    """Measure, print the tables, and write them to a file; 1 if the suite rejected a right result."""
    console = Console()
    items = _items(request)
    measured: list[Sharpness] = []
    with bar(console) as progress:
        task = progress.add_task(" ".join(items[0]), total=len(items))
        for sharpness in each(partial(_measure, runs=request.runs), items, request.jobs):
            measured.append(sharpness)
            done = len(measured)
            progress.update(task, advance=1, description=" ".join(items[min(done, len(items) - 1)]))
            if not console.is_terminal:
                console.print(_line(sharpness), soft_wrap=True)
    if console.is_terminal:
        for part in PARTS:
            for dtype in FLOAT_TYPES[::-1]:
                rows = [one for one in measured if (one.part, one.dtype) == (part, dtype)]
                if rows:
                    console.print(_table(f"{part}, {dtype}", rows))
    if json_file:
        write_json(json_file, to_json(measured, request.runs))
    rejected = sum(one.rejected[COMPUTED.name] for one in measured)
    console.print(f"the suite rejected {rejected} of {sum(one.right for one in measured)} right results")
    return int(rejected > 0)


def to_json(measured: Sequence[Sharpness], runs: int) -> dict[str, Any]:
    """What was measured, as plain data."""
    return {
        "profile": "quick",
        "runs": runs,
        "versions": {"numpy": np.__version__},
        "tolerances": [tolerance.name for tolerance in TOLERANCES],
        "measured": [one.to_json() for one in measured],
    }


def _items(request: Request) -> list[tuple[str, str, str]]:
    """What is measured: operation, type and part."""
    for name in request.operations:
        operation(name)
    for dtype in request.dtypes:
        if dtype not in FLOAT_TYPES:
            raise PlanError(f"unknown dtype {dtype!r}: expected one of {', '.join(FLOAT_TYPES)}")
    items = [
        (name, dtype, part)
        for part in request.parts or PARTS
        for dtype in FLOAT_TYPES[::-1]
        if dtype in (request.dtypes or FLOAT_TYPES)
        for name in operations()
        if name in (request.operations or operations()) and applies(name, part)
    ]
    if not items:
        named = ", ".join(request.operations)
        raise PlanError(f"nothing to measure: expected an operation with gradients, got {named}")
    return items


def _measure(item: tuple[str, str, str], runs: int) -> Sharpness:
    return measure(*item, runs)


def _line(sharpness: Sharpness) -> str:
    title = f"{sharpness.operation} {sharpness.dtype} {sharpness.part}"
    if not sharpness.runs:
        return f"{title}: no number is computed"
    seen = (
        f"{tolerance.name} {error_text(sharpness.smallest(tolerance.name))} ({sharpness.rejected[tolerance.name]})"
        for tolerance in TOLERANCES
    )
    return f"{title}: smallest error seen (right results rejected, of {sharpness.right}): {', '.join(seen)}"


def _table(title: str, rows: Sequence[Sharpness]) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("operation")
    for tolerance in TOLERANCES:
        table.add_column(f"{tolerance.name} sees", justify="right")
    for tolerance in TOLERANCES:
        table.add_column(f"{tolerance.name} rejects right", justify="right")
    for row in rows:
        seen = (error_text(row.smallest(tolerance.name)) if row.runs else "–" for tolerance in TOLERANCES)
        rejected = (f"{row.rejected[tolerance.name] / max(row.right, 1):.1%}" for tolerance in TOLERANCES)
        table.add_row(row.operation, *seen, *rejected)
    return table
