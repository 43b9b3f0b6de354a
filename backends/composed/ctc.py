"""Connectionist temporal classification: the forward recursion over a target's labels and the blanks between them."""

from __future__ import annotations

from math import inf

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.crf_recursion import log_sum_exp
from rnnspec.backends.composed.steps import valid_steps, zeroed
from rnnspec.backends.layouts.blank import with_blank


def ctc_loss(
    xp: ArrayNamespace,
    *,
    logits: Tensor,
    labels: Tensor,
    label_lengths: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    blank: str,
) -> Many:
    """Minus the log of the probability of the labels, in float32 at least; infinity where no alignment fits."""
    batch, steps, symbols = xp.shape(logits)
    valid = valid_steps(xp, steps, lengths, mask)
    log_p = xp.log_softmax(xp.widened(zeroed(xp, logits, valid)))
    states = 2 * xp.shape(labels)[1] + 1
    target, empty = with_blank(labels, blank, symbols)
    place = xp.arange(states)
    is_label = place % 2 == 1
    padded = xp.concat([target, labels[:, :1] * 0], 1)
    symbol = xp.where(is_label, xp.take(padded, place // 2, 1), empty)
    before = xp.concat([xp.broadcast_to(symbol[:, :1], (batch, min(2, states))), symbol[:, :-2]], 1)
    passes = xp.logical_and(xp.logical_and(is_label, place > 2), symbol != before)
    inside = place <= 2 * label_lengths[:, None]
    emissions = xp.permute_dims(
        xp.take_along_axis(log_p, xp.broadcast_to(symbol[:, None], (batch, steps, states)), 2), (1, 0, 2)
    )
    never = xp.full((batch, states), -inf, log_p.dtype)

    def moved(alpha: Tensor, by: int) -> Tensor:
        return xp.concat([never[:, :by], alpha[:, : max(states - by, 0)]], 1)[:, :states]

    # Before the first step there is one way to be: in no state, from which a step goes on to the first two.
    def step(carry: Many, entering: Many) -> tuple[Many, Many]:
        alpha, begun = carry
        emission, *there = entering
        ways = xp.stack([alpha, moved(alpha, 1), xp.where(passes, moved(alpha, 2), -inf)])
        arrived = xp.where(begun, log_sum_exp(xp, ways, 0), xp.where(place < 2, 0.0, never))
        after = xp.where(inside, arrived + emission, -inf)
        if there:
            return (xp.where(there[0], after, alpha), xp.logical_or(begun, there[0])), ()
        return (after, xp.logical_or(begun, begun == begun)), ()

    present = () if valid is None else (xp.permute_dims(valid, (1, 0))[..., None],)
    alpha, begun = never, xp.broadcast_to(place[:1] < 0, (batch, 1))
    if steps:
        (alpha, begun), _ = xp.scan(step, (alpha, begun), (emissions, *present), steps)
    last = 2 * label_lengths[:, None]
    ends = xp.logical_and(inside, place >= last - 1)
    ended = log_sum_exp(xp, xp.where(ends, alpha, -inf), -1)
    none = xp.where(label_lengths == 0, 0.0, xp.full((batch,), -inf, log_p.dtype))
    return (xp.astype(-xp.where(begun[:, 0], ended, none), logits.dtype),)
