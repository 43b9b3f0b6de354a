"""Drawing of figures as SVG with the same bytes each time: without a date, and with fixed ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, Final

from rnnspec.conformance.hosting.process import environment

STYLE: Final = {
    "svg.hashsalt": "rnnspec",
    "svg.fonttype": "none",
    "font.size": 9,
    "text.parse_math": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def figures() -> Iterator[Any]:
    """Yield ``matplotlib.pyplot`` in this style. The import is here, since only drawing needs matplotlib."""
    with environment(MPLBACKEND=None):  # a name that matplotlib does not know ends its import
        import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        yield pyplot


def svg_of(pyplot: Any, figure: Any) -> str:
    """Return a figure as SVG, the same each time, and close it."""
    file = StringIO()
    _write_powers_plainly(figure)
    figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return file.getvalue()


def _write_powers_plainly(figure: Any) -> None:
    """Have the ticks of logarithmic axes in plain numbers: matplotlib's own are markup, which is read as text here."""
    from matplotlib.ticker import LogFormatterSciNotation

    class Plain(LogFormatterSciNotation):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if type(axis.get_major_formatter()) is LogFormatterSciNotation:
            axis.set_major_formatter(Plain())
        if type(axis.get_minor_formatter()) is LogFormatterSciNotation:
            axis.set_minor_formatter(Plain(labelOnlyBase=False))


def save(pyplot: Any, figure: Any, file: Path) -> Path:
    """Write a figure to a file; return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(svg_of(pyplot, figure), encoding="utf-8")
    return file
