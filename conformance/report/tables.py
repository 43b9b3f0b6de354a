"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.report.console import WIDEST
from rnnspec.conformance.report.faults import moved_in, print_fault
from rnnspec.conformance.report.summary import BackendSummary, OperationSummary
from rnnspec.conformance.report.words import (
    accuracy_text,
    asked,
    findings,
    missing,
    ratio_text,
    refusals,
    unjudged,
    versions_text,
)
from rnnspec.conformance.run import Verdict
from rnnspec.spec import operations

STYLES = {
    Verdict.CONFORMS: "green",
    Verdict.DEPARTS: "yellow",
    Verdict.EXPECTED: "red",
    Verdict.VIOLATES: "bold red",
    Verdict.TIMED_OUT: "bold magenta",
    Verdict.CRASHED: "bold magenta",
    Verdict.REFUSED: "yellow",
    Verdict.NOT_IMPLEMENTED: "dim",
}


def print_backends(console: Console, summaries: Sequence[BackendSummary]) -> None:
    """Print the verdicts: a table, then each backend's violations, refusals and the extent of its cases.

    The table of one backend has a column for each type, that of several a column for each backend. A conforming
    operation shows only its worst error ratio, so that rows fit a terminal of 80 columns. Operations that are
    implemented in no type follow below, since most implementations have few operations.
    """
    if len(summaries) > 1:
        for number, summary in enumerate(summaries, 1):
            heading = f"{f'[{number}] ' * _crowded(summaries)}{summary.name} ({versions_text(summary)})"
            console.print(Text(heading, "bold"), soft_wrap=True)
            _print_accuracy(console, summary)
        console.print(Text(f"{_RATIOS}, over all types", "bold"), soft_wrap=True)
        for table in _tables_of_backends(console, summaries):
            console.print(table)
    for summary in summaries:
        if len(summaries) == 1:
            heading = f"{summary.name} ({versions_text(summary)}): {_RATIOS}"
            console.print(Text(heading, "bold"), soft_wrap=True)
            _print_accuracy(console, summary)
            console.print(_table_of_types(summary))
        else:
            console.print()
            console.print(Text(summary.name, "bold"), soft_wrap=True)
        _print_rest(console, summary)


def _print_accuracy(console: Console, summary: BackendSummary) -> None:
    if told := accuracy_text(summary):
        console.print(Text(f"  {told}", "yellow"), soft_wrap=True)


_RATIOS: Final = "worst error ratio, at most 1 where it conforms; else the verdict"
_WIDEST: Final = 16
"""Characters of a backend's name up to which it heads a column."""


def _crowded(summaries: Sequence[BackendSummary]) -> bool:
    """Whether numbers head the columns, since the names are too long."""
    return len(summaries) > 3 or any(len(summary.name) > _WIDEST for summary in summaries)


def _new_table() -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("operation", no_wrap=True)
    return table


def _add_column(table: Table, heading: str, cells: Sequence[Text]) -> None:
    """Add a column that is no narrower than its longest word, which would be cut."""
    words = [word for text in (heading, *map(str, cells)) for word in text.split()]
    table.add_column(heading, min_width=max(map(cell_len, words), default=0))


def _table_of_types(summary: BackendSummary) -> Table:
    dtypes = list(dict.fromkeys(operation.dtype for operation in summary.operations))
    found = {(operation.name, operation.dtype): operation for operation in summary.operations}
    table = _new_table()
    left_out = missing(summary)
    names = [name for name in dict.fromkeys(operation.name for operation in summary.operations) if name not in left_out]
    columns = [[_cell(found.get((name, dtype))) for name in names] for dtype in dtypes]
    for dtype, cells in zip(dtypes, columns, strict=True):
        _add_column(table, dtype, cells)
    table.add_column("cases", justify="right")
    for name, *row in zip(names, *columns, strict=True):
        table.add_row(name, *row, str(sum(operation.examples for operation in summary.of(name))))
    return table


def _tables_of_backends(console: Console, summaries: Sequence[BackendSummary]) -> list[Table]:
    """One table, or as many below each other as it takes for no word to be cut."""
    headed = [(f"[{n}]" if _crowded(summaries) else one.name, one) for n, one in enumerate(summaries, 1)]
    tables: list[Table] = []
    while headed:
        few = len(headed)
        while few > 1 and _least_width(console, _table_of_backends(headed[:few])) > console.width:
            few -= 1
        tables.append(_table_of_backends(headed[:few]))
        headed = headed[few:]
    return tables


def _least_width(console: Console, table: Table) -> int:
    """The columns that a table takes if it breaks lines between words alone."""
    unlimited = console.options.update(max_width=WIDEST)
    return Measurement.get(console, unlimited, table).minimum


def _table_of_backends(headed: Sequence[tuple[str, BackendSummary]]) -> Table:
    table = _new_table()
    summaries = [summary for _, summary in headed]
    left_out = set.intersection(*(set(missing(summary)) for summary in summaries))
    names = {operation.name for summary in summaries for operation in summary.operations} - left_out
    known = [name for name in operations() if name in names]
    columns = [[_cell_of_types(summary.of(name)) for name in known] for summary in summaries]
    for (heading, _), cells in zip(headed, columns, strict=True):
        _add_column(table, heading, cells)
    for name, *row in zip(known, *columns, strict=True):
        table.add_row(name, *row)
    return table


def _print_rest(console: Console, summary: BackendSummary) -> None:
    """Print all but the table: what is not implemented, the faults, the other violations, and what was asked."""
    left_out = missing(summary)
    if left_out:
        console.print(Text(f"not implemented: {', '.join(left_out)}", STYLES[Verdict.NOT_IMPLEMENTED]))
    for number, fault in enumerate(summary.faults, 1):
        print_fault(console, number, fault)
    for operation in summary.operations:
        _print_violations(console, summary, operation)
    reasons = dict.fromkeys(check.no_repro for operation in summary.operations for check in operation.checks)
    for reason in filter(None, reasons):
        console.print(Text(f"no repro could be written: {reason}", STYLES[Verdict.REFUSED]), soft_wrap=True)
    for line in refusals(summary):
        console.print(Text.assemble(("refused ", STYLES[Verdict.REFUSED]), line), soft_wrap=True)
    if summary.profile:
        console.print(Text(f"asked by profile {summary.profile} with seed {summary.seed}:"), soft_wrap=True)
    for line in asked(summary):
        console.print(Text(f"  {line}"), soft_wrap=True)
    for line in unjudged(summary) if summary.profile else ():
        console.print(Text.assemble(("nothing judged ", STYLES[Verdict.REFUSED]), line), soft_wrap=True)
    for title in summary.not_seen:
        console.print(Text(f"expected failure not seen in this run: {title}"), soft_wrap=True)
    console.print(Text.assemble(f"{summary.name}: ", (summary.verdict, STYLES[summary.verdict])))


def _cell(operation: OperationSummary | None) -> Text:
    if operation is None:
        return Text("")
    ratio = operation.worst_error_ratio
    if operation.verdict is Verdict.CONFORMS:
        return Text(ratio_text(ratio), STYLES[operation.verdict])
    if ratio is not None and ratio <= 1:  # what is wrong has none that is finite: it is not that of other checks
        ratio = None
    words = _SHORT.get(operation.verdict, operation.verdict)
    return Text(words + ("" if ratio is None else f" {ratio_text(ratio)}"), STYLES[operation.verdict])


def _cell_of_types(parts: Sequence[OperationSummary]) -> Text:
    """One operation in all types: its worst ratio, or the worst verdict and in which types it is passed."""
    verdict = Verdict.worst(part.verdict for part in parts)
    if not parts:
        return Text("")
    if verdict is Verdict.CONFORMS:
        ratios = [part.worst_error_ratio for part in parts if part.worst_error_ratio is not None]
        return Text(ratio_text(max(ratios, default=None)), STYLES[verdict])
    of_it = [part.dtype for part in parts if part.verdict is verdict]
    where = "" if len(of_it) == len(parts) else f" in {', '.join(of_it)}"
    return Text(_SHORT.get(verdict, verdict) + where, STYLES[verdict])


_SHORT: Final = {Verdict.EXPECTED: "known fault"}
"""Verdicts whose own words would fill a column; the reason follows below the table."""


def _print_violations(console: Console, summary: BackendSummary, operation: OperationSummary) -> None:
    for heading, alike in findings(summary, operation):
        console.print(Text(heading, STYLES[alike[0].verdict]))
        for line in moved_in(alike[0].message, console.width):
            console.print(Text(line), soft_wrap=True)
        for check in alike:
            if check.repro:
                console.print(Text(f"  repro: {check.repro}"), soft_wrap=True)
