"""Results of a soak as tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.report.words import ratio_text
from rnnspec.conformance.soak.statistics import RECORDED, Ending

MOST_TOLD: Final = 20
"""Failures that the terminal shows; the files have more."""
LEAST_PERCENT: Final = 0.001
"""Smallest share that is shown exactly, in percent."""


def print_report(console: Console, report: Mapping[str, Any]) -> None:
    """Print the error ratios by type, by regime and by operation, then the verdict."""
    console.print(_quantiles(("dtype",), report["by_dtype"]))
    console.print(_quantiles(("dtype", "regime"), report["by_regime"]))
    console.print(_largest(report["by_operation"]))
    console.print(Text(summary(report)), soft_wrap=True)


def summary(report: Mapping[str, Any]) -> str:
    """Return the number of answers with each ending, in a sentence."""
    endings = totals(report)
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    told = ", ".join(
        f"{endings[ending]:,} {words}"
        for ending, words in (
            (Ending.REJECTED, "rejected"),
            (Ending.CRASHED, "crashed"),
            (Ending.TIMED_OUT, "timed out"),
            (Ending.EXPECTED, "wrong as expected"),
            (Ending.REFUSED, "refused by the backend"),
            (Ending.OUT_OF_RANGE, "out of the type's range"),
        )
        if endings[ending] or ending is Ending.REJECTED
    )
    rate = report["cases"] / report["seconds"] if report["seconds"] else 0.0
    values, gradients = (report["endings"][quantity].get(Ending.JUDGED, 0) for quantity in ("values", "gradients"))
    return (
        f"{report['backend']} ({versions}): {report['cases']:,} cases, {values:,} judged on values, "
        f"{gradients:,} on gradients; {told}; {report['seconds']:,.0f} s ({rate:.0f} a second)"
    )


def totals(report: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of answers, of values and of gradients, with each ending."""
    return {ending: sum(counts.get(ending, 0) for counts in report["endings"].values()) for ending in Ending}


def failure_text(failure: Mapping[str, Any]) -> Text:
    """Return a failure, and the command that repeats it."""
    told = f"{failure['quantity']} {failure['ending']}: {failure['message']}\n  repeat: {failure['repeat']}"
    return Text(told, "bold red")


def more_failures(report: Mapping[str, Any]) -> str:
    """Return a note about the failures that were not shown; empty if all were."""
    untold = sum(totals(report)[ending] for ending in Ending if ending.bad) - MOST_TOLD
    if untold <= 0:
        return ""
    return f"and {untold:,} more; --json has the first {RECORDED} of each operation in each type"


def quantile_of(row: Mapping[str, Any], share: float) -> float | None:
    """Return the error ratio that this share of a quantity's cases does not exceed; None if none was measured."""
    quantiles: dict[str, float] = row.get("quantiles", {})
    return quantiles.get(str(share))


def both(row: Mapping[str, Any], read: Callable[[Mapping[str, Any]], float | None]) -> str:
    """Return an error ratio of the values / of the gradients."""
    return " / ".join(ratio_text(read(row[quantity])) for quantity in ("values", "gradients"))


def largest_of(row: Mapping[str, Any]) -> float | None:
    """Return the largest error ratio of a quantity; None if none was measured."""
    largest: float | None = row.get("largest")
    return largest


def not_judged(row: Mapping[str, Any], what: str = "numbers") -> str:
    """Return the share of numbers, or of ids, in values and gradients that have no bound."""
    elements, open_ = (
        sum(row[quantity].get(name, 0) for quantity in ("values", "gradients")) for name in (what, f"{what}_not_judged")
    )
    if not open_:
        return "0" if elements else "–"
    percent = 100 * open_ / elements
    return f"{percent:.2g} %" if percent >= LEAST_PERCENT else f"< {LEAST_PERCENT} %"


def _quantiles(keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Quantiles of the error ratio, values / gradients."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    for key in keys:
        table.add_column(key, no_wrap=True)
    for name in ("cases", "median", "99.9 %", "largest", "not judged"):
        table.add_column(name, justify="right")
    reads = (partial(quantile_of, share=0.5), partial(quantile_of, share=0.999), largest_of)
    for row in rows:
        cells = [both(row, read) for read in reads]
        table.add_row(*(row[key] for key in keys), f"{row['cases']:,}", *cells, not_judged(row))
    return table


def _largest(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The largest error ratio of each operation in each type, values / gradients."""
    dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
    found = {(row["operation"], row["dtype"]): row for row in rows}
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("largest of", no_wrap=True)
    for dtype in dtypes:
        table.add_column(dtype, justify="right")
    table.add_column("cases", justify="right")
    for operation in dict.fromkeys(row["operation"] for row in rows):
        row = [found.get((operation, dtype)) for dtype in dtypes]
        cases = sum(one["cases"] for one in row if one)
        table.add_row(operation, *(both(one, largest_of) if one else "" for one in row), f"{cases:,}")
    return table
