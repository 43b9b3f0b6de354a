"""``rnnspec faults --diagnose``: how often the suite names what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, get_args

from rich.console import Console
from rich.table import Table

from rnnspec.conformance.diagnosis.measuring import COUNTS, Diagnosed, Kind, diagnosed, implementation
from rnnspec.conformance.diagnosis.rates import Rates, rates
from rnnspec.conformance.hosting.jobs import each
from rnnspec.conformance.report.progress import bar
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.files import FileError, write_json

PROFILE: Final = "quick"
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True)
class Request:
    """How many wrong implementations of each kind are diagnosed, and in how many processes."""

    sample: int | None = None
    jobs: int = 1


def measure_diagnosis(request: Request, json_file: Path | None) -> int:
    """Diagnose wrong implementations and print how often it is right; return the exit status, 1 if a name is wrong.

    Results that the file has already are not measured again.
    """
    console = Console()
    found = [] if json_file is None or not json_file.exists() else read(json_file)
    done = {(one.kind, one.title) for one in found}
    asked = [(kind, number) for kind in KINDS for number in _numbers(kind, request.sample)]
    with bar(console) as progress:
        task = progress.add_task("", total=len(asked))
        for one in each(partial(_diagnosed, done=frozenset(done)), asked, request.jobs):
            progress.update(task, advance=1, description="" if one is None else f"{one.kind} {one.operation}")
            if one is None:
                continue
            found.append(one)
            if not console.is_terminal:
                console.print(f"{one.kind} {one.operation} {one.title}: {_outcome(one)}", soft_wrap=True, markup=False)
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


def _diagnosed(asked: tuple[Kind, int], done: frozenset[tuple[Kind, str]]) -> Diagnosed | None:
    kind, number = asked
    wrong = implementation(kind, number)
    return None if (kind, wrong.title) in done else diagnosed(wrong, PROFILES[PROFILE])


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
