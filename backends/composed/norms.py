"""Euclidean norms that neither overflow nor underflow, and whose gradient at zero is zero."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import Array, Arrays


def norm(xp: Arrays, vectors: Array) -> Array:
    """Norm along the last axis, which stays, of length 1; its gradient where the vector is zero is 0."""
    shape = xp.shape(vectors)
    if shape[-1] == 0:
        return xp.zeros((*shape[:-1], 1), vectors.dtype)
    # Squares are taken of numbers up to 1. What they are measured by is a constant: the norm does not depend on it.
    largest = xp.stop_gradient(xp.max(xp.abs(vectors), -1, keepdims=True))
    nonzero = largest > 0
    unit = xp.where(nonzero, largest, 1.0)
    squares = xp.sum((vectors / unit) * (vectors / unit), -1, keepdims=True)
    return xp.where(nonzero, unit * xp.sqrt(xp.where(nonzero, squares, 1.0)), 0.0)
