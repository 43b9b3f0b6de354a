"""``rnnspec bench compare``: show what changed between two runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.bench.comparing import Comparison, compare, read_run
from rnnspec.conformance.bench.table import duration, interval
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.run.files import write_json

PREFIX = "rnnspec::"
STYLES = {"regression": "bold red", "slower": "red", "faster": "green", "no difference shown": ""}


def compare_files(old: Path, new: Path, threshold: float, json_file: Path | None) -> int:
    """Compare, print and write; 1 if something became slower by more than the threshold, or no longer conforms."""
    comparison = compare(read_run(old), read_run(new), threshold)
    _print(open_console(), comparison, threshold)
    if json_file:
        write_json(json_file, asdict(comparison) | {"threshold": threshold, "bad": comparison.bad})
    return int(comparison.bad)


def _print(console: Console, comparison: Comparison, threshold: float) -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("benchmark", overflow="fold")
    for heading in ("old", "new", "new / old (95 %)", "verdict"):
        table.add_column(heading, no_wrap=heading != "verdict")
    for one in comparison.compared:
        table.add_row(
            Text(one.name.removeprefix(PREFIX)), duration(one.old), duration(one.new), interval(one.ratio),
            Text(one.verdict, STYLES[one.verdict]),
        )  # fmt: skip
    console.print(table)
    for name, why in comparison.lost.items():
        console.print(Text.assemble(("lost ", "bold red"), f"{name}: {why}"))
    for heading, names in (("only old", comparison.only_old), ("only new", comparison.only_new)):
        for name in names:
            console.print(Text(f"{heading}: {name}"))
    for fact, (before, now) in comparison.machines.items():
        console.print(Text(f"not the same {fact}: {before}, now {now}", "yellow"))
    regressions = sum(one.verdict == "regression" for one in comparison.compared)
    console.print(f"{regressions} of {len(comparison.compared)} surely slower by more than {threshold:.0%}")
