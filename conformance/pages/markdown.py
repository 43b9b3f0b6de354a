"""Tables in Markdown, and their places in pages."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from rnnspec.conformance.run.files import write_bytes


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = ()) -> str:
    """Return a table; the first column and the columns with indices in `left` are aligned left, the others right."""
    sides = ["---" if column == 0 or column in left else "---:" for column in range(len(heads))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, sides, *rows))


@contextmanager
def written_by(command: str) -> Iterator[None]:
    """Raise ValueError, which names the command, if what is read here has another form than its JSON."""
    try:
        yield
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"expected a file that `{command} --json` wrote, got {error!r}") from error


def fill_in(path: Path, tables: Mapping[str, str]) -> None:
    """Replace a page's tables; raise ClickException, and write nothing, if the page has no place for one."""
    try:
        text = filled_in(path.read_text(encoding="utf-8"), tables)
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from error
    write_bytes(path, text.encode())


def filled_in(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with its tables replaced; raise ValueError if it has no place for one."""
    for name, text in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"expected a line {begin.strip()!r}, and {end.strip()!r} after it, in the page")
        page = f"{before}{begin}{text}\n{end}{after}"
    return page
