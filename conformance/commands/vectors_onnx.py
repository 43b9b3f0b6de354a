"""``rnnspec vectors export --format onnx``: cases in the form of ONNX's backend tests."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from rnnspec.conformance.commands.tables import titled
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.vectors.corpus import Wanted, new_folder
from rnnspec.conformance.vectors.onnx_form import OnnxForm
from rnnspec.spec.errors import one_of


def export_onnx(
    folder: Path, targets: Sequence[tuple[str, str]], named: bool, count: int, wanted: Wanted
) -> Mapping[str, Any]:
    """Write `count` cases of each operation that ONNX has, all or nothing; return what was written.

    An operation that is `named` and that ONNX has not is an error.
    """
    form = OnnxForm()
    for name, _ in targets:
        if named and name not in form.operations:
            raise PlanError(f"--op {name}: ONNX has no such operator: {one_of(name, form.operations)}")
    targets = [(name, dtype) for name, dtype in targets if name in form.operations and dtype in form.dtypes]
    if not targets:
        raise PlanError(f"--dtype: expected one of {', '.join(form.dtypes)}, as ONNX's operators have")
    console = open_console(sys.stdout)
    with new_folder(folder) as written, bar(console) as progress:
        task = progress.add_task("exporting", total=len(targets) * count)
        for name, dtype in targets:
            progress.update(task, description=f"{name} {dtype}")
            for number, (case, expected) in enumerate(form.cases(name, dtype, count, wanted)):
                form.write(written, number, case, expected)
                progress.advance(task)
    table = titled("", ("operation",), ("types", "cases"))
    for name, types in Counter(name for name, _ in targets).items():
        table.add_row(name, str(types), str(types * count))
    console.print(table)
    console.print(Text(f"{len(targets) * count} tests in {folder}"), soft_wrap=True)
    return {
        "folder": str(folder),
        "storage": "onnx",
        "corpora": [{"operation": name, "dtype": dtype, "cases": count} for name, dtype in targets],
    }
