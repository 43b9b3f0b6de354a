"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = ()) -> str:
    """A table; the first column and those of the indices `left` are aligned left, the others right."""
    sides = ["---" if column == 0 or column in left else "---:" for column in range(len(heads))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, sides, *rows))
