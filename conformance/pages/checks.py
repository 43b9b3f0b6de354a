"""All checks, as a table: the tables of docs/checks.md."""

from __future__ import annotations

from typing import Final

from rnnspec.conformance.checks import CHECKS
from rnnspec.spec import operations

NAME: Final = "checks"
"""All checks, as a table: the tables of docs/checks.md."""


def table() -> str:
    """All checks, as a table: the tables of docs/checks.md."""
    rows = []
    for check in CHECKS:
        asked = len(check.operations())
        of = "all" if asked == len(operations()) else str(asked)
        rows.append(f"| `{check.id}` | {check.level} | {check.about} | {check.why} | {of} |")
    head = ["| id | level | what is asked | why | of operations |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows])
