"""``rnnspec sharpness``: the smallest errors that the suite sees, beside what fixed tolerances would see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from rnnspec.conformance import faults as faults_code
from rnnspec.conformance import sharpness as sharpness_code
from rnnspec.conformance.commands.tables import titled
from rnnspec.conformance.hosting.jobs import Workers, workers
from rnnspec.conformance.hosting.work import Work
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.plan import PlanError, must_be_known
from rnnspec.conformance.run.resuming import Interrupts, Kept, ResumeFile, facts_of_run
from rnnspec.conformance.sharpness.drifting import DRIFT, GOALS, DriftSharpness, measure_drift
from rnnspec.conformance.sharpness.measuring import PARTS, Sharpness, applies, error_text, measure
from rnnspec.conformance.sharpness.tolerances import COMPUTED, TOLERANCES
from rnnspec.spec import FLOAT_TYPES, operations


@dataclass(frozen=True)
class SharpnessRequest:
    """The operations, types and parts to be measured; none chosen: all."""

    operations: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    runs: int = 20
    jobs: int = 1
    scheduler: str = ""
    resume: Path | None = None


def measure_sharpness(request: SharpnessRequest, json_file: Path | None) -> int:
    """Measure, print the tables, and write them to a file; 1 if the suite rejected a right result."""
    console = open_console()
    items = _items(request)
    of = facts_of_run("sharpness", (faults_code, sharpness_code), runs=request.runs)
    with (
        ResumeFile(request.resume, of, "measurement of sharpness") as file,
        workers(request.jobs, request.scheduler) as sharing,
    ):
        return _measured(request, console, items, Kept(file), sharing, json_file)


def _measured(
    request: SharpnessRequest,
    console: Console,
    items: list[tuple[str, str, str]],
    kept: Kept,
    sharing: Workers,
    json_file: Path | None,
) -> int:
    measured: list[Sharpness] = []
    drifts: list[DriftSharpness] = []
    interrupts = Interrupts()
    with interrupts, bar(console) as progress:
        task = progress.add_task(" ".join(items[0]), total=len(items))
        results = kept.each(MEASURE.having(runs=request.runs), items, sharing)
        for done, found in enumerate(results, 1):
            progress.update(task, advance=1, description=" ".join(items[min(done, len(items) - 1)]))
            if isinstance(found, Sharpness):
                measured.append(found)
                if not console.is_terminal:
                    console.print(_line(found), soft_wrap=True)
            else:
                drifts += found
    if console.is_terminal:
        for part in PARTS:
            for dtype in FLOAT_TYPES[::-1]:
                rows = [one for one in measured if (one.part, one.dtype) == (part, dtype)]
                if rows:
                    console.print(_table(f"{part}, {dtype}", rows))
    for dtype, goal in GOALS.items():
        of_type = [one for one in drifts if one.dtype == dtype]
        if of_type:
            seen = sum(one.at_goal == one.seeds for one in of_type)
            told = f"drift {dtype}: an error of {goal:g} is seen in {seen} of {len(of_type)} results, with every seed"
            console.print(told, soft_wrap=True)
    if json_file:
        data = {**to_json(measured, request.runs), "drift": [one.to_json() for one in drifts]}
        write_json(json_file, data | interrupts.to_json())
    rejected = sum(one.rejected[COMPUTED.name] for one in measured)
    if measured:
        console.print(f"the suite rejected {rejected} of {sum(one.right for one in measured)} right results")
    if interrupts.status:
        return interrupts.told(console, request.resume)
    return int(rejected > 0)


def _plain(found: Sharpness | list[DriftSharpness]) -> Any:
    return found.to_json() if isinstance(found, Sharpness) else [one.to_json() for one in found]


def _revived(data: Any) -> Sharpness | list[DriftSharpness]:
    return [DriftSharpness.from_json(one) for one in data] if isinstance(data, list) else Sharpness.from_json(data)


def to_json(measured: Sequence[Sharpness], runs: int) -> dict[str, Any]:
    """The measurements as plain data."""
    return {
        "profile": "quick",
        "runs": runs,
        "versions": {"numpy": np.__version__},
        "tolerances": [tolerance.name for tolerance in TOLERANCES],
        "measured": [one.to_json() for one in measured],
    }


def _items(request: SharpnessRequest) -> list[tuple[str, str, str]]:
    """The object of a measurement: operation, type and part."""
    must_be_known(request.operations, request.dtypes)
    items = [
        (name, dtype, part)
        for part in request.parts or (*PARTS, DRIFT)
        for dtype in (GOALS if part == DRIFT else FLOAT_TYPES[::-1])
        if dtype in (request.dtypes or FLOAT_TYPES)
        for name in operations()
        if name in (request.operations or operations()) and (part == DRIFT or applies(name, part))
    ]
    if not items:
        named = ", ".join(request.operations)
        raise PlanError(f"nothing to measure: expected an operation with gradients, got {named}")
    return items


def _measure(item: tuple[str, str, str], runs: int) -> Sharpness | list[DriftSharpness]:
    operation_name, dtype, part = item
    return measure_drift(operation_name, dtype, runs) if part == DRIFT else measure(operation_name, dtype, part, runs)


def _fits(item: tuple[str, str, str], found: Sharpness | list[DriftSharpness], runs: int) -> bool:
    asked = list(item)
    if isinstance(found, Sharpness):
        return [found.operation, found.dtype, found.part] == asked and len(found.runs) <= runs
    return asked[2] == DRIFT and all([one.operation, one.dtype] == asked[:2] for one in found)


MEASURE: Final = Work(_measure, _plain, _revived, fits=_fits)


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
    names = [tolerance.name for tolerance in TOLERANCES]
    columns = [*(f"{name} sees" for name in names), *(f"{name} rejects right" for name in names)]
    table = titled(title, ["operation"], columns)
    for row in rows:
        seen = (error_text(row.smallest(tolerance.name)) if row.runs else "–" for tolerance in TOLERANCES)
        rejected = (f"{row.rejected[tolerance.name] / max(row.right, 1):.1%}" for tolerance in TOLERANCES)
        table.add_row(row.operation, *seen, *rejected)
    return table
