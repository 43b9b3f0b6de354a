"""Distribution of error ratios, drawn from the files of soaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rnnspec.conformance.report.drawing import figures, save
from rnnspec.conformance.soak.statistics import SMALLEST, upper_edge

FROM: Final = 1e-4
"""Smallest ratio in the plot; smaller ones count, but are not shown."""


def draw(reports: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the share of answers with a larger error ratio, for each backend and type. Needs matplotlib."""
    with figures() as pyplot:
        figure, axes = pyplot.subplots(1, len(reports), figsize=(4.5 * len(reports), 3.5), sharey=True, squeeze=False)
        for axis, report in zip(axes[0], reports, strict=True):
            for row in report["by_dtype"]:
                axis.step(*larger_than(row["histogram"]), where="post", label=row["dtype"])
            axis.axvline(1, color="black", linewidth=1)
            axis.set(xscale="log", yscale="log", xlim=(FROM, 2), xlabel="error / bound", title=report["backend"])
        axes[0, 0].set_ylabel("share of the answers with more")
        axes[0, -1].legend(frameon=False, loc="lower left")
        save(pyplot, figure, path)


def larger_than(histogram: Mapping[str, int]) -> tuple[Any, Any]:
    """Return the shown ratios in ascending order, and the share of all ratios that is larger than each."""
    bins = sorted(int(number) for number in histogram)
    counts = np.array([histogram[str(number)] for number in bins])
    edges = np.array([0.0 if number == SMALLEST else upper_edge(number) for number in bins])
    shown = edges >= FROM / 2  # points outside the plot would only enlarge the file
    return edges[shown], (1 - np.cumsum(counts) / counts.sum())[shown]
