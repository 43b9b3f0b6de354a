"""Euclidean norms that neither overflow nor underflow, and whose gradient at zero is zero."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor


def norm(xp: ArrayNamespace, vectors: Tensor) -> Tensor:
    """Norm along the last axis, which stays, of length 1; its gradient where the vector is zero is 0."""
    measure, length = measured_norm(xp, vectors)
    return measure * length


def measured_norm(xp: ArrayNamespace, vectors: Tensor) -> Many:
    """The norm as a product: a constant of at least 1, and the norm measured by it.

    The measure is a long vector's greatest magnitude, and else 1. A vector divided by the measured norm has a gradient
    within the type's range: the square of a long norm overflows, and that of a short one underflows.
    """
    shape = xp.shape(vectors)
    if shape[-1] == 0:
        none = xp.zeros((*shape[:-1], 1), vectors.dtype)
        return none + 1, none
    scale, nonzero, _, length = _scaled(xp, vectors)
    measure = xp.where(scale > 1, scale, 1.0)
    return measure, xp.where(nonzero, scale / measure * length, 0.0)


def unit(xp: ArrayNamespace, vectors: Tensor) -> Tensor:
    """The vectors along the last axis at length 1; zero, and constant, where they are zero.

    Short vectors are scaled before they are divided by their length: its square, by which the gradient of a quotient is
    divided, would underflow.
    """
    if xp.shape(vectors)[-1] == 0:
        return vectors
    _, nonzero, scaled, length = _scaled(xp, vectors)
    return xp.where(nonzero, scaled / length, 0.0)


def _scaled(xp: ArrayNamespace, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scale of each vector, whether it is not zero, the vector measured by its scale, and the norm of that."""
    # Squares are taken of numbers up to 1. Their unit is a constant: no result depends on it.
    largest = xp.stop_gradient(xp.max(xp.abs(vectors), -1, keepdims=True))
    nonzero = largest != 0  # true of NaN, which is to stay
    scale = xp.where(nonzero, largest, 1.0)
    scaled = vectors / scale
    squares = xp.sum(scaled * scaled, -1, keepdims=True)
    return scale, nonzero, scaled, xp.sqrt(xp.where(nonzero, squares, 1.0))
