"""Every single edit of the equations as a table, from what ``rnnspec faults --edits --json FILE`` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rnnspec.conformance.faults.edits import EditScore
from rnnspec.conformance.pages.markdown import table
from rnnspec.spec import operations


def sections(scores: Sequence[EditScore]) -> dict[str, str]:
    """The page's table by its name, as Markdown: the edits of each operation, and those that survive."""
    rows = [_row(f"`{score.operation}`", [score]) for score in scores]
    heads = ["operation", "edits", "asked", "caught", "equivalent", "cannot run", "surviving"]
    survivors = [
        f"- `{score.operation}`: `{one['edit']}`, shown by `{one['case']}`"
        for score in scores
        for one in score.surviving
    ]
    text = table(heads, [*rows, _row("all", scores)])
    return {"edits": "\n\n".join([text, "Surviving:\n\n" + "\n".join(survivors)] if survivors else [text])}


def _row(name: str, scores: Iterable[EditScore]) -> list[str]:
    numbers = [
        (score.all_edits, score.edits, score.caught, score.equivalent, score.cannot_run, len(score.surviving))
        for score in scores
    ]
    return [name, *(str(sum(column)) for column in zip(*numbers, strict=True))]


def read(files: Iterable[Path]) -> list[EditScore]:
    """Read what ``rnnspec faults --edits --json`` wrote, in the specification's order of the operations.

    Raises ValueError if a file is something else, or if two tell of the same operation.
    """
    found: dict[str, EditScore] = {}
    for file in files:
        try:
            written = json.loads(file.read_text(encoding="utf-8"))
            scores = [EditScore(**{**one, "surviving": tuple(one["surviving"])}) for one in written["edits"]]
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            message = f"{file}: expected a file that `rnnspec faults --edits --json` wrote, got {error!r}"
            raise ValueError(message) from error
        for score in scores:
            if score.operation in found:
                raise ValueError(f"{file}: expected each operation once, got {score.operation} again")
            found[score.operation] = score
    return [found[name] for name in operations() if name in found]
