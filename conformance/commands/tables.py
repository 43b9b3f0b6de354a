"""Tables of the commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table


def titled(
    title: str, columns: Iterable[str], right: Iterable[str] = (), least: Mapping[str, int] | None = None
) -> Table:
    """A table under a title, with columns of words and then those of numbers on the right.

    The first column has what must be typed, which is never cut; `least` has the widths of other columns below which
    their words would be.
    """
    table = Table(title=title or None, title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place == 0, min_width=(least or {}).get(column))
    for column in right:
        table.add_column(column, justify="right")
    return table
