"""``rnnspec faults --diagnose``: how often the suite names what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, get_args

from rich.table import Table

from rnnspec.conformance import checks, diagnosis, edits, faults
from rnnspec.conformance.diagnosis.measuring import Diagnosed, WrongKind, count_of, diagnosed, implementation
from rnnspec.conformance.diagnosis.rates import Rates, rates
from rnnspec.conformance.hosting.jobs import Workers, workers
from rnnspec.conformance.hosting.work import Work
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.files import write_json
from rnnspec.conformance.run.resuming import Interrupts, Kept, ResumeFile, facts_of_run
from rnnspec.conformance.run.typed import made

PROFILE: Final = "quick"
KINDS: Final[tuple[WrongKind, ...]] = get_args(WrongKind)


@dataclass(frozen=True)
class DiagnosisRequest:
    """How many wrong implementations of each kind are diagnosed, drawn with which seed, and in how many processes."""

    sample: int | None = None
    seed: int = 0
    jobs: int = 1
    scheduler: str = ""
    resume: Path | None = None


def measure_diagnosis(request: DiagnosisRequest, json_file: Path | None) -> int:
    """Diagnose wrong implementations and print how often it is right; return the exit status, 1 if a name is wrong."""
    of = facts_of_run("diagnosis", (checks, diagnosis, edits, faults))
    with ResumeFile(request.resume, of, "diagnosis") as file, workers(request.jobs, request.scheduler) as sharing:
        return _measured(request, Kept(file), sharing, json_file)


def _measured(request: DiagnosisRequest, kept: Kept, sharing: Workers, json_file: Path | None) -> int:
    console = open_console()
    found: list[Diagnosed] = []
    asked = [(kind, number, request.seed) for kind in KINDS for number in _numbers(kind, request.sample)]
    interrupts = Interrupts()
    with interrupts, bar(console) as progress:
        task = progress.add_task("", total=len(asked))
        for one in kept.each(DIAGNOSE, asked, sharing):
            progress.update(task, advance=1, description=f"{one.kind} {one.operation}")
            found.append(one)
            if not console.is_terminal:
                told = f"{len(found)} of {len(asked)}: {one.kind} {one.operation} {one.title}: {_outcome(one)}"
                console.print(told, soft_wrap=True, markup=False)
    if json_file is not None:
        diagnosed_all = [other.to_json() for other in found]
        write_json(json_file, {"profile": PROFILE, "diagnosed": diagnosed_all, **interrupts.to_json()})
    console.print(_table(rates(found)))
    if interrupts.status:
        return interrupts.told(console, request.resume)
    return int(any(one.named == "wrong" for one in found))


def _numbers(kind: WrongKind, sample: int | None) -> Sequence[int]:
    """Places among the implementations of a kind, spread over them where there are fewer than all."""
    count = count_of(kind)
    step = 1 if sample is None else max(1, count // sample)
    return range(0, count, step)[:sample]


def _diagnosed(asked: tuple[WrongKind, int, int]) -> Diagnosed:
    kind, number, seed = asked
    return replace(diagnosed(implementation(kind, number, seed), PROFILES[PROFILE]), number=number, seed=seed)


DIAGNOSE: Final = Work(
    _diagnosed,
    asdict,
    lambda data: made(Diagnosed, data),
    fits=lambda item, one: [one.kind, one.number, one.seed] == list(item),
)


def _outcome(one: Diagnosed) -> str:
    if not one.shows:
        return "not seen in small planned calls"
    return f"name {one.named}, cause {'right' if one.caused else 'wrong'}"


def _table(measured: Sequence[Rates]) -> Table:
    table = Table(title="diagnosis", title_justify="left", header_style="bold")
    table.add_column("wrong implementations")
    for heading in Rates.HEADINGS:
        table.add_column(heading, justify="right")
    for one in measured:
        table.add_row(one.kind, *one.cells())
    return table
