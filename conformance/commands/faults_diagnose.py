"""``rnnspec faults --diagnose``: how often the suite names what is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

from rich.table import Table

from rnnspec.conformance.diagnosis.measuring import COUNTS, Diagnosed, Kind, diagnosed, implementation
from rnnspec.conformance.diagnosis.rates import Rates, rates
from rnnspec.conformance.hosting.jobs import each
from rnnspec.conformance.report.console import open_console
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.files import FileError, write_json

PROFILE: Final = "quick"
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True)
class Request:
    """How many wrong implementations of each kind are diagnosed, drawn with which seed, and in how many processes."""

    sample: int | None = None
    jobs: int = 1
    seed: int = 0


def measure_diagnosis(request: Request, json_file: Path | None) -> int:
    """Diagnose wrong implementations and print how often it is right; return the exit status, 1 if a name is wrong.

    Results that the file has already are kept, and not measured again.
    """
    console = open_console()
    found = [] if json_file is None or not json_file.exists() else read(json_file)
    done = {(one.kind, one.number, one.seed) for one in found}
    asked = [(kind, number, request.seed) for kind in KINDS for number in _numbers(kind, request.sample)]
    left = [one for one in asked if one not in done]
    if found:
        kept = f"{json_file} has {len(found)} diagnoses, which are kept: {len(asked) - len(left)} of the {len(asked)}"
        console.print(f"{kept} asked for, so that {len(left)} are left", soft_wrap=True, markup=False)
    with bar(console) as progress:
        task = progress.add_task("", total=len(left))
        started = time.perf_counter()
        for place, one in enumerate(each(_diagnosed, left, request.jobs), 1):
            found.append(one)
            due = (time.perf_counter() - started) / place * (len(left) - place)
            progress.update(task, advance=1, description=f"{one.kind} {one.operation}, about {_told(due)} left")
            if not console.is_terminal:
                told = f"{one.kind} {one.operation} {one.title}: {_outcome(one)}; about {_told(due)} left"
                console.print(told, soft_wrap=True, markup=False)
            if json_file is not None:
                write_json(json_file, {"profile": PROFILE, "diagnosed": [other.to_json() for other in found]})
    console.print(_table(rates(found)))
    return int(any(one.named == "wrong" for one in found))


def read(file: Path) -> list[Diagnosed]:
    """Read what was written; raise FileError if the file is something else."""
    try:
        return [Diagnosed(**one) for one in json.loads(file.read_text(encoding="utf-8"))["diagnosed"]]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        message = f"{file}: expected a file that `rnnspec faults --diagnose --json` wrote, got {error!r}"
        raise FileError(message) from error


def _numbers(kind: Kind, sample: int | None) -> Sequence[int]:
    """Places among the implementations of a kind, spread over them where there are fewer than all."""
    count = COUNTS[kind]
    step = 1 if sample is None else max(1, count // sample)
    return range(0, count, step)[:sample]


def _diagnosed(asked: tuple[Kind, int, int]) -> Diagnosed:
    kind, number, seed = asked
    return replace(diagnosed(implementation(kind, number, seed), PROFILES[PROFILE]), number=number, seed=seed)


def _told(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


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
