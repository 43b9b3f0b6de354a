"""Clipping of gradients by value, by norm, and by global norm, each with its own gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnspec.reference.call import Admitted, Computed
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array


@computes("clip_by_value")
def _clip_by_value(call: Admitted) -> Computed:
    x, threshold = call.floats["x"], call.attributes["threshold"]
    y = np.where(x > threshold, threshold, np.where(x < -threshold, -threshold, x))
    return (y,), lambda dy: {"x": np.where(np.abs(x) <= threshold, dy, 0)}


@computes("clip_by_norm")
def _clip_by_norm(call: Admitted) -> Computed:
    y, _, back = _clipped(call.floats["x"], **call.attributes)
    return (y,), lambda dy: {"x": back(dy, None)}


@computes("clip_by_global_norm")
def _clip_by_global_norm(call: Admitted) -> Computed:
    names = ("x1", "x2", "x3")
    parts = [call.floats[name] for name in names]
    y, norm, back = _clipped(np.concatenate(parts), **call.attributes)
    first, second = parts[0].shape[0], parts[0].shape[0] + parts[1].shape[0]

    def apart(array: Array) -> tuple[Array, Array, Array]:
        return array[:first].copy(), array[first:second].copy(), array[second:].copy()

    def vjp(dy1: Array, dy2: Array, dy3: Array, dnorm: Array) -> dict[str, Array]:
        return dict(zip(names, apart(back(np.concatenate([dy1, dy2, dy3]), dnorm)), strict=True))

    return (*apart(y), norm.reshape(())), vjp


def _clipped(x: Array, threshold: float, epsilon: float) -> tuple[Array, Array, Callable[[Array, Array | None], Array]]:
    """Clip a vector; return it, its norm before ``(1,)``, and the backward pass from the gradients of both.

    The norm is ``m * r``, where m is the greatest magnitude and r the norm of ``u = x / m``, between 1 and √N. No
    square overflows or underflows. The clipped vector, ``threshold * u / (r + epsilon / m)``, is right even if the norm
    itself is too large for the type, or the factor ``threshold / norm`` too small.
    """
    greatest = np.abs(x).max(axis=0, keepdims=True)
    zero = greatest == 0
    m = np.where(zero, 1, greatest)
    u = x / m
    r = np.sqrt((u * u).sum(axis=0, keepdims=True))
    with np.errstate(over="ignore"):
        norm = m * r
        total = norm + epsilon
        fits = total <= threshold
        # The length is used only for a vector that does not fit, and then r + epsilon / m is not 0.
        length = np.where(fits, 1, r + epsilon / m)
    scale = threshold / np.where(fits, threshold, total)
    direction = u / length
    y = np.where(fits, x, direction * threshold)

    def back(dy: Array, dnorm: Array | None) -> Array:
        outward = u / np.where(zero, 1, r)
        along = (outward * dy).sum(axis=0, keepdims=True)
        dx = np.where(fits, dy, (dy - direction * along) * scale)
        return dx if dnorm is None else dx + outward * dnorm

    return y, norm, back
