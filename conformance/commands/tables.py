"""Tables of the commands."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table


def titled(title: str, columns: Iterable[str], right: Iterable[str] = ()) -> Table:
    """A table under a title, with columns of words and then those of numbers on the right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for column in right:
        table.add_column(column, justify="right")
    return table
