"""Results of soaks as tables, from files of ``rnnspec soak --json FILE``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rnnspec.conformance.pages.markdown import table
from rnnspec.conformance.report.words import ratio_text
from rnnspec.conformance.soak.statistics import Ending
from rnnspec.conformance.soak.table import both, largest_of, not_judged, quantile_of, summary, totals

SoakReport = Mapping[str, Any]


def tables(report: SoakReport) -> str:
    """Return the results of one soak, as Markdown."""
    command = f"rnnspec soak {report['backend']} --cases {report['asked']} --seed {report['seed']}"
    return "\n".join(
        (
            f"`{command}`. {summary(report)}.",
            "",
            "Error ratio of values / of gradients:",
            "",
            _by_type(report["by_dtype"]),
            "",
            "The largest in each regime:",
            "",
            _largest(report["by_regime"], "regime"),
            "",
            "The largest of each operation:",
            "",
            _largest(report["by_operation"], "operation"),
        )
    )


def whole(reports: Sequence[SoakReport]) -> str:
    """Return the results of all soaks together, in two sentences."""
    rows = [row for report in reports for row in report["by_operation"]]
    answers = sum(totals(report)[Ending.JUDGED] for report in reports)
    bad = sum(totals(report)[ending] for report in reports for ending in Ending if ending.bad)
    largest, where, backend = max(
        (row[quantity].get("largest", 0.0), row[quantity].get("largest_in", ""), report["backend"])
        for report in reports
        for row in report["by_operation"]
        for quantity in ("values", "gradients")
    )
    cases = sum(row["cases"] for row in rows)
    return (
        f"Together: {cases:,} cases with {answers:,} answers judged, {bad:,} of them rejected. The largest error ratio "
        f"is {ratio_text(largest)} (`{backend}`, case `{where}`)."
    )


def variants(scores: Sequence[Mapping[str, Any]]) -> str:
    """Return the scores of the right variants in ``rnnspec faults``, as Markdown."""
    worst: dict[str, dict[str, float]] = {}
    for score in scores:
        family, _, written = score["name"].partition("-")
        ratio = score["worst_error_ratio"]
        row = worst.setdefault(written.replace("-", " "), {})
        row[family] = max(row.get(family, 0.0), float("inf") if ratio is None else ratio)
    families = list(dict.fromkeys(family for row in worst.values() for family in row))
    cases, rejected = (sum(score[key] for score in scores) for key in ("cases", "rejected"))
    largest = max(ratio for row in worst.values() for ratio in row.values())
    return "\n".join(
        (
            f"{cases:,} cases, {rejected:,} rejected; the largest error ratio is {ratio_text(largest)}.",
            "",
            table(
                ["written", *families],
                ([written, *(ratio_text(row.get(family)) for family in families)] for written, row in worst.items()),
            ),
        )
    )


def _by_type(rows: Sequence[SoakReport]) -> str:
    heads = ["type", "cases", "median", "99 %", "99.9 %", "largest", "numbers not judged", "ids not judged"]
    lines = []
    for row in rows:
        quantiles = [both(row, partial(quantile_of, share=share)) for share in (0.5, 0.99, 0.999)]
        cells = [f"{row['cases']:,}", *quantiles, both(row, largest_of), not_judged(row), not_judged(row, "ids")]
        lines.append([row["dtype"], *cells])
    return table(heads, lines)


def _largest(rows: Sequence[SoakReport], key: str) -> str:
    """One row for each value of `key`, one column for each type."""
    dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
    found = {(row[key], row["dtype"]): both(row, largest_of) for row in rows}
    names = dict.fromkeys(row[key] for row in rows)
    return table([key, *dtypes], ([f"`{name}`", *(found.get((name, one), "") for one in dtypes)] for name in names))


def sections(reports: Sequence[SoakReport], scores: Sequence[Mapping[str, Any]] | None = None) -> dict[str, str]:
    """Return the page's tables by name, as Markdown; the right variants' table needs their `scores`."""
    found = {"together": whole(reports), **{report["backend"]: tables(report) for report in reports}}
    return found if scores is None else {**found, "variants": variants(scores)}


def read(file: Path) -> SoakReport:
    """Read a file of ``rnnspec soak --json``, or of ``rnnspec faults --json`` for the variants."""
    report: SoakReport = json.loads(file.read_text(encoding="utf-8"))
    return report
