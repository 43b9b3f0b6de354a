"""Measure everything, and write it down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import track

from rnnspec.backends import open_backend
from rnnspec.conformance.benchmarks.against_products import reference_against_products
from rnnspec.conformance.benchmarks.checking import checked_cases, tolerance_cost
from rnnspec.conformance.benchmarks.commands import validation
from rnnspec.conformance.benchmarks.machine import describe
from rnnspec.conformance.benchmarks.measuring import Effort, Row, Section
from rnnspec.conformance.run.files import write_bytes, write_json

Measure = Callable[[Effort], Section]

ABOUT: Final = """\
# Performance

Written by `tox -e bench` (`python -m rnnspec.conformance.benchmarks docs/performance.md`), which measures every figure
on the machine below. Ratios are ratios of medians of runs that take turns, A B A B, with a bootstrap 95 % interval.
"""
WITHOUT_TORCH: Final = Section(
    "Against torch", "", left_out="All rows about torch: torch does not import here (`pip install 'rnnspec[torch]'`)."
)


def write_performance(path: Path, json_file: Path | None, effort: Effort, console: Console) -> None:
    """Measure, write the Markdown report and, if asked for, the same as JSON."""
    date = datetime.now(UTC).date().isoformat()
    machine = describe(effort.threads)
    measures = [checked_cases, tolerance_cost, reference_against_products, *_torch_measures(effort)]
    steps = track(measures, "measuring", console=console, disable=not console.is_terminal)
    sections = [measure(effort) for measure in steps]
    write_bytes(path, markdown(date, machine, sections).encode())
    if json_file:
        write_json(json_file, {"date": date, "machine": machine, "sections": [_plain(s) for s in sections]})


def _torch_measures(effort: Effort) -> list[Measure]:
    try:
        from rnnspec.conformance.benchmarks.against_crf import composed_against_crf, reference_against_crf
        from rnnspec.conformance.benchmarks.against_loops import composed_against_loops
        from rnnspec.conformance.benchmarks.against_torch import adapter_overhead, reference_against_torch
    except ImportError:
        return [lambda _: WITHOUT_TORCH]
    backend = open_backend("torch")
    return [
        reference_against_torch,
        reference_against_crf,
        lambda effort: composed_against_crf(effort, backend),
        lambda effort: composed_against_loops(effort, backend),
        adapter_overhead,
        *([validation] if effort.profiles else []),
    ]


def markdown(date: str, machine: Mapping[str, str], sections: Iterable[Section]) -> str:
    """Return the report as Markdown."""
    parts = [ABOUT, _table(("machine", ""), [*machine.items(), ("date", date)])]
    for section in sections:
        parts += [f"## {section.title}\n"]
        if section.about:
            parts += [section.about + "\n"]
        if section.rows:
            head = ("", "measured", "95 % interval", "target", "met", "")
            parts += [_table(head, [_cells(row) for row in section.rows])]
        if section.left_out:
            parts += [f"Left out. {section.left_out}\n"]
    return "\n".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    interval = " – ".join(_number(end) for end in row.interval) if row.interval else ""
    target = "" if row.target is None else f"{'≥' if row.at_least else '≤'} {_number(row.target)} {row.unit}"
    met = {None: "", True: "yes", False: "**no**"}[row.met]
    return row.name, f"{_number(row.value)} {row.unit}", interval, target, met, row.detail


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _plain(section: Section) -> dict[str, Any]:
    """Return the section as plain data, with whether each target is met."""
    return asdict(section) | {"rows": [asdict(row) | {"met": row.met} for row in section.rows]}
