"""``rnnspec faults``: score the suite itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.score import (
    CheckScore,
    FaultScore,
    VariantScore,
    by_check,
    run_variant,
    score_fault,
)
from rnnspec.conformance.faults.variants import VARIANTS
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.jobs import each
from rnnspec.conformance.run.plan import PlanError


@dataclass(frozen=True)
class Request:
    """What is to be scored, how thoroughly, and in how many processes."""

    operations: tuple[str, ...] = ()
    profile: str = "quick"
    exclusive: bool = False
    jobs: int = 1


def score_faults(request: Request, json_file: Path | None) -> int:
    """Run the checks on every planted fault and every right variant; return the exit status."""
    if request.profile not in PROFILES:
        raise PlanError(f"unknown profile {request.profile!r}: expected one of {', '.join(PROFILES)}")
    console = Console()
    chosen = faults(request.operations)
    variants = [
        (variant.name, name)
        for variant in VARIANTS
        for name in variant.operations
        if not request.operations or name in request.operations
    ]
    caught: list[FaultScore] = []
    right: list[VariantScore] = []
    with bar(console) as progress:
        task = progress.add_task("", total=len(chosen) + len(variants))
        score_one = partial(_score, profile=request.profile, exclusive=request.exclusive)
        for score in each(score_one, [fault.name for fault in chosen], request.jobs):
            caught.append(score)
            progress.update(task, advance=1, description=score.name)
            if not console.is_terminal:
                console.print(_line(score), soft_wrap=True)
        run_one = partial(_run_variant, cases=PROFILES[request.profile].examples)
        for run in each(run_one, variants, request.jobs):
            right.append(run)
            progress.update(task, advance=1, description=f"{run.name} {run.operation}")
    checks = by_check(caught)
    if console.is_terminal:
        console.print(_fault_table(caught))
    console.print(_check_table(checks))
    console.print(_variant_table(right))
    for run in right:
        if run.rejected:
            console.print(Text(f"{run.name} {run.operation} rejected: {run.message}", "bold red"))
    if json_file:
        write_json(
            json_file,
            {
                "profile": request.profile,
                "faults": [score.to_json() for score in caught],
                "checks": [score.to_json() for score in checks],
                "variants": [score.to_json() for score in right],
            },
        )
    console.print(_summary(caught, right), soft_wrap=True)
    return int(any(not score.caught for score in caught) or any(score.rejected for score in right))


def _score(name: str, profile: str, exclusive: bool) -> FaultScore:
    """Score the fault of that name: names, unlike classes that are made as they are needed, go between processes."""
    fault = next(one for one in faults(()) if one.name == name)
    return score_fault(fault, PROFILES[profile], exclusive=exclusive)


def _run_variant(named: tuple[str, str], cases: int) -> VariantScore:
    name, operation = named
    variant = next(one for one in VARIANTS if one.name == name)
    return run_variant(variant, operation, cases)


def _line(score: FaultScore) -> str:
    if not score.caught:
        return f"{score.name}: MISSED: {score.message}"
    alone = ", by no other" if score.alone else ""
    return f"{score.name}: caught by {score.check} at case {score.cases}{alone}; smallest: {score.case}"


def _fault_table(scores: list[FaultScore]) -> Table:
    table = Table(title="planted faults", title_justify="left", header_style="bold")
    for column in ("fault", "operation", "caught by"):
        table.add_column(column)
    table.add_column("at case", justify="right")
    table.add_column("smallest case", overflow="fold")
    for score in scores:
        check = Text(score.check) if score.caught else Text("missed", "bold red")
        table.add_row(score.name, score.operation, check, str(score.cases) if score.caught else "–", score.case)
    return table


def _check_table(scores: Sequence[CheckScore]) -> Table:
    table = Table(title="checks", title_justify="left", header_style="bold")
    table.add_column("check")
    for column in ("faults caught first", "and by no other"):
        table.add_column(column, justify="right")
    for score in scores:
        table.add_row(score.id, str(score.first), "not asked" if score.alone is None else str(score.alone))
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
