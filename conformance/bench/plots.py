"""Plots of a run, as SVG: time, ratio, efficiency and growth. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.conformance.bench.drawing import figures, svg_of
from rnnspec.conformance.bench.outcome import Outcome, Report


@dataclass(frozen=True)
class Plot:
    """A plot's title, its caption, and its drawing as an ``<svg>`` element."""

    title: str
    about: str
    svg: str


def draw(report: Report) -> list[Plot]:
    """Draw every plot that the run has data for."""
    timed = [outcome for outcome in report.outcomes if outcome.results]
    plots = []
    with figures() as pyplot:
        for title, about, drawn in _all(report, timed, pyplot):
            text = svg_of(pyplot, drawn)
            plots.append(Plot(title, about, text[text.index("<svg") :]))
    return plots


def _all(report: Report, timed: list[Outcome], pyplot: Any) -> Iterator[tuple[str, str, Any]]:
    about = "Seconds of a call: median, and the middle half of the rounds."
    yield "Time", about, _rows(report, timed, pyplot, _time, "seconds")
    if any(len(outcome.results) > 1 for outcome in timed):
        about = "Time as a multiple of the first backend's, with the 95 % interval; left of the line is faster."
        yield "Ratio", about, _rows(report, timed, pyplot, _ratio, "× first", line=True)
    if any(outcome.efficiency(name) is not None for outcome in timed for name in outcome.results):
        about = "The least time that the machine's peaks allow, as a share of the time taken: 1 is the roofline."
        yield "Efficiency", about, _rows(report, timed, pyplot, _efficiency, "share", line=True)
    for title in report.growths():
        yield f"Growth: {title}", "Median time against size, and the fitted power.", _growth(report, title, pyplot)


Row = Callable[[Any, Outcome, str, float, str], None]


def _rows(report: Report, timed: list[Outcome], pyplot: Any, row: Row, label: str, *, line: bool = False) -> Any:
    """A row for each contest, with a point for each contender; `line` adds a vertical line at 1."""
    names = report.contenders
    figure, axis = pyplot.subplots(figsize=(9, 1.2 + 0.2 * len(timed) * (1 + len(names))))
    for place, outcome in enumerate(timed):
        for number, name in enumerate(names):
            if name in outcome.results:
                row(axis, outcome, name, place + 0.8 * ((number + 0.5) / len(names) - 0.5), f"C{number}")
    for number, name in enumerate(names):
        axis.plot([], [], "o", color=f"C{number}", label=name)
    axis.set_yticks(range(len(timed)), [outcome.contest.name for outcome in timed])
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel=label)
    if line:
        axis.axvline(1, color="black", linewidth=0.5)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _time(axis: Any, outcome: Outcome, name: str, y: float, colour: str) -> None:
    low, median, high = np.quantile(outcome.results[name].timing.times, (0.25, 0.5, 0.75))
    _point(axis, median, low, high, y, colour)


def _ratio(axis: Any, outcome: Outcome, name: str, y: float, colour: str) -> None:
    ratio = outcome.ratio(name)
    if ratio is not None:
        _point(axis, *ratio, y, colour)


def _efficiency(axis: Any, outcome: Outcome, name: str, y: float, colour: str) -> None:
    share = outcome.efficiency(name)
    if share is not None:
        _point(axis, share, share, share, y, colour)


def _point(axis: Any, value: float, low: float, high: float, y: float, colour: str) -> None:
    axis.plot([low, high], [y, y], color=colour)
    axis.plot([value], [y], "o", color=colour, markersize=4)


def _growth(report: Report, title: str, pyplot: Any) -> Any:
    figure, axis = pyplot.subplots(figsize=(5, 3.5))
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
