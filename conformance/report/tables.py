"""Tables for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.report.summary import BackendSummary, OperationSummary
from rnnspec.conformance.run import Verdict

STYLES = {
    Verdict.CONFORMS: "green",
    Verdict.VIOLATES: "bold red",
    Verdict.CRASHED: "bold magenta",
    Verdict.REFUSED: "yellow",
    Verdict.NOT_IMPLEMENTED: "dim",
}


def ratio_text(ratio: float | None) -> str:
    """An error ratio in three digits; a dash where nothing was measured."""
    return "–" if ratio is None else f"{ratio:.3g}"


def print_backend(console: Console, summary: BackendSummary) -> None:
    """Print the verdict on a backend: a table of its operations, then every violation and every refusal."""
    versions = ", ".join(f"{name} {version}" for name, version in summary.versions.items())
    table = Table(title=f"{summary.name} ({versions})", title_justify="left", header_style="bold")
    for column in ("operation", "dtype", "verdict", "checks", "cases", "worst error ratio"):
        table.add_column(column, justify="right" if column in ("checks", "cases", "worst error ratio") else "left")
    previous = ""
    for operation in summary.operations:
        table.add_row(
            operation.name if operation.name != previous else "",
            operation.dtype,
            Text(operation.verdict, STYLES[operation.verdict]),
            str(len(operation.checks)),
            str(operation.examples),
            ratio_text(operation.worst_error_ratio),
        )
        previous = operation.name
    console.print(table)
    for operation in summary.operations:
        _print_violations(console, operation)
    _print_refusals(console, summary)
    console.print(Text.assemble(f"{summary.name}: ", (summary.verdict, STYLES[summary.verdict])))


def _print_violations(console: Console, operation: OperationSummary) -> None:
    for check in operation.checks:
        if check.verdict.bad:
            heading = f"{operation.name} {operation.dtype}: {check.id} ({check.level}) {check.verdict}"
            console.print(Text(heading, STYLES[check.verdict]))
            console.print(Text("  " + check.message.replace("\n", "\n  ")))
            if check.repro:
                console.print(Text(f"  repro: {check.repro}"), soft_wrap=True)


def _print_refusals(console: Console, summary: BackendSummary) -> None:
    refused: dict[str, set[str]] = {}
    for operation in summary.operations:
        for check in operation.checks:
            for reason in check.reasons:
                refused.setdefault(reason, set()).add(operation.name)
    for reason, names in refused.items():
        console.print(Text.assemble(("refused ", STYLES[Verdict.REFUSED]), f"by {', '.join(sorted(names))}: {reason}"))
