"""Clipping of gradients: by value, by norm, by the norm of all together."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.norms import measured_norm


def clip_by_value(xp: ArrayNamespace, *, x: Tensor, threshold: float) -> Many:
    """Each number brought to the nearer end of -threshold .. threshold; at the ends the slope is 1."""
    return (xp.where(x > threshold, threshold, xp.where(x < -threshold, -threshold, x)),)


def clip_by_norm(xp: ArrayNamespace, *, x: Tensor, threshold: float, epsilon: float) -> Many:
    """Make the vector as long as the threshold if it is longer."""
    wide = xp.widened(x)
    (y,), _ = _clipped(xp, (wide,), threshold, epsilon)
    return (xp.astype(y, x.dtype),)


def clip_by_global_norm(
    xp: ArrayNamespace, *, x1: Tensor, x2: Tensor, x3: Tensor, threshold: float, epsilon: float
) -> Many:
    """Shorten the vectors, put end to end, to the threshold; and their norm before that."""
    wide = tuple(xp.widened(x) for x in (x1, x2, x3))
    clipped, length = _clipped(xp, wide, threshold, epsilon)
    return (*(xp.astype(y, x1.dtype) for y in clipped), xp.astype(length[0], x1.dtype))


def _clipped(xp: ArrayNamespace, vectors: Many, threshold: float, epsilon: float) -> tuple[Many, Tensor]:
    """The vectors, brought to the threshold by their common norm if that is above it, and the norm, of shape (1,).

    Vectors and norm are measured alike: of a long norm itself, the gradient of a quotient divides by the square.
    """
    measure, length = measured_norm(xp, xp.concat(vectors))
    norm = measure * length
    fits = norm + epsilon <= threshold
    scale = threshold / xp.where(fits, 1.0, length + epsilon / measure)
    return tuple(xp.where(fits, x, x / measure * scale) for x in vectors), norm
