"""From the states of a layer to outputs of another size."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import Array, Arrays, Many
from rnnspec.backends.composed.cell import affine
from rnnspec.backends.composed.steps import valid_steps, zeroed


def output_projection(
    xp: Arrays, *, h: Array, V: Array, c: Array, lengths: Array | None = None, mask: Array | None = None, at: str
) -> Many:
    """``V h + c`` at every valid step, or after the last one; 0 at steps taken out and for sequences without steps."""
    batch, steps = xp.shape(h)[:2]
    valid = valid_steps(xp, steps, lengths, mask)
    h, V = zeroed(xp, h, valid), xp.permute_dims(V, (1, 0))
    if at == "every":
        return (zeroed(xp, affine(xp, h, V, c), valid),)
    if steps == 0:
        return (xp.zeros((batch, xp.shape(V)[1]), h.dtype),)
    if valid is None:
        return (affine(xp, h[:, -1], V, c),)
    counted = xp.cumulative_sum(xp.astype(valid, xp.int64), 1)
    last = xp.logical_and(valid, counted == counted[:, -1:])
    y = affine(xp, xp.sum(zeroed(xp, h, last), 1), V, c)
    return (xp.where(xp.any(valid, 1, keepdims=True), y, 0.0),)
