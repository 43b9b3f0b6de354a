"""Plots of a run, as SVG: time, ratio, efficiency and growth. Needs matplotlib."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.conformance.bench.outcome import BenchOutcome, BenchReport
from rnnspec.conformance.bench.table import duration
from rnnspec.conformance.report.drawing import figures, svg_of


@dataclass(frozen=True)
class Plot:
    """A plot's title, its caption, and its drawing as an ``<svg>`` element."""

    title: str
    about: str
    svg: str


def draw(report: BenchReport) -> list[Plot]:
    """Draw every plot that the run has data for."""
    timed = [outcome for outcome in report.outcomes if outcome.results]
    plots = []
    with figures() as pyplot:
        for title, about, drawn in _all(report, timed, pyplot):
            text = svg_of(pyplot, drawn)
            plots.append(Plot(title, about, text[text.index("<svg") :]))
    return plots


def _all(report: BenchReport, timed: list[BenchOutcome], pyplot: Any) -> Iterator[tuple[str, str, Any]]:
    about = "Seconds of a call: median, and the middle half of the rounds."
    yield "Time", about, _rows(report, timed, pyplot, _time, duration)
    if any(len(outcome.results) > 1 for outcome in timed):
        about = "Time as a multiple of the first backend's, with the 95 % interval; left of the line is faster."
        yield "Ratio", about, _rows(report, timed, pyplot, _ratio, lambda value: f"{value:g}×", base=2, line=True)
    if any(outcome.efficiency(name) is not None for outcome in timed for name in outcome.results):
        about = "The least time that the machine's peaks allow, as a share of the time taken: 100 % is the roofline."
        yield "Efficiency", about, _rows(report, timed, pyplot, _efficiency, lambda value: f"{value:,.10g} %", line=100)
    for title in report.growths():
        yield f"Growth: {title}", "Median time against size, and the fitted power.", _growth(report, title, pyplot)


Row = Callable[[Any, BenchOutcome, str, float, str], None]


_WIDTH = 5.0
"""Inches of a plot: its words stay readable where a phone shows it at three quarters of that."""


def _rows(
    report: BenchReport,
    timed: list[BenchOutcome],
    pyplot: Any,
    row: Row,
    told: Callable[[float], str],
    *,
    base: int = 10,
    line: float = 0,
) -> Any:
    """A row for each contest below its name, with a point for each contender; `line` adds a vertical line there.

    Ticks are powers of the base, in the words that `told` has for them.
    """
    names = report.contenders
    height = 0.35 + 0.17 * len(names)
    figure, axis = pyplot.subplots(figsize=(_WIDTH, 1.0 + 0.22 * len(names) + height * len(timed)))
    for place, outcome in enumerate(timed):
        for number, name in enumerate(names):
            if name in outcome.results:
                row(axis, outcome, name, place + 0.6 * (number + 0.5) / len(names), f"C{number}")
        axis.text(
            0.01, place - 0.05, outcome.contest.name,
            transform=axis.get_yaxis_transform(), va="bottom", fontsize=8, clip_on=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},  # no line of the axis runs through it
        )  # fmt: skip
    for number, name in enumerate(names):
        axis.plot([], [], "o", color=f"C{number}", label=name)
    axis.set_yticks([])
    axis.set_ylim(len(timed) - 0.25, -0.6)
    axis.set_xscale("log")
    if line:
        axis.axvline(line, color="black", linewidth=0.5)
    low, high = axis.get_xlim()
    ticks = _ticks(low, high, base, line)
    axis.set_xlim(ticks[0] / base**0.1, ticks[-1] * base**0.1)
    axis.minorticks_off()
    axis.set_xticks(ticks, [told(tick) for tick in ticks])
    axis.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=1, borderaxespad=0.2)
    return figure


_MOST_TICKS = 8
"""Ticks that have room below a plot."""


def _ticks(low: float, high: float, base: int, line: float) -> list[float]:
    """Powers of the base around what is shown, the line among them; of 10 where the base has too many."""
    if line:
        low, high = min(low, line), max(high, line)
    first, last = math.floor(math.log(low, base) + 1e-9), math.ceil(math.log(high, base) - 1e-9)
    if last - first >= _MOST_TICKS and base < 10:
        return _ticks(low, high, 10, line)
    step = -(-(last - first + 1) // _MOST_TICKS)
    return [float(base) ** power for power in range(first, last + 1) if power % step == 0]


def _time(axis: Any, outcome: BenchOutcome, name: str, y: float, colour: str) -> None:
    low, median, high = np.quantile(outcome.results[name].timing.times, (0.25, 0.5, 0.75))
    _point(axis, median, low, high, y, colour)


def _ratio(axis: Any, outcome: BenchOutcome, name: str, y: float, colour: str) -> None:
    ratio = outcome.ratio(name)
    if ratio is not None:
        _point(axis, *ratio, y, colour)


def _efficiency(axis: Any, outcome: BenchOutcome, name: str, y: float, colour: str) -> None:
    share = outcome.efficiency(name)
    if share is not None:
        _point(axis, 100 * share, 100 * share, 100 * share, y, colour)


def _point(axis: Any, value: float, low: float, high: float, y: float, colour: str) -> None:
    axis.plot([low, high], [y, y], color=colour)
    axis.plot([value], [y], "o", color=colour, markersize=4)


def _growth(report: BenchReport, title: str, pyplot: Any) -> Any:
    figure, axis = pyplot.subplots(figsize=(_WIDTH, 3.5))
    sizes = np.array([outcome.contest.size for outcome in report.series()[title]])
    for number, (name, growth) in enumerate(report.growths()[title].items()):
        points = [
            (outcome.contest.size, outcome.results[name].timing.median)
            for outcome in report.series()[title]
            if name in outcome.results
        ]
        axis.plot(*np.array(points).T, "o", color=f"C{number}")
        label = f"{name}: {growth.exponent.value:.2f} ({growth.exponent.low:.2f} – {growth.exponent.high:.2f})"
        axis.plot(sizes, growth.factor * sizes**growth.exponent.value, color=f"C{number}", label=label)
    axis.set(xscale="log", yscale="log", xlabel=title.rpartition(", ")[2], ylabel="seconds")
    axis.set_xticks(sizes, [str(int(size)) for size in sizes])
    axis.minorticks_off()
    axis.legend(frameon=False)
    return figure
