"""The table of all checks in docs/checks.md."""

from __future__ import annotations

from typing import Final

from rnnspec.conformance.checks import CHECKS

NAME: Final = "checks"
"""Name of the table in the page."""


def table() -> str:
    """Return all checks as a Markdown table."""
    rows = [f"| `{check.id}` | {check.level} | {check.about} | {check.why} |" for check in CHECKS]
    return "\n".join(["| id | level | what is asked | why |", "| --- | --- | --- | --- |", *rows])
