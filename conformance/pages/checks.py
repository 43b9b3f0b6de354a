"""The table of all checks in docs/checks.md."""

from __future__ import annotations

from typing import Final

from rnnspec.conformance.checks import CHECKS
from rnnspec.spec import operations

NAME: Final = "checks"
"""Name of the table in the page."""


def table() -> str:
    """Return all checks as a Markdown table."""
    rows = []
    for check in CHECKS:
        asked = len(check.operations())
        of = "all" if asked == len(operations()) else str(asked)
        rows.append(f"| `{check.id}` | {check.level} | {check.about} | {check.why} | {of} |")
    head = ["| id | level | what is asked | why | of operations |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows])
