"""``rnnspec soak``: error ratios over many random cases. A right implementation must stay below 1 in all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from rnnspec.backends import Unsupported, open_backend
from rnnspec.conformance.cases import RandomChoices, Scope, draw_case, supported_by
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.check import OutOfRangeError
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.guard import BackendCrashError, Guarded
from rnnspec.conformance.run.plan import PlanError, plan

LARGEST = 16
"""One case in four has sizes up to this."""


@dataclass
class _Group:
    """Error ratios of one type and regime."""

    dtype: str
    regime: str
    values: list[float] = field(default_factory=list)
    gradients: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        ratios = self.values + self.gradients
        return {
            "dtype": self.dtype,
            "regime": self.regime,
            "cases": len(ratios),
            "worst_values": max(self.values, default=None),
            "worst_gradients": max(self.gradients, default=None),
            "median": float(np.median(ratios)) if ratios else None,
            "99.9 %": float(np.quantile(ratios, 0.999)) if ratios else None,
        }


def soak_backend(
    name: str, cases: int, operations: Sequence[str], dtypes: Sequence[str], seed: int, json_file: Path | None
) -> int:
    """Run `cases` random cases, half on values and half on gradients; print the worst ratios; 1 if any is rejected."""
    if cases < 1:
        raise PlanError(f"expected at least 1 case, got {cases}")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in validate: the cases are small
    opened = open_backend(name)
    backend = Guarded(opened)
    items = plan(name, opened, operations, dtypes)
    targets = [
        target for target in dict.fromkeys((i.operation, i.dtype) for i in items) if target[0] in opened.operations()
    ]
    scopes = {target: Scope(*target, LARGEST, supported_by(backend, *target)) for target in targets}
    choices = RandomChoices(np.random.default_rng(seed))
    groups: dict[tuple[str, str], _Group] = {}
    rejected: list[str] = []
    refused = out_of_range = 0
    console = Console()
    started = time.perf_counter()
    for number in track(range(cases), "soaking", console=console, disable=not console.is_terminal):
        operation, dtype = targets[number // 2 % len(targets)]
        case = draw_case(choices, scopes[operation, dtype])
        group = groups.setdefault((dtype, case.regime), _Group(dtype, case.regime))
        try:
            if number % 2:
                group.gradients.append(Gradients().examine(backend, case))
            else:
                group.values.append(Values().examine(backend, case))
        except Unsupported:
            refused += 1
        except OutOfRangeError:
            out_of_range += 1
        except (Violation, BackendCrashError) as failure:
            rejected.append(str(failure))
            console.print(f"rejected: {failure}", style="red", soft_wrap=True, markup=False)
    seconds = time.perf_counter() - started
    judged = cases - refused - out_of_range
    rows = [group.row() for _, group in sorted(groups.items())]
    _print(console, rows)
    console.print(
        f"{name}: {judged} cases judged, {len(rejected)} rejected, {refused} refused by the backend, "
        f"{out_of_range} out of the type's range, in {seconds:.0f} s ({cases / seconds:.0f} a second)"
    )
    if json_file:
        write_json(
            json_file,
            {
                "backend": name,
                "versions": opened.versions(),
                "judged": judged,
                "refused": refused,
                "out_of_range": out_of_range,
                "rejected": rejected,
                "seconds": seconds,
                "groups": rows,
            },
        )
    return int(bool(rejected))


def _print(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table(title="Error ratios (error / bound)", title_justify="left", header_style="bold")
    for key in rows[0]:
        table.add_column(key.replace("_", " "), justify="left" if key in ("dtype", "regime") else "right")
    for row in rows:
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else "–" if v is None else str(v) for v in row.values()))
    console.print(table)
