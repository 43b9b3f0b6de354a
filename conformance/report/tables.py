"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.report.faults import print_fault
from rnnspec.conformance.report.summary import BackendSummary, OperationSummary
from rnnspec.conformance.run import Verdict

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


def ratio_text(ratio: float | None) -> str:
    """Format an error ratio; a dash if there is none."""
    return "–" if ratio is None else f"{ratio:.2f}" if ratio < 100 else f"{ratio:.2g}"


def print_backend(console: Console, summary: BackendSummary) -> None:
    """Print the verdict on a backend: a matrix of its operations and types, every violation and every refusal.

    A conforming operation shows only its worst error ratio, so that rows of four types fit a terminal of 80 columns.
    Operations that are implemented in no type follow below the table, since most implementations have few operations.
    """
    versions = ", ".join(f"{name} {version}" for name, version in summary.versions.items())
    dtypes = list(dict.fromkeys(operation.dtype for operation in summary.operations))
    found = {(operation.name, operation.dtype): operation for operation in summary.operations}
    heading = f"{summary.name} ({versions}): worst error ratio, at most 1 where it conforms; else the verdict"
    console.print(Text(heading, "bold"), soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("operation", no_wrap=True)
    for dtype in dtypes:
        table.add_column(dtype)
    table.add_column("cases", justify="right")
    implemented = [operation for operation in summary.operations if operation.verdict is not Verdict.NOT_IMPLEMENTED]
    for name in dict.fromkeys(operation.name for operation in implemented):
        row = [found.get((name, dtype)) for dtype in dtypes]
        cases = sum(operation.examples for operation in row if operation)
        table.add_row(name, *(_cell(operation) for operation in row), str(cases))
    console.print(table)
    missing = dict.fromkeys(operation.name for operation in summary.operations if operation not in implemented)
    if missing:
        console.print(Text(f"not implemented: {', '.join(missing)}", STYLES[Verdict.NOT_IMPLEMENTED]))
    for number, fault in enumerate(summary.faults, 1):
        print_fault(console, number, fault)
    for operation in summary.operations:
        told = {check for fault in summary.faults_of(operation) for check in fault.checks}
        _print_violations(console, operation, told)
    reasons = dict.fromkeys(check.no_repro for operation in summary.operations for check in operation.checks)
    for reason in filter(None, reasons):
        console.print(Text(f"no repro could be written: {reason}", STYLES[Verdict.REFUSED]), soft_wrap=True)
    _print_refusals(console, summary)
    _print_asked(console, summary)
    for title in summary.not_seen:
        console.print(Text(f"expected failure not seen in this run: {title}"), soft_wrap=True)
    console.print(Text.assemble(f"{summary.name}: ", (summary.verdict, STYLES[summary.verdict])))


_TUPLES = {
    (1, False): "choices",
    (1, True): "choices, and triples of those that change what code runs,",
    (2, False): "pairs of choices",
    (2, True): "pairs of choices, and triples of those that change what code runs,",
    (3, False): "triples of choices",
}
"""Tuples of choices, by their strength and whether the plan is deep."""
_SHOWN_SIZES = 8


def _print_asked(console: Console, summary: BackendSummary) -> None:
    """Print the basis of the verdict: calls, the choices that they meet, the largest sizes, and unjudged checks."""
    if not summary.profile:
        return
    console.print(Text(f"asked by profile {summary.profile} with seed {summary.seed}:"), soft_wrap=True)
    for dtype in dict.fromkeys(operation.dtype for operation in summary.operations):
        asked = summary.asked(dtype)
        made = max(asked.judged + asked.refused + asked.out_of_range, 1)
        parts = [f"{asked.judged:,} cases judged"]
        parts += [f"{met:,} of {total:,} {_TUPLES[kind]} met" for kind, (met, total) in asked.met.items()]
        if asked.refused:
            parts.append(f"{asked.refused / made:.1%} refused")
        if asked.out_of_range:
            parts.append(f"{asked.out_of_range / made:.1%} beyond the type")
        greatest = sorted(asked.largest.items(), key=lambda item: -item[1])[:_SHOWN_SIZES]
        sizes = ", ".join(f"{symbol} {size:,}" for symbol, size in greatest)
        parts += [f"sizes up to {sizes}"] if sizes else []
        console.print(Text(f"  {dtype}: {', '.join(parts)}"), soft_wrap=True)
        for name, left_out in asked.left_out.items():
            listed = "; ".join(f"{symbol} {', '.join(map(str, few))}" for symbol, few in left_out.items())
            console.print(Text(f"    left out of {name}, too costly to judge: {listed}"), soft_wrap=True)
    by_reason: dict[str, dict[str, list[Place]]] = {}
    for check in summary.nothing_judged:
        of_check = by_reason.setdefault(check.message, {}).setdefault(check.id, [])
        of_check.append((check.operation, check.dtype))
    for reason, by_check in by_reason.items():
        names: dict[str, list[str]] = {}
        for name, places in by_check.items():
            names.setdefault(_places(places, summary), []).append(name)
        listed = "; ".join(f"by {', '.join(checks)} of {where}" for where, checks in names.items())
        words = Text.assemble(("nothing judged ", STYLES[Verdict.REFUSED]), f"{listed}: {reason}")
        console.print(words, soft_wrap=True)


Place = tuple[str, str]
"""An operation and a type."""


def _places(places: Iterable[Place], summary: BackendSummary) -> str:
    """Operations with their types, those that have the same types together."""
    every = [operation.dtype for operation in summary.operations]
    types: dict[str, set[str]] = {}
    for name, dtype in places:
        types.setdefault(name, set()).add(dtype)
    together: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(types):
        together.setdefault(tuple(dtype for dtype in dict.fromkeys(every) if dtype in types[name]), []).append(name)
    return "; ".join(f"{', '.join(names)} in {', '.join(dtypes)}" for dtypes, names in together.items())


def _cell(operation: OperationSummary | None) -> Text:
    if operation is None:
        return Text("")
    ratio = operation.worst_error_ratio
    if operation.verdict is Verdict.CONFORMS:
        return Text(ratio_text(ratio), STYLES[operation.verdict])
    if ratio is not None and ratio <= 1:  # what is wrong has none that is finite: it is not that of other checks
        ratio = None
    return Text(operation.verdict + ("" if ratio is None else f" {ratio_text(ratio)}"), STYLES[operation.verdict])


def _print_violations(console: Console, operation: OperationSummary, told: Collection[str]) -> None:
    """Print the checks' findings, but for those that are reported as faults."""
    for check in operation.checks:
        if check.id in told and check.verdict is not Verdict.EXPECTED:
            continue
        if check.verdict.bad or check.verdict in (Verdict.EXPECTED, Verdict.DEPARTS):
            heading = f"{operation.name} {operation.dtype}: {check.id} ({check.level}) {check.verdict}"
            console.print(Text(heading, STYLES[check.verdict]))
            console.print(Text("  " + check.message.replace("\n", "\n  ")))
            if check.repro:
                console.print(Text(f"  repro: {check.repro}"), soft_wrap=True)


def _print_refusals(console: Console, summary: BackendSummary) -> None:
    """Print each reason of a refusal once, with the operations and types that it concerns."""
    refused: dict[str, list[Place]] = {}
    for operation in summary.operations:
        for check in operation.checks:
            for reason in check.reasons:
                refused.setdefault(reason, []).append((operation.name, operation.dtype))
    for reason, places in refused.items():
        words = Text.assemble(("refused ", STYLES[Verdict.REFUSED]), f"by {_places(places, summary)}: {reason}")
        console.print(words, soft_wrap=True)
