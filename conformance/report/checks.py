"""All checks, as a table within a page for people.

``python -m rnnspec.conformance.report.checks docs/checks.md`` makes the table again, from the checks, and leaves all
that is written around it as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.report.markdown import fill_in

NAME: Final = "checks"
"""Of the table's place in the page."""


def table() -> str:
    """Return every check with its level, what it asks and what for, as Markdown."""
    rows = [f"| `{check.id}` | {check.level} | {check.about} | {check.why} |" for check in CHECKS]
    return "\n".join(["| id | level | what is asked | why |", "| --- | --- | --- | --- |", *rows])


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("page", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(page: Path) -> None:
    """Fill in the table of PAGE."""
    fill_in(page, {NAME: table()})


if __name__ == "__main__":
    main()
