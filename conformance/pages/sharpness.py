"""The measured sharpness as tables, from a file of ``rnnspec sharpness --json FILE``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median_low

from rnnspec.conformance.pages.markdown import table, written_by
from rnnspec.conformance.sharpness.drifting import GOALS, DriftSharpness
from rnnspec.conformance.sharpness.measuring import PARTS, SeedRun, Sharpness, error_text
from rnnspec.conformance.sharpness.tolerances import COMPUTED, TOLERANCES
from rnnspec.spec import FLOAT_TYPES

NAMES = [tolerance.name for tolerance in TOLERANCES]
_HEADS = (*(f"{name} sees" for name in NAMES), *(f"{name} rejects" for name in NAMES))
HARDEST = 15
"""Rows of the table of the quantities that are hardest to see."""


def sections(measured: Sequence[Sharpness]) -> dict[str, str]:
    """Return the page's tables by name, as Markdown."""
    return {
        "summary": summary(measured),
        **{part: "\n\n".join(tables(measured, part)) for part in PARTS},
        "hardest": hardest(measured),
    }


def drift_sections(measured: Sequence[DriftSharpness]) -> dict[str, str]:
    """Return the tables of systematic errors by name, as Markdown."""
    rows, unseen = [], []
    for dtype, goal in GOALS.items():
        group = [one for one in measured if one.dtype == dtype]
        if group:
            seen = (sum(one.at_goal == one.seeds for one in group), sum(one.at_twice == one.seeds for one in group))
            median = error_text(median_low([one.explained for one in group]))
            rows.append([dtype, f"{goal:g}", *(f"{count} of {len(group)}" for count in seen), median])
        unseen += [one for one in group if one.at_twice < one.seeds]
    heads = ("type", "goal", "seen at the goal", "seen at twice the goal", "rounding explains (median)")
    listed = [
        [f"`{one.operation}`", one.dtype, f"`{one.quantity}`", _explained(one)]
        for one in sorted(unseen, key=lambda one: (one.dtype, -one.explained))
    ]
    return {
        "drift": table(heads, rows),
        "drift unseen": table(["operation", "type", "result", "rounding explains"], listed, left=(1, 2)),
    }


def _explained(one: DriftSharpness) -> str:
    return error_text(one.explained) if math.isfinite(one.explained) else "too few calls"


def summary(measured: Sequence[Sharpness]) -> str:
    """Return a row for each part and type: the operations' median error seen, those unseen, and false alarms."""
    rows = []
    for part in PARTS:
        for dtype, group in _by_dtype(measured, part):
            own = [one for one in group if one.runs]
            right = sum(one.right for one in group)
            rows.append(
                [
                    part,
                    dtype,
                    str(len(own)),
                    *(_median([one.smallest(name) for one in own]) for name in NAMES),
                    *(_share(sum(one.rejected[name] for one in group), right) for name in NAMES),
                ]
            )
    return table(["", "type", "operations", *_HEADS], rows, left=(1,))


def _median(errors: Sequence[float]) -> str:
    """The median, and in brackets the number of errors that are not seen at any planted size."""
    if not errors:
        return "–"
    unseen = sum(map(math.isinf, errors))
    return error_text(median_low(errors)) + (f" ({unseen})" if unseen else "")


def tables(measured: Sequence[Sharpness], part: str) -> Iterator[str]:
    """Yield a table for each type: every operation's smallest error seen, and share of right results rejected."""
    for dtype, group in _by_dtype(measured, part):
        rows = [
            [
                f"`{one.operation}`",
                *(error_text(one.smallest(name)) if one.runs else "–" for name in NAMES),
                *(_share(one.rejected[name], one.right) for name in NAMES),
            ]
            for one in group
        ]
        yield table([dtype, *_HEADS], rows)


def hardest(measured: Iterable[Sharpness]) -> str:
    """Return a table of the float32 quantities whose error must be largest for the suite to see it."""
    runs = [(one, run) for one in measured if one.dtype == "float32" for run in one.runs]
    runs.sort(key=lambda pair: -pair[1].smallest(COMPUTED.name))
    rows = [
        [f"`{one.operation}`", one.part, error_text(run.smallest(COMPUTED.name)), _code(run)]
        for one, run in runs[:HARDEST]
    ]
    return table(["operation", "part", "smallest error seen", "quantity"], rows, left=(1, 3))


def _code(run: SeedRun) -> str:
    """The quantity's own line and expression, without the calls that lead to it."""
    quantity = run.quantity.rpartition(" > ")[2].replace("|", "\\|")
    return f"`{quantity}`"


def _by_dtype(measured: Iterable[Sharpness], part: str) -> Iterator[tuple[str, list[Sharpness]]]:
    of_part = [one for one in measured if one.part == part]
    for dtype in FLOAT_TYPES[::-1]:
        group = [one for one in of_part if one.dtype == dtype]
        if group:
            yield dtype, group


def _share(count: int, of: int) -> str:
    return "0" if count == 0 else f"{100 * count / of:.2g} %"


def read(file: Path) -> tuple[list[Sharpness], list[DriftSharpness]]:
    """Read a file of ``rnnspec sharpness --json``; raise ValueError if it has another form."""
    with written_by("rnnspec sharpness"):
        written = json.loads(file.read_text(encoding="utf-8"))
        measured = [Sharpness.from_json(one) for one in written["measured"]]
        return measured, [DriftSharpness.from_json(one) for one in written["drift"]]
