"""``rnnspec faults``: score the suite itself."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.score import FaultScore, VariantScore, run_variant, score_fault
from rnnspec.conformance.faults.variants import VARIANTS
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.plan import PlanError


def score_faults(operations: tuple[str, ...], profile: str, json_file: Path | None) -> int:
    """Run the checks on every planted fault and every right variant; return the exit status."""
    if profile not in PROFILES:
        raise PlanError(f"unknown profile {profile!r}: expected one of {', '.join(PROFILES)}")
    console = Console()
    chosen = faults(operations)
    variants = [
        (variant, name) for variant in VARIANTS for name in variant.operations if not operations or name in operations
    ]
    caught: list[FaultScore] = []
    right: list[VariantScore] = []
    with bar(console) as progress:
        task = progress.add_task("", total=len(chosen) + len(variants))
        for fault in chosen:
            progress.update(task, description=fault.name)
            caught.append(score_fault(fault, PROFILES[profile]))
            progress.advance(task)
            if not console.is_terminal:
                console.print(_line(caught[-1]), soft_wrap=True)
        for variant, name in variants:
            progress.update(task, description=f"{variant.name} {name}")
            right.append(run_variant(variant, name, PROFILES[profile].examples))
            progress.advance(task)
    if console.is_terminal:
        console.print(_fault_table(caught))
    console.print(_variant_table(right))
    for score in right:
        if score.rejected:
            console.print(Text(f"{score.name} {score.operation} rejected: {score.message}", "bold red"))
    if json_file:
        write_json(
            json_file,
            {"faults": [score.to_json() for score in caught], "variants": [score.to_json() for score in right]},
        )
    console.print(_summary(caught, right), soft_wrap=True)
    return int(any(not score.caught for score in caught) or any(score.rejected for score in right))


def _line(score: FaultScore) -> str:
    if not score.caught:
        return f"{score.name}: MISSED: {score.message}"
    return f"{score.name}: caught by {score.check} at case {score.cases}"


def _fault_table(scores: list[FaultScore]) -> Table:
    table = Table(title="planted faults", title_justify="left", header_style="bold")
    for column in ("fault", "operation", "caught by"):
        table.add_column(column)
    table.add_column("at case", justify="right")
    for score in scores:
        check = Text(score.check) if score.caught else Text("missed", "bold red")
        table.add_row(score.name, score.operation, check, str(score.cases) if score.caught else "–")
    return table


def _variant_table(scores: list[VariantScore]) -> Table:
    table = Table(title="right implementations", title_justify="left", header_style="bold")
    for column in ("variant", "operation"):
        table.add_column(column, overflow="fold")
    for column in ("cases", "rejected", "worst error ratio"):
        table.add_column(column, justify="right")
    for score in scores:
        rejected = Text(str(score.rejected), "bold red" if score.rejected else "")
        table.add_row(score.name, score.operation, str(score.cases), rejected, f"{score.worst_error_ratio:.3g}")
    return table


def _summary(scores: list[FaultScore], right: list[VariantScore]) -> str:
    found = [score for score in scores if score.caught]
    soon = f", half of them by case {median(score.cases for score in found):g} of a check" if found else ""
    rejected = sum(score.rejected for score in right)
    cases = sum(score.cases for score in right)
    missed = "".join(f"\nmissed: {score.name}" for score in scores if not score.caught)
    caught = f"caught {len(found)} of {len(scores)} planted faults{soon}"
    return f"{caught}; rejected {rejected} of {cases} right results{missed}"
