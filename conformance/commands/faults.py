"""``rnnspec faults``: score the suite itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from rnnspec.conformance import checks
from rnnspec.conformance import faults as faults_code
from rnnspec.conformance.commands.tables import titled
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.score import (
    CheckScore,
    FaultScore,
    VariantScore,
    by_check,
    over_seeds,
    run_variant,
    score_fault,
    variant_over_seeds,
)
from rnnspec.conformance.faults.seeds import at_seeds, seeds_from, seeds_text
from rnnspec.conformance.faults.variants import VARIANTS
from rnnspec.conformance.hosting.jobs import Workers, workers
from rnnspec.conformance.hosting.work import Work
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.run.resuming import Interrupts, Kept, ResumeFile, facts_of_run
from rnnspec.conformance.run.typed import made
from rnnspec.spec.errors import one_of


@dataclass(frozen=True)
class FaultsRequest:
    """The faults to be scored, the profile, the seeds, and the number of processes."""

    operations: tuple[str, ...] = ()
    profile: str = "quick"
    exclusive: bool = False
    jobs: int = 1
    scheduler: str = ""
    seeds: str = "0"
    resume: Path | None = None


def score_faults(request: FaultsRequest, json_file: Path | None) -> int:
    """Run the checks on every planted fault and every right variant; return the exit status."""
    if request.profile not in PROFILES:
        raise PlanError(f"unknown profile {request.profile!r}: {one_of(request.profile, PROFILES)}")
    try:
        seeds = seeds_from(request.seeds)
    except ValueError as error:
        raise PlanError(f"--seeds: {error}") from error
    chosen = faults(request.operations)
    variants = [
        (variant.name, name)
        for variant in VARIANTS
        for name in variant.operations
        if not request.operations or name in request.operations
    ]
    of = facts_of_run(
        "faults", (checks, faults_code), profile=request.profile, exclusive=request.exclusive, first=seeds[0]
    )
    with ResumeFile(request.resume, of, "score of faults") as file, workers(request.jobs, request.scheduler) as sharing:
        return _scored(request, seeds, chosen, variants, Kept(file), sharing, json_file)


def _scored(
    request: FaultsRequest,
    seeds: Sequence[int],
    chosen: Sequence[Fault],
    variants: Sequence[tuple[str, str]],
    kept: Kept,
    sharing: Workers,
    json_file: Path | None,
) -> int:
    console = open_console()
    caught: list[FaultScore] = []
    right: list[VariantScore] = []
    interrupts = Interrupts()
    with interrupts, bar(console) as progress:
        task = progress.add_task("", total=(len(chosen) + len(variants)) * len(seeds))
        score_one = SCORE.having(profile=request.profile, exclusive=request.exclusive, first=seeds[0])
        groups = _sharing_a_deck(chosen)
        planted = [(fault.name, seed) for group in groups for seed in seeds for fault in group]
        found = _advancing(kept.each(score_one, planted, sharing, "fault"), progress, task)
        for group in groups:
            of_group = list(islice(found, len(group) * len(seeds)))
            for place in range(len(group)):
                caught.append(over_seeds(of_group[place :: len(group)]))
                if not console.is_terminal:
                    console.print(_line(caught[-1]), soft_wrap=True)
        run_one = RUN_VARIANT.having(cases=PROFILES[request.profile].examples)
        asked = [(name, operation, seed) for name, operation in variants for seed in seeds]
        ran = kept.each(run_one, asked, sharing, "variant")
        for runs in _by(len(seeds), _advancing(ran, progress, task)):
            right.append(variant_over_seeds(runs))
    scores = by_check(caught)
    if console.is_terminal:
        console.print(_fault_table(caught, seeds))
    console.print(_check_table(scores))
    console.print(_variant_table(right))
    for run in right:
        if run.rejected:
            console.print(Text(f"{run.name} {run.operation} rejected: {run.message}", "bold red"))
    if json_file:
        write_json(
            json_file,
            {
                "profile": request.profile,
                "seeds": list(seeds),
                "faults": [asdict(score) for score in caught],
                "checks": [asdict(score) for score in scores],
                "variants": [score.to_json() for score in right],
                **interrupts.to_json(),
            },
        )
    console.print(_summary(caught, right, seeds), soft_wrap=True)
    if interrupts.status:
        return interrupts.told(console, request.resume)
    return int(any(not score.caught for score in caught) or any(score.rejected for score in right))


Scored = TypeVar("Scored", FaultScore, VariantScore)


def _advancing(scores: Iterable[Scored], progress: Progress, task: TaskID) -> Iterator[Scored]:
    """Pass the scores on, and tell each to whoever waits."""
    for score in scores:
        progress.update(task, advance=1, description=f"{score.name} {score.operation}")
        yield score


def _sharing_a_deck(chosen: Iterable[Fault]) -> list[list[Fault]]:
    """The faults by operation and type: with a seed, all of a group are asked the same cases."""
    groups: dict[tuple[str, str], list[Fault]] = {}
    for fault in chosen:
        groups.setdefault((fault.operation, fault.dtype), []).append(fault)
    return list(groups.values())


def _by(count: int, scores: Iterator[Scored]) -> Iterator[list[Scored]]:
    """Those of the seeds of one fault or variant together, as soon as all are there."""
    while together := list(islice(scores, count)):
        yield together


def _score(placed: tuple[str, int], profile: str, exclusive: bool, first: int) -> FaultScore:
    """Score the fault of that name at that seed; only at the first are the later checks asked, and a smaller case.

    Names, unlike classes that are made as they are needed, go between processes.
    """
    name, seed = placed
    fault = next(one for one in faults(()) if one.name == name)
    closely = seed == first
    return score_fault(fault, PROFILES[profile], shrink=closely, exclusive=exclusive and closely, seed=seed)


def _run_variant(named: tuple[str, str, int], cases: int) -> VariantScore:
    name, operation, seed = named
    variant = next(one for one in VARIANTS if one.name == name)
    return run_variant(variant, operation, cases, seed)


SCORE: Final = Work(
    _score, asdict, lambda data: made(FaultScore, data), fits=lambda item, score, **_: score.name == item[0]
)
RUN_VARIANT: Final = Work(
    _run_variant,
    VariantScore.to_json,
    VariantScore.from_json,
    fits=lambda item, score, **_: [score.name, score.operation] == list(item[:2]),
)


def _line(score: FaultScore) -> str:
    if not score.caught:
        return f"{score.name}: MISSED with {_seeds_told(score)}: {score.message}"
    alone = ", by no other" if score.alone else ""
    return f"{score.name}: caught by {score.check} at case {score.cases}{alone}; smallest: {score.case}"


def _seeds_told(score: FaultScore) -> str:
    return f"{'seed' if len(score.missed_seeds) == 1 else 'seeds'} {seeds_text(score.missed_seeds)}"


def _fault_table(scores: list[FaultScore], seeds: Sequence[int]) -> Table:
    table = titled(f"planted faults, {at_seeds(seeds)}", ["fault", "operation", "caught by"], ["at case"])
    table.add_column("smallest case", overflow="fold")
    table.add_column("missed with", overflow="fold")
    for score in scores:
        never = len(score.missed_seeds) == len(seeds)
        check = Text("missed", "bold red") if never else Text(score.check)
        missed = Text("" if score.caught else _seeds_told(score), "bold red")
        case = "–" if never else str(score.cases)
        table.add_row(score.name, score.operation, check, case, score.case, missed)
    return table


def _check_table(scores: Sequence[CheckScore]) -> Table:
    table = titled("checks", ["check"], ["faults caught first", "and by no other"])
    for score in scores:
        table.add_row(score.id, str(score.first), "not asked" if score.alone is None else str(score.alone))
    return table


def _variant_table(scores: list[VariantScore]) -> Table:
    table = titled("right implementations", ["variant", "operation"], ["cases", "rejected", "worst error ratio"])
    for score in scores:
        rejected = Text(str(score.rejected), "bold red" if score.rejected else "")
        table.add_row(score.name, score.operation, str(score.cases), rejected, f"{score.worst_error_ratio:.3g}")
    return table


def _summary(scores: list[FaultScore], right: list[VariantScore], seeds: Sequence[int]) -> str:
    found = [score for score in scores if score.caught]
    soon = f", half of them by case {median(score.cases for score in found):g} of a check" if found else ""
    rejected = sum(score.rejected for score in right)
    cases = sum(score.cases for score in right)
    missed = "".join(f"\nmissed: {score.name} with {_seeds_told(score)}" for score in scores if not score.caught)
    caught = f"{len(found)} of {len(scores)} planted faults caught {at_seeds(seeds)}{soon}"
    return f"{caught}; rejected {rejected} of {cases} right results{missed}"
