"""Drawing of figures as SVG files with the same bytes each time: without a date, and with fixed ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

STYLE: Final = {
    "svg.hashsalt": "rnnspec",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def figures() -> Iterator[Any]:
    """Yield ``matplotlib.pyplot`` in this style. The import is here, since only drawing needs matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        yield pyplot


def save(pyplot: Any, figure: Any, file: Path) -> Path:
    """Write a figure to a file, the same bytes each time; return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return file
