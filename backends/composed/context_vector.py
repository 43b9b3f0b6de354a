"""The vector that an encoder hands on, made of all its states."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import affine
from rnnspec.backends.composed.steps import last_valid, valid_steps, zeroed


def context_vector(
    xp: ArrayNamespace, *, h: Tensor, W: Tensor | None = None, b: Tensor | None = None, source: str, **steps: Any
) -> Many:
    """The last state, or a projection of it or of the mean of all states; both are zero without valid steps."""
    valid = valid_steps(xp, xp.shape(h)[1], **steps)
    h = zeroed(xp, h, valid)
    seen = _mean(xp, h, valid) if source == "projected_mean" else last_valid(xp, h, valid)
    if source == "last":
        return (seen,)
    assert W is not None
    assert b is not None
    return (xp.tanh(affine(xp, seen, xp.permute_dims(W, (1, 0)), b)),)


def _mean(xp: ArrayNamespace, h: Tensor, valid: Tensor | None) -> Tensor:
    total = xp.sum(xp.widened(h), 1)
    if valid is None:
        count = max(xp.shape(h)[1], 1)
    else:
        count = xp.maximum(xp.sum(xp.astype(valid, total.dtype), 1, keepdims=True), 1.0)
    return xp.astype(total / count, h.dtype)
