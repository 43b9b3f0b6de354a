"""Numbers of docs/gradients.md, computed by operations of the reference, and the page's tables of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rnnspec import reference
from rnnspec.conformance.pages.markdown import table
from rnnspec.spec.arrays import Array

UNITS: Final = 64
POWERS: Final = 32
STEPS: Final = 100
THRESHOLD: Final = 1.0

# Powers of recurrent weights.


@dataclass(frozen=True)
class Spectrum:
    """Entries ``(N, H * H)`` and singular values ``(N, H)`` of the powers of one matrix."""

    entries: Array
    singular_values: Array

    def magnitude(self, quantile: float) -> Array:
        """Return a quantile of the entries' magnitudes for each power, ``(N,)``."""
        return np.asarray(np.quantile(np.abs(self.entries), quantile, axis=1))


def with_radius(radius: float, units: int = UNITS, seed: int = 1) -> Array:
    """Return a random normal matrix whose largest eigenvalue has the magnitude `radius`."""
    R = np.random.default_rng(seed).standard_normal((units, units))
    return np.asarray(R * (radius / np.abs(np.linalg.eigvals(R)).max()))


def orthogonal(units: int = UNITS, seed: int = 1) -> Array:
    """Return a random orthogonal matrix: all its eigenvalues and singular values have magnitude 1."""
    return np.asarray(np.linalg.qr(np.random.default_rng(seed).standard_normal((units, units)))[0])


def spectra() -> dict[str, Spectrum]:
    """Return the spectra of matrices with spectral radius 0.9 and 1.1, and of an orthogonal one."""
    matrices = {"ρ = 0.9": with_radius(0.9), "ρ = 1.1": with_radius(1.1), "orthogonal": orthogonal()}
    return {about: Spectrum(*reference.recurrent_power_spectrum(R, powers=POWERS)) for about, R in matrices.items()}


# Layers, and the norm of their states' Jacobians.


def _layer(gates: int, units: int, radius: float, inputs: float, seed: int) -> dict[str, Array]:
    """Parameters of a layer with 4 features and zero biases, and its normally distributed inputs of 8 sequences."""
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((8, STEPS, 4)),
        "W": inputs * rng.standard_normal((gates, units, 4)) / 2,
        "R": np.stack([with_radius(radius, units, seed + gate) for gate in range(gates)]),
        "b": np.zeros((gates, units)),
    }


def _with_bias(parameters: Mapping[str, Array], gate: int, bias: float) -> dict[str, Array]:
    b = parameters["b"].copy()
    b[gate] = bias
    return {**parameters, "b": b}


def jacobian_norms(units: int = 16) -> dict[str, Array]:
    """Return the norms ``(B, T)`` of the Jacobian of each step's state by the initial state, for each layer."""
    lstm, gru = _layer(4, units, 0.9, 1.0, 10), _layer(3, units, 0.9, 1.0, 20)
    layers: dict[str, tuple[Any, Mapping[str, Any]]] = {
        "rnn, ρ(R) = 0.9": ("rnn", _layer(1, units, 0.9, 1.0, 30)),
        "rnn, ρ(R) = 3, small inputs": ("rnn", _layer(1, units, 3.0, 0.1, 32)),
        "lstm, forget gate closed (b = -3)": ("lstm", _with_bias(lstm, 1, -3.0)),
        "lstm, forget gate half open (b = 0)": ("lstm", lstm),
        "lstm, forget gate open (b = 5)": ("lstm", _with_bias(lstm, 1, 5.0)),
        "gru, update gate half open (b = 0)": ("gru", gru),
        "gru, update gate keeps (b = 5)": ("gru", _with_bias(gru, 1, 5.0)),
    }
    return {about: reference.state_jacobian(**inputs, layer=layer)[1] for about, (layer, inputs) in layers.items()}


def typical(norms: Array) -> Array:
    """Return the geometric mean over the sequences for each step; a norm of 0 counts as the smallest number."""
    return np.asarray(np.exp(np.log(np.maximum(norms, np.finfo(np.float64).tiny)).mean(axis=0)))


# Clipping.


@dataclass(frozen=True)
class Clipped:
    """Norms before and after clipping, and the cosine of the angle by which clipping turns the gradient."""

    before: Array
    after: Array
    cosine: Array


def clipped_gradients(points: int = 61) -> dict[str, Clipped]:
    """Clip one gradient of 50 numbers, scaled to norms from 0.01 to 1000, by value and by norm."""
    direction = np.random.default_rng(3).standard_normal(50)
    direction /= np.linalg.norm(direction)
    before = np.logspace(-2, 3, points)
    ways: dict[str, Any] = {"by value": reference.clip_by_value, "by norm": reference.clip_by_norm}
    results = {}
    for name, clip in ways.items():
        y = np.stack([clip(norm * direction, threshold=THRESHOLD)[0] for norm in before])
        after = np.linalg.norm(y, axis=1)
        results[name] = Clipped(before, after, y @ direction / after)
    return results


START: Final = (4.4, -3.55)
"""Recurrent weight and bias at the beginning of the descents."""

RATE: Final = 0.3
TARGET: Final = 0.7
DESCENT_STEPS: Final = 150
DESCENT_THRESHOLD: Final = 1.0


def last_state(weight: float, bias: float, with_gradient: bool = True) -> tuple[float, Array]:
    """Return the loss of a network of one unit with the target TARGET after 50 steps, and its gradient ``(2,)``."""
    arguments: dict[str, Any] = {
        "x": np.zeros((1, 50, 1)),
        "W": np.zeros((1, 1, 1)),
        "R": np.full((1, 1, 1), weight),
        "b": np.full((1, 1), bias),
        "h0": np.full((1, 1), 0.5),
    }
    if not with_gradient:
        _, h = reference.rnn(**arguments, activation="logistic")
        (loss,) = reference.mean_squared_error(h[:, np.newaxis], np.full((1, 1, 1), TARGET))
        return float(loss), np.zeros(2)
    (y, h), back = reference.rnn_vjp(**arguments, activation="logistic")
    (loss,), loss_back = reference.mean_squared_error_vjp(h[:, np.newaxis], np.full((1, 1, 1), TARGET))
    dh = loss_back(np.ones(()))["prediction"][:, 0]
    gradients = back(np.zeros_like(y), dh)
    return float(loss), np.array([gradients["R"].item(), gradients["b"].item()])


@dataclass(frozen=True)
class Descent:
    """A gradient descent: places ``(steps, 2)``, and at each the loss and the gradient's norm before clipping."""

    places: Array
    losses: Array
    norms: Array


def descents() -> dict[str, Descent]:
    """Return gradient descents from START, without and with clipping by norm."""
    found = {}
    for name, threshold in (("not clipped", None), ("clipped by norm", DESCENT_THRESHOLD)):
        place, places, losses, norms = np.array(START), [], [], []
        for _ in range(DESCENT_STEPS):
            loss, gradient = last_state(*place)
            places.append(place)
            losses.append(loss)
            norms.append(float(np.linalg.norm(gradient)))
            if threshold is not None:
                (gradient,) = reference.clip_by_norm(gradient, threshold=threshold)
            place = place - RATE * gradient
        found[name] = Descent(np.stack(places), np.array(losses), np.array(norms))
    return found


def loss_surface(weights: Array, biases: Array) -> Array:
    """Return the loss at every pair of a weight and a bias, ``(biases, weights)``."""
    return np.array([[last_state(w, b, with_gradient=False)[0] for w in weights] for b in biases])


# The tables of the page.


def tables() -> dict[str, str]:
    """Return the tables of docs/gradients.md by name, as Markdown."""
    return {"powers": _powers(), "jacobian": _jacobian(), "clipping": _clipping(), "descent": _descent()}


def _powers() -> str:
    shown = (1, 2, 4, 8, 16, 32)
    rows = []
    for about, spectrum in spectra().items():
        for name, values in (
            ("median entry", spectrum.magnitude(0.5)),
            ("largest entry", spectrum.magnitude(1.0)),
            ("largest singular value", spectrum.singular_values[:, 0]),
            ("median singular value", np.median(spectrum.singular_values, axis=1)),
        ):
            rows.append([f"{about}: {name}", *(_figure(values[k - 1]) for k in shown)])
    return table(["", *(f"k = {k}" for k in shown)], rows)


def _jacobian() -> str:
    shown = (1, 2, 5, 10, 20, 50, 100)
    norms = {about: typical(norm) for about, norm in jacobian_norms().items()}
    rows = ([about, *(_figure(norm[steps - 1]) for steps in shown)] for about, norm in norms.items())
    return table(["", *(f"t - k = {steps}" for steps in shown)], rows)


def _clipping() -> str:
    shown = (0.1, 1.0, 10.0, 100.0, 1000.0)
    rows = []
    for name, clipped in clipped_gradients().items():
        places = [int(np.argmin(np.abs(np.log(clipped.before / norm)))) for norm in shown]
        rows.append([f"{name}: norm after", *(_figure(clipped.after[place]) for place in places)])
        rows.append([f"{name}: cosine", *(_figure(clipped.cosine[place]) for place in places)])
    return table(["norm before", *(f"{norm:g}" for norm in shown)], rows)


def _descent() -> str:
    rows = []
    for name, path in descents().items():
        figures = (path.norms.max(), path.losses[0], np.median(path.losses[-20:]))
        rows.append([name, *(_figure(float(figure)) for figure in figures)])
    return table(["", "largest gradient norm", "first loss", "median of the last 20 losses"], rows)


def _figure(value: float) -> str:
    return f"{value:.2g}" if 1e-3 < value < 1e3 else f"{value:.1e}"
