"""Building blocks: a dense layer, a table of embeddings, dropout, zoneout."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import affine, function
from rnnspec.backends.composed.steps import valid_steps, zeroed


def dense(xp: ArrayNamespace, *, x: Tensor, W: Tensor, b: Tensor, activation: str) -> Many:
    """``f(W x + b)``."""
    a = affine(xp, x, xp.permute_dims(W, (1, 0)), b)
    return (a if activation == "identity" else function(xp, activation)(a),)


def embedding(
    xp: ArrayNamespace, *, ids: Tensor, E: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None
) -> Many:
    """Rows of the table; the gradient adds up over repeated ids, in float32 at least."""
    valid = valid_steps(xp, xp.shape(ids)[1], lengths, mask)
    if valid is not None:
        ids = xp.where(valid, ids, 0)
    return (zeroed(xp, xp.astype(xp.take(xp.widened(E), ids), E.dtype), valid),)


def dropout(xp: ArrayNamespace, *, x: Tensor, keep: Tensor, p: float, shared_over: str, **steps: Any) -> Many:
    """The kept entries, divided by 1 - p; `keep` is a choice for each step, or one for the whole sequence."""
    valid = valid_steps(xp, xp.shape(x)[1], **steps)
    kept = keep[:, None, :] if shared_over == "time" else keep
    return (xp.where(kept, zeroed(xp, x, valid) / (1 - p), 0.0),)


def zoneout(xp: ArrayNamespace, *, h: Tensor, h_prev: Tensor, p: float | None, renewed: Tensor | None = None) -> Many:
    """The renewed units of the state, and the others as they were; with a number p, the expectation of both."""
    if p is not None:
        return (h * (1 - p) + h_prev * p,)
    return (xp.where(renewed, h, h_prev),)
