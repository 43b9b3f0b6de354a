"""The console of the commands, on which names and messages of guests are text, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from rnnspec.backends.words import visible

NARROWEST: Final = 80
"""Columns below which tables would lose what they tell; a terminal that has fewer folds the lines."""

WIDEST: Final = 1000
"""Columns beyond which no line goes: each is filled up with spaces."""


class PlainConsole(Console):
    """A console without markup, that shows control characters in its text in place of obeying them.

    `columns` are those of the terminal itself, which may be fewer than the width.
    """

    columns = NARROWEST

    def render_str(self, text: str, **how: Any) -> Text:
        """Return a string as text; a table measures it as it will be shown."""
        return super().render_str(visible(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments of anything that is shown."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def open_console(file: TextIO | None = None, **more: Any) -> Console:
    """Return a console on standard output, or on a file."""
    console = PlainConsole(file=file, markup=False, emoji=False, **more)
    console.columns = console.width
    console.width = min(max(console.width, NARROWEST), WIDEST)
    return console
