"""The figures of docs/gradients.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rnnspec.conformance.pages import gradient_numbers as numbers
from rnnspec.conformance.report.drawing import figures, save


def draw_all(folder: Path) -> list[Path]:
    """Draw every plot into a folder; return the files. Needs matplotlib."""
    files = []
    with figures() as pyplot:
        for name, draw in (
            ("powers", _powers),
            ("jacobian", _jacobian),
            ("clipping", _clipping),
            ("descent", _descent),
        ):
            files.append(save(pyplot, draw(pyplot), folder / f"{name}.svg"))
    return files


def _powers(pyplot: Any) -> Any:
    """Distribution of the entries' magnitudes above, singular values below."""
    spectra = numbers.spectra()
    k = np.arange(1, numbers.POWERS + 1)
    figure, axes = pyplot.subplots(2, len(spectra), figsize=(9, 5.4), sharex=True, sharey="row")
    for column, (about, spectrum) in enumerate(spectra.items()):
        above, below = axes[:, column]
        for low, high, shade in ((0.05, 0.95, 0.2), (0.25, 0.75, 0.4)):
            above.fill_between(
                k, spectrum.magnitude(low), spectrum.magnitude(high), alpha=shade, color="C0", linewidth=0
            )
        above.plot(k, spectrum.magnitude(0.5), color="C0")
        above.plot(k, spectrum.magnitude(1.0), color="C3", linewidth=1)
        above.set(yscale="log", title=about)
        largest = spectrum.singular_values[:, :1]
        # Values below the largest one's rounding error are only that error.
        shown = np.where(spectrum.singular_values > 1e-14 * largest, spectrum.singular_values, np.nan)
        below.plot(k, shown, color="C0", linewidth=0.5, alpha=0.6)
        below.plot(k, largest, color="C3")
        below.set(yscale="log", xlabel="k", ylim=(1e-9, 1e3))
    axes[0, 0].set_ylabel("magnitude of the entries")
    axes[1, 0].set_ylabel("singular values")
    return figure


def _jacobian(pyplot: Any) -> Any:
    """The typical norm of each layer's Jacobian, and the range over the sequences."""
    figure, axis = pyplot.subplots(figsize=(9, 4.5))
    apart = np.arange(1, numbers.STEPS + 1)
    for about, norms in numbers.jacobian_norms().items():
        (line,) = axis.plot(apart, numbers.typical(norms), label=about)
        axis.fill_between(apart, norms.min(axis=0), norms.max(axis=0), color=line.get_color(), alpha=0.15, linewidth=0)
    axis.axhline(1, color="black", linewidth=0.5)
    axis.set(yscale="log", ylim=(1e-16, 1e9), xlabel="t - k", ylabel="spectral norm of ds[t]/ds[k]")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def _clipping(pyplot: Any) -> Any:
    """Length and direction of a clipped gradient."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3))
    for name, clipped in numbers.clipped_gradients().items():
        left.plot(clipped.before, clipped.after, label=name)
        right.plot(clipped.before, clipped.cosine, label=name)
    left.set(xscale="log", yscale="log", xlabel="norm before", ylabel="norm after")
    right.set(xscale="log", xlabel="norm before", ylabel="cosine to the gradient before", ylim=(0.7, 1.02))
    left.legend(frameon=False)
    return figure


def _descent(pyplot: Any) -> Any:
    """The loss around the wall with the clipped descent, and both descents' losses and gradients."""
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    weights, biases = np.linspace(3.8, 5.6, 61), np.linspace(-3.8, -1.4, 61)
    surface = left.contourf(weights, biases, numbers.loss_surface(weights, biases), levels=16, cmap="Greys")
    figure.colorbar(surface, ax=left)
    left.set(xlabel="recurrent weight", ylabel="bias", title="loss")
    for number, (name, descent) in enumerate(numbers.descents().items()):
        left.plot(*descent.places.T, color=f"C{number}", linewidth=1, marker=".", markersize=3)
        middle.plot(descent.losses, color=f"C{number}", label=name)
        right.plot(np.maximum(descent.norms, 1e-12), color=f"C{number}", label=name)
    left.plot(*numbers.START, color="red", marker="o", markersize=4)
    left.set(xlim=(weights[0], weights[-1]), ylim=(biases[0], biases[-1]))
    middle.set(xlabel="step", title="loss", yscale="log")
    right.set(xlabel="step", title="norm of the gradient, before clipping", yscale="log")
    middle.legend(frameon=False)
    return figure
