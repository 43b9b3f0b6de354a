"""The forward recursion of a linear-chain CRF, over exponentials where their range allows it, else over logarithms.

alpha[t, j] sums up all ways to reach tag j at step t, by way of what arrives there before the step's own score:
message[t, j] = Σ_i alpha[t - 1, i] exp(transitions[i, j]). Over exponentials that is one product of matrices a step. To
stay in range, alpha is scaled at each step (Rabiner 1989), and transitions and scores are taken relative to
the greatest. All these scales are constants of the differentiation, since no result depends on them.

The recursion backwards is the same one, over the reversed sequence and the transposed transitions.
"""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Step, Tensor

_TINY: Final = 1e-30
_TRANSITIONS_DIFFER: Final = 30.0
_ALL_DIFFER: Final = 20.0


class Recursion(NamedTuple):
    """The results of a forward recursion: exponentials, up to a factor for each step and sequence, or logarithms."""

    messages: Tensor
    """The message that arrives at each tag, (T, B, K)."""
    alphas: Tensor
    """The same with the step's own score, (T, B, K)."""
    log_totals: Tensor
    """Log of the sum of alpha over the tags, (T, B): a logarithm in both forms, with no factor left out."""


def exponentials_suffice(xp: ArrayNamespace, emissions: Tensor, scores: Tensor, transitions: Tensor) -> Tensor:
    """Whether nothing that counts underflows in `over_exponentials`, in float32: a condition of shape ().

    `scores` are the emissions, (T, B, K), with start and end scores. Either of two is enough.

    - Every move is allowed, and the transitions differ by D ≤ 30 at most. However the scores differ, the messages of a
      step then differ by no more than exp(D), and an alpha that is lost, below exp(-87) of its step's greatest, has a
      probability below exp(2 D - 87).
    - Every tag leads to every other in three steps, whatever moves are forbidden, and all emissions are finite; the
      transitions and the scores of a step differ by S ≤ 20 together, minus infinities left out. Every reachable alpha
      is then within exp(3 S) of its step's greatest, and four factors of exp(-S) are within range.
    """
    emissions, scores, transitions = (xp.stop_gradient(array) for array in (emissions, scores, transitions))
    allowed = transitions > -inf
    moves = xp.astype(allowed, transitions.dtype)
    connected = xp.matmul(xp.matmul(moves, moves), moves) > 0
    transitions_differ = _greatest_difference(xp, xp.reshape(transitions, (-1,)))
    all_differ = transitions_differ + _greatest_difference(xp, scores)
    free = xp.logical_and(_everywhere(xp, allowed), transitions_differ <= _TRANSITIONS_DIFFER)
    mixing = xp.logical_and(_everywhere(xp, connected), _everywhere(xp, xp.isfinite(emissions)))
    return xp.logical_or(free, xp.logical_and(mixing, all_differ <= _ALL_DIFFER))


def over_exponentials(xp: ArrayNamespace, scores: Tensor, transitions: Tensor) -> Recursion:
    """Forward recursion over scores (T, B, K) and transitions (K, K), as exponentials."""
    steps = xp.shape(scores)[0]
    greatest = _or_zero(xp, xp.stop_gradient(xp.max(scores, -1, keepdims=True)))
    greatest_move = _or_zero(xp, xp.max(xp.reshape(xp.stop_gradient(transitions), (-1,)), 0))
    weights, moves = xp.exp(scores - greatest), xp.exp(transitions - greatest_move)

    def scaled(alpha: Tensor) -> Many:
        total = xp.sum(alpha, -1, keepdims=True)
        return alpha / xp.maximum(xp.stop_gradient(total), _TINY), total

    def step(carry: Many, entering: Many) -> tuple[Many, Many]:
        (alpha,), (weight,) = carry, entering
        message = xp.matmul(alpha, moves)
        alpha, total = scaled(message * weight)
        return (alpha,), (alpha, total, message)

    first = (*scaled(weights[0]), xp.full(xp.shape(scores)[1:], 1.0, scores.dtype))
    alphas, totals, messages = recur(xp, step, first, weights)
    # A total is relative to all that was taken out before.
    log_totals = _log(xp, totals[..., 0])
    taken_out = xp.cumulative_sum(xp.stop_gradient(log_totals[:-1]), 0)
    taken_out = xp.concat([xp.zeros((1, xp.shape(scores)[1]), scores.dtype), taken_out])
    of_moves = greatest_move * xp.astype(xp.arange(steps), scores.dtype)[:, None]
    return Recursion(messages, alphas, log_totals + (taken_out + xp.cumulative_sum(greatest[..., 0], 0) + of_moves))


def over_logarithms(xp: ArrayNamespace, scores: Tensor, transitions: Tensor) -> Recursion:
    """Forward recursion over scores (T, B, K) and transitions (K, K), as logarithms, for numbers of any range."""
    # With the tags in front of the batch, (K, K, B) is summed up over its first axis, which is fastest.
    moves, entering = transitions[:, :, None], xp.permute_dims(scores, (0, 2, 1))

    def step(carry: Many, entering: Many) -> tuple[Many, Many]:
        (alpha,), (score,) = carry, entering
        message = log_sum_exp(xp, alpha[:, None, :] + moves, 0)
        alpha = message + score
        return (alpha,), (alpha, message)

    first = (entering[0], xp.zeros(xp.shape(entering)[1:], scores.dtype))
    alphas, messages = (xp.permute_dims(array, (0, 2, 1)) for array in recur(xp, step, first, entering))
    return Recursion(messages, alphas, log_sum_exp(xp, alphas, -1))


def recur(xp: ArrayNamespace, step: Step, first: Many, entering: Tensor, carried: int = 1) -> Many:
    """The output of all steps, along axis 0: `first` is that of the first one, and its first entries are carried on."""
    steps = xp.shape(entering)[0]
    if steps == 1:
        return tuple(array[None] for array in first)
    _, others = xp.scan(step, first[:carried], (entering[1:],), steps - 1)
    return tuple(xp.concat([one[None], more]) for one, more in zip(first, others, strict=True))


def log_sum_exp(xp: ArrayNamespace, array: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
    """Log of the sum of exponentials; minus infinity, and constant, where every entry is."""
    greatest = _or_zero(xp, xp.stop_gradient(xp.max(array, axis, keepdims=True)))
    total = xp.sum(xp.exp(array - greatest), axis, keepdims)
    return _log(xp, total) + (greatest if keepdims else xp.reshape(greatest, xp.shape(total)))


def _log(xp: ArrayNamespace, array: Tensor) -> Tensor:
    """The logarithm; at 0 it is minus infinity, and constant."""
    none = array <= 0  # which NaN is not
    return xp.where(none, -inf, xp.log(xp.where(none, 1.0, array)))


def _or_zero(xp: ArrayNamespace, array: Tensor) -> Tensor:
    """0 in the place of minus infinity."""
    return xp.where(array <= -inf, 0.0, array)


def _greatest_difference(xp: ArrayNamespace, array: Tensor) -> Tensor:
    """The greatest difference between numbers along the last axis, minus infinities left out."""
    greatest = _or_zero(xp, xp.max(array, -1, keepdims=True))
    least = -xp.max(xp.where(array > -inf, -array, -greatest), -1, keepdims=True)
    return xp.max(xp.reshape(greatest - least, (-1,)), 0)


def _everywhere(xp: ArrayNamespace, condition: Tensor) -> Tensor:
    return xp.all(xp.reshape(condition, (-1,)), 0)
