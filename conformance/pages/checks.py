"""All checks, as a table: the tables of docs/checks.md."""

from __future__ import annotations

from typing import Final

from rnnspec.conformance.checks import CHECKS

NAME: Final = "checks"
"""All checks, as a table: the tables of docs/checks.md."""


def table() -> str:
    """Return every check with its level, what it asks and what for, as Markdown."""
    rows = [f"| `{check.id}` | {check.level} | {check.about} | {check.why} |" for check in CHECKS]
    return "\n".join(["| id | level | what is asked | why |", "| --- | --- | --- | --- |", *rows])
