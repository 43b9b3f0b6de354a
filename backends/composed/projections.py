"""From the states of a layer to outputs of another size."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import affine
from rnnspec.backends.composed.steps import last_valid, valid_steps, zeroed


def output_projection(xp: ArrayNamespace, *, h: Tensor, V: Tensor, c: Tensor, at: str, **steps: Any) -> Many:
    """``V h + c`` at every valid step, or after the last one; 0 at steps taken out and for sequences without steps."""
    batch, count = xp.shape(h)[:2]
    valid = valid_steps(xp, count, **steps)
    V = xp.permute_dims(V, (1, 0))
    if at == "every":
        return (zeroed(xp, affine(xp, zeroed(xp, h, valid), V, c), valid),)
    if count == 0:
        return (xp.zeros((batch, xp.shape(V)[1]), h.dtype),)
    y = affine(xp, last_valid(xp, h, valid), V, c)
    return (y if valid is None else xp.where(xp.any(valid, 1, keepdims=True), y, 0.0),)
