"""Softmax over the valid positions of sequences."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.steps import valid_steps


def softmax(xp: ArrayNamespace, *, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Many:
    """Positive weights that add up to 1 over the valid positions."""
    valid = valid_steps(xp, xp.shape(x)[1], lengths, mask)
    return (softmax_over(xp, x, valid),)


def log_softmax(xp: ArrayNamespace, *, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Many:
    """Logarithms of softmax's weights."""
    valid = valid_steps(xp, xp.shape(x)[1], lengths, mask)
    y = xp.log_softmax(_only(xp, xp.widened(x), valid))
    return (xp.astype(y if valid is None else xp.where(valid, y, 0.0), x.dtype),)


def softmax_over(xp: ArrayNamespace, x: Tensor, valid: Tensor | None) -> Tensor:
    """Softmax along the last axis over the positions that are valid, of x's shape or broadcast; 0 at the others."""
    y = xp.softmax(_only(xp, xp.widened(x), valid))
    return xp.astype(y if valid is None else xp.where(valid, y, 0.0), x.dtype)


def _only(xp: ArrayNamespace, x: Tensor, valid: Tensor | None) -> Tensor:
    """The numbers with minus infinity at the positions taken out; in a row without any other, 0."""
    if valid is None:
        return x
    none = xp.logical_not(xp.any(valid, -1, keepdims=True))
    return xp.where(xp.logical_or(valid, none), xp.where(valid, x, 0.0), float("-inf"))
