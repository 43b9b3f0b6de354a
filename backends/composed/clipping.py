"""Clipping of gradients: by value, by norm, by the norm of all together."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import Array, Arrays, Many
from rnnspec.backends.composed.norms import norm


def clip_by_value(xp: Arrays, *, x: Array, threshold: float) -> Many:
    """Each number brought to the nearer end of -threshold .. threshold; at the ends the slope is 1."""
    return (xp.where(x > threshold, threshold, xp.where(x < -threshold, -threshold, x)),)


def clip_by_norm(xp: Arrays, *, x: Array, threshold: float, epsilon: float) -> Many:
    """Make the vector as long as the threshold if it is longer."""
    wide = xp.widened(x)
    return (xp.astype(wide * _scale(xp, norm(xp, wide), threshold, epsilon), x.dtype),)


def clip_by_global_norm(xp: Arrays, *, x1: Array, x2: Array, x3: Array, threshold: float, epsilon: float) -> Many:
    """Shorten the vectors, put end to end, to the threshold; and their norm before that."""
    wide = [xp.widened(x) for x in (x1, x2, x3)]
    length = norm(xp, xp.concat(wide))
    scale = _scale(xp, length, threshold, epsilon)
    return (*(xp.astype(x * scale, x1.dtype) for x in wide), xp.astype(length[0], x1.dtype))


def _scale(xp: Arrays, length: Array, threshold: float, epsilon: float) -> Array:
    """What brings the length to the threshold: exactly 1, and constant, if it is not above."""
    length = length + epsilon
    above = length > threshold
    return xp.where(above, threshold / xp.where(above, length, 1.0), 1.0)
