"""The suite's own score as tables, from a file of ``rnnspec faults --seeds 0-4 --exclusive --json FILE``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import median

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.faults.score import NEVER_ALONE, CheckScore, FaultScore, by_check
from rnnspec.conformance.faults.seeds import at_seeds, seeds_text
from rnnspec.conformance.pages.markdown import table, written_by
from rnnspec.spec import operations

HARDEST = 20
"""Rows of the table of the faults that take the most cases."""


def sections(scores: Sequence[FaultScore], seeds: Sequence[int]) -> dict[str, str]:
    """Return the page's tables by name, as Markdown."""
    return {
        "summary": summary(scores, seeds),
        "checks": checks(by_check(scores)),
        "operations": by_operation(scores),
        "hardest": hardest(scores),
        "faults": "\n\n".join(every(scores)),
    }


def summary(scores: Sequence[FaultScore], seeds: Sequence[int]) -> str:
    """Return the score in a sentence and in numbers, and the missed faults."""
    caught = [score for score in scores if score.caught]
    missed = [score for score in scores if not score.caught]
    at_once = sum(score.cases == 1 for score in caught)
    rows = [
        ["planted faults", str(len(scores))],
        ["operations that have some", f"{len({score.operation for score in scores})} of {len(operations())}"],
        ["seeds", seeds_text(seeds)],
        ["caught", str(len(caught))],
        ["missed", str(len(missed))],
        ["cases to catch: median", f"{median(score.cases for score in caught):g}" if caught else "–"],
        ["cases to catch: most", str(max((score.cases for score in caught), default=0))],
        ["caught by the first case", str(at_once)],
    ]
    sentence = f"{len(caught)} of {len(scores)} caught {at_seeds(seeds)}."
    listed = [f"- {score.name}: {_missed_with(score)}" for score in missed]
    parts = [sentence, table(["", ""], rows)]
    return "\n\n".join([*parts, "Missed:\n\n" + "\n".join(listed)] if listed else parts)


def _missed_with(score: FaultScore) -> str:
    return f"with {'seed' if len(score.missed_seeds) == 1 else 'seeds'} {seeds_text(score.missed_seeds)}"


def checks(scores: Iterable[CheckScore]) -> str:
    """Return a row for each check: faults caught first, faults caught by no other, and its purpose if none."""
    levels = {check.id: check.level for check in CHECKS}
    rows = [
        [
            f"`{score.id}`",
            levels[score.id],
            str(score.first),
            "–" if score.alone is None else str(score.alone),
            NEVER_ALONE.get(score.id, "") if not score.alone else "",
        ]
        for score in scores
    ]
    return table(
        ["check", "level", "caught first", "caught by no other", "if none, why it is there"], rows, left=(1, 4)
    )


def by_operation(scores: Sequence[FaultScore]) -> str:
    """Return a row for each operation: its faults, the cases that they took, and the checks that caught them first."""
    rows = []
    for name in operations():
        own = [score for score in scores if score.operation == name]
        if own:
            first = Counter(score.check for score in own if score.caught)
            cases = [score.cases for score in own if score.caught] or [0]
            by = ", ".join(f"`{check}` {count}" for check, count in first.most_common())
            rows.append([f"`{name}`", str(len(own)), f"{median(cases):g}", str(max(cases)), by])
    return table(["operation", "faults", "median cases", "most", "caught first by"], rows, left=(4,))


def hardest(scores: Iterable[FaultScore]) -> str:
    """Return a table of the faults that took the most cases."""
    rows = [
        [score.name, _about(score), f"`{score.check}`", str(score.cases)]
        for score in sorted(scores, key=lambda score: -score.cases)[:HARDEST]
    ]
    return table(["fault", "what is wrong", "caught by", "cases"], rows, left=(1, 2))


def every(scores: Iterable[FaultScore]) -> Iterable[str]:
    """Yield a table for each operation: each fault with its check, its number of cases, and the smallest case."""
    ordered = sorted(scores, key=lambda score: list(operations()).index(score.operation))
    for name, group in groupby(ordered, key=lambda score: score.operation):
        rows = [
            [
                score.name,
                _about(score),
                f"`{score.check}`" if score.caught else f"missed {_missed_with(score)}",
                str(score.cases),
                score.case.removeprefix(f"{name} ").replace("|", "\\|"),
            ]
            for score in group
        ]
        heads = ["fault", "what is wrong", "caught by", "cases", "smallest case"]
        title = f"<summary><code>{name}</code>: {len(rows)}</summary>"
        yield f"<details>{title}\n\n{table(heads, rows, left=(1, 2, 4))}\n\n</details>"


def _about(score: FaultScore) -> str:
    return score.about.replace("``", "`").replace("|", "\\|")


def read(file: Path) -> tuple[list[FaultScore], tuple[int, ...]]:
    """Read the scores and seeds of ``rnnspec faults --json``; raise ValueError if the file has another form."""
    with written_by("rnnspec faults"):
        written = json.loads(file.read_text(encoding="utf-8"))
        scores = [FaultScore(**{**one, "missed_seeds": tuple(one["missed_seeds"])}) for one in written["faults"]]
        return scores, tuple(map(int, written["seeds"]))
