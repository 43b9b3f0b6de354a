"""Measurement and report of the project's own speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from rnnspec.conformance.performance.checking import checked_cases, tolerance_cost
from rnnspec.conformance.performance.contests import SERIES, hold
from rnnspec.conformance.performance.products import reference_against_products
from rnnspec.conformance.performance.rows import Repetitions, Row, Section
from rnnspec.conformance.run.files import write_bytes, write_json

ABOUT: Final = """\
# Performance

Written by `tox -e bench` (`python -m rnnspec.conformance.pages performance docs/performance.md`), which measures every
figure on the machine below. Ratios are ratios of medians of rounds that take turns, A B A B, with a bootstrap 95 %
interval. Every contender conforms to the specification on the timed workload. [benchmarks.md](benchmarks.md) describes
workloads, timing and the share of the machine's peak.
"""


def measure(extent: Repetitions, console: Console) -> list[Section]:
    """Take all measurements that run in this process."""
    measures: list[Callable[[], Section]] = [
        partial(checked_cases, extent),
        partial(tolerance_cost, extent),
        partial(reference_against_products, extent),
        *(partial(hold, series, extent, console) for series in SERIES),
    ]
    sections = []
    for number, one in enumerate(measures, 1):
        sections.append(one())
        console.print(f"{sections[-1].title}: done, {number} of {len(measures)}", highlight=False)
    return sections


def write_performance(path: Path, json_file: Path | None, sections: Sequence[Section]) -> None:
    """Write the report as Markdown, and also as JSON if `json_file` is given."""
    date = datetime.now(UTC).date().isoformat()
    machine = {key: fact for section in sections for key, fact in section.machine.items()}
    machine["hypothesis"] = version("hypothesis")
    write_bytes(path, markdown(date, machine, sections).encode())
    if json_file:
        plain = [_plain(section) for section in sections]
        write_json(json_file, {"date": date, "machine": machine, "sections": plain})


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
    """Return the section as plain data; each row says whether its target is met."""
    return asdict(section) | {"rows": [asdict(row) | {"met": row.met} for row in section.rows]}
