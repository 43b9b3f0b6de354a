"""Tables in Markdown, and the pages that they stand in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import click

from rnnspec.conformance.run.files import write_bytes


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = ()) -> str:
    """A table; the first column and those of the indices `left` are aligned left, the others right."""
    sides = ["---" if column == 0 or column in left else "---:" for column in range(len(heads))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, sides, *rows))


def fill_in(path: Path, tables: Mapping[str, str]) -> None:
    """Put these tables in place of a page's own; ClickException if it has no place for one, and nothing is written."""
    try:
        text = filled_in(path.read_text(encoding="utf-8"), tables)
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from error
    write_bytes(path, text.encode())


def filled_in(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with these tables in place of its own; ValueError if it has no place for one."""
    for name, text in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"expected a line {begin.strip()!r}, and {end.strip()!r} after it, in the page")
        page = f"{before}{begin}{text}\n{end}{after}"
    return page
