"""``rnnspec faults --edits``: score the suite by every single edit of the equations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from rnnspec.conformance import checks
from rnnspec.conformance import edits as edits_code
from rnnspec.conformance import faults as faults_code
from rnnspec.conformance.commands.tables import titled
from rnnspec.conformance.edits.single import Edit
from rnnspec.conformance.faults.edits import EditBench, EditScore, EditVerdict, chosen_edits, over_seeds
from rnnspec.conformance.faults.seeds import at_seeds, seeds_from
from rnnspec.conformance.hosting.jobs import Workers, workers
from rnnspec.conformance.hosting.work import Work
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.run.resuming import Interrupts, Kept, ResumeFile, facts_of_run
from rnnspec.conformance.run.typed import made
from rnnspec.spec import operation, operations

PROFILE: Final = "quick"

SHARES: Final = 20
"""Shares of an operation's edits, each asked at once: progress is reported, and work divided, by them."""


@dataclass(frozen=True)
class EditsRequest:
    """Which operations' edits are to be scored, how many of each, with which seeds, and in how many processes."""

    operations: tuple[str, ...] = ()
    sample: int | None = None
    seeds: str = "0"
    jobs: int = 1
    scheduler: str = ""
    resume: Path | None = None


def score_edits(request: EditsRequest, json_file: Path | None) -> int:
    """Ask the suite about every single edit, or a sample of them; return the exit status, 1 if one survives."""
    try:
        seeds = seeds_from(request.seeds)
    except ValueError as error:
        raise PlanError(f"--seeds: {error}") from error
    names = [operation(name).name for name in dict.fromkeys(request.operations)] or list(operations())
    of = facts_of_run("edits", (checks, edits_code, faults_code), sample=request.sample, first=seeds[0])
    with ResumeFile(request.resume, of, "score of edits") as file, workers(request.jobs, request.scheduler) as sharing:
        return _asked(request, seeds, names, Kept(file), sharing, json_file)


def _asked(
    request: EditsRequest,
    seeds: Sequence[int],
    names: Sequence[str],
    kept: Kept,
    sharing: Workers,
    json_file: Path | None,
) -> int:
    console = open_console()
    scores = []
    interrupts = Interrupts()
    with interrupts, bar(console) as progress:
        task = progress.add_task("", total=len(names) * len(seeds) * SHARES)
        for score in _scored(names, seeds, request, kept, sharing, progress, task):
            scores.append(score)
            if not console.is_terminal:
                console.print(_line(score), soft_wrap=True)
    if console.is_terminal:
        console.print(_table(scores))
    for score in scores:
        for one in score.surviving:
            told = f"{score.operation} survives: {one['edit']}, of the {one['part']}; shown by {one['case']}"
            console.print(Text(told, "bold red"), soft_wrap=True)
    if json_file:
        write_json(
            json_file,
            {
                "profile": PROFILE,
                "seeds": list(seeds),
                "sample": request.sample,
                "edits": [score.to_json() for score in scores],
                **interrupts.to_json(),
            },
        )
    console.print(_summary(scores, seeds), soft_wrap=True)
    if interrupts.status:
        return interrupts.told(console, request.resume)
    return int(any(score.surviving for score in scores))


def _scored(
    names: Sequence[str],
    seeds: Sequence[int],
    request: EditsRequest,
    kept: Kept,
    sharing: Workers,
    progress: Progress,
    task: TaskID,
) -> Iterator[EditScore]:
    """Yield the operations' scores in their order, and tell how far it is."""
    asked = [(name, seed, share) for name in names for seed in seeds for share in range(SHARES)]
    judged = JUDGE.having(sample=request.sample, first=seeds[0])
    shares = kept.each(judged, asked, sharing)
    for name in names:
        by_seed: list[list[EditVerdict]] = []
        for _ in seeds:
            of_seed: dict[int, EditVerdict] = {}
            for share, (verdicts, all_edits) in enumerate(islice(shares, SHARES)):
                of_seed.update(zip(range(share, all_edits, SHARES), verdicts, strict=False))
                progress.update(task, advance=1, description=name)
            by_seed.append([of_seed[place] for place in sorted(of_seed)])
        yield EditScore.of(name, [over_seeds(verdicts) for verdicts in zip(*by_seed, strict=True)], all_edits)


def _judged(asked: tuple[str, int, int], sample: int | None, first: int) -> tuple[list[EditVerdict], int]:
    """The verdicts on a share of an operation's edits, and how many edits it has in all."""
    name, seed, share = asked
    edits, all_edits = _edits(name, sample, first)
    bench = _bench(name, seed)
    return [bench.judge(edit) for edit in edits[share::SHARES]], all_edits


def _fits(asked: tuple[str, int, int], judged: tuple[list[EditVerdict], int], sample: int | None, first: int) -> bool:
    name, _, share = asked
    edits, all_edits = _edits(name, sample, first)
    verdicts, counted = judged
    return type(counted) is int and counted == all_edits and len(verdicts) == len(edits[share::SHARES])


JUDGE: Final = Work(
    _judged,
    lambda judged: [[asdict(verdict) for verdict in judged[0]], judged[1]],
    lambda data: ([made(EditVerdict, verdict) for verdict in data[0]], data[1]),
    fits=_fits,
)


@lru_cache(maxsize=1)
def _edits(name: str, sample: int | None, seed: int) -> tuple[Sequence[Edit], int]:
    return chosen_edits(operation(name), sample, seed)


@lru_cache(maxsize=1)
def _bench(name: str, seed: int) -> EditBench:
    return EditBench(operation(name), PROFILES[PROFILE], seed)


def _line(score: EditScore) -> str:
    asked = f"{score.edits:,}" if score.edits == score.all_edits else f"{score.edits:,} of {score.all_edits:,}"
    return (
        f"{score.operation}: {asked} edits, {score.caught:,} caught, {score.equivalent:,} equivalent, "
        f"{score.cannot_run:,} cannot run, {len(score.surviving):,} surviving"
    )


def _table(scores: Sequence[EditScore]) -> Table:
    columns = ["edits", "asked", "caught", "equivalent", "cannot run", "surviving"]
    table = titled("single edits", ["operation"], columns)
    for score in scores:
        numbers = (score.all_edits, score.edits, score.caught, score.equivalent, score.cannot_run)
        surviving = Text(f"{len(score.surviving):,}", "bold red" if score.surviving else "")
        table.add_row(score.operation, *(f"{number:,}" for number in numbers), surviving)
    return table


def _summary(scores: Sequence[EditScore], seeds: Sequence[int]) -> str:
    edits, caught, equivalent, cannot_run = (
        sum(getattr(score, name) for score in scores) for name in ("edits", "caught", "equivalent", "cannot_run")
    )
    surviving = sum(len(score.surviving) for score in scores)
    return (
        f"{edits:,} edits {at_seeds(seeds)}: {caught:,} caught, {equivalent:,} equivalent, {cannot_run:,} cannot run, "
        f"{surviving:,} surviving"
    )
