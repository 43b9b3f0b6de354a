"""Pictures of what a model has learned: matrices of confusion, forecasts beside the truth, maps of attention.

A picture is data until it is drawn, so that a lesson needs no matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.spec.arrays import Array


@dataclass(frozen=True)
class Picture:
    """A picture's title, what it shows, and the function that draws it with pyplot and returns a figure."""

    title: str
    about: str
    draw: Callable[[Any], Any]


def confusion(right: Array, found: Array, names: Sequence[str]) -> Picture:
    """Return how often each class was taken for which."""
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (right.ravel(), found.ravel()), 1)

    def draw(pyplot: Any) -> Any:
        figure, axis = pyplot.subplots(figsize=(5, 4.6))
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            if counts[row, column]:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axis.text(column, row, counts[row, column], ha="center", va="center", fontsize=7, color=colour)
        axis.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axis.set_yticks(range(len(names)), names)
        axis.set(xlabel="found", ylabel="right")
        return figure

    return Picture("Confusion", "How many of each class (row) were taken for which (column).", draw)


def forecast(truth: Array, found: Array, unit: str, most: int = 240) -> Picture:
    """Return a forecast beside the truth, of the first hours."""

    def draw(pyplot: Any) -> Any:
        figure, axis = pyplot.subplots(figsize=(7, 3))
        axis.plot(truth[:most], color="black", lw=1, label="truth")
        axis.plot(found[:most], color="C0", lw=1, label="forecast of the hour before")
        axis.set(xlabel="hour", ylabel=unit)
        axis.legend(frameon=False)
        return figure

    return Picture("Forecast and truth", f"The first {min(most, len(truth))} hours that were not trained with.", draw)


def attention(weights: Array, labels: Sequence[str], about: str) -> Picture:
    """Return a map of weights, ``(rows, columns)``, with the rows' labels."""

    def draw(pyplot: Any) -> Any:
        figure, axis = pyplot.subplots(figsize=(7, 0.8 + 0.3 * len(weights)))
        shown = axis.imshow(weights, cmap="viridis", aspect="auto", vmin=0)
        axis.set_yticks(range(len(labels)), labels)
        axis.set_xlabel("feature")
        figure.colorbar(shown)
        return figure

    return Picture("Attention", about, draw)


def losses(means: Sequence[float], pieces: Sequence[float]) -> Picture:
    """Return the curves of the loss: of each batch, and the mean of each epoch."""

    def draw(pyplot: Any) -> Any:
        figure, axis = pyplot.subplots(figsize=(7, 3))
        steps = np.arange(1, len(pieces) + 1)
        axis.semilogy(steps, pieces, color="C0", lw=0.5, alpha=0.6, label="batch")
        each = len(pieces) / max(len(means), 1)
        axis.semilogy(each * (np.arange(len(means)) + 0.5), means, "o-", ms=3, color="black", label="mean of an epoch")
        axis.set(xlabel="step", ylabel="loss")
        axis.legend(frameon=False)
        return figure

    return Picture("Loss", "The loss of each batch, and its mean over each epoch.", draw)
