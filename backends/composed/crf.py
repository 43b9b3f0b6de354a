"""Linear-chain conditional random field, its framewise baseline, and accuracy over tags.

16-bit types are computed in float32.
"""

from __future__ import annotations

from math import inf
from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.crf_recursion import (
    exponentials_suffice,
    log_sum_exp,
    over_exponentials,
    over_logarithms,
    recur,
)
from rnnspec.backends.composed.losses import log_probability
from rnnspec.backends.composed.packing import Packing
from rnnspec.backends.composed.steps import valid_steps


class _Chain:
    """The scores of a batch of sequences, with the valid steps in front, in float32 at least."""

    def __init__(
        self,
        xp: ArrayNamespace,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor | None = None,
        end: Tensor | None = None,
        allowed: Tensor | None = None,
        possible: Tensor | None = None,
        masked_moves: bool = False,
        partly_known: bool = False,
        **valid: Tensor | None,
    ) -> None:
        """Score the paths; moves and tags that a mask rules out score minus infinity."""
        batch, steps, self.tags = xp.shape(emissions)
        self.xp, self.packing = xp, Packing(xp, (batch, steps), **valid)
        emissions = emissions if possible is None else xp.where(possible, emissions, -inf)
        transitions = transitions if allowed is None else xp.where(allowed, transitions, -inf)
        self.emissions, self.transitions = xp.widened(self.packing.pack(emissions)), xp.widened(transitions)
        self.start, self.end = (None if score is None else xp.widened(score) for score in (start, end))

    def scores(self) -> Tensor:
        """The emissions (B, T, K), with the start scores at the first step and the end scores at the last."""
        xp, scores = self.xp, self.emissions
        if self.start is not None:
            scores = xp.concat([scores[:, :1] + self.start, scores[:, 1:]], 1)
        if self.end is not None:
            scores = xp.where(self.packing.last()[..., None], scores + self.end, scores)
        return scores

    def path_score(self, tags: Tensor) -> Tensor:
        """The score (B,) of packed tags (B, T)."""
        xp, packing = self.xp, self.packing
        score = xp.sum(xp.take_along_axis(self.emissions, tags[..., None], 2)[..., 0], 1)
        moved = xp.take(xp.reshape(self.transitions, (-1,)), tags[:, :-1] * self.tags + tags[:, 1:])
        score += xp.sum(moved if packing.valid is None else xp.where(packing.valid[:, 1:], moved, 0.0), 1)
        if self.start is not None:
            score += self._unless_empty(xp.take(self.start, tags[:, 0]))
        if self.end is not None:
            last_tag = xp.sum(xp.where(packing.last(), tags, 0), 1)
            score += self._unless_empty(xp.take(self.end, last_tag))
        return xp.where(score <= -inf, -inf, score)

    def log_partition(self) -> Tensor:
        """Log Z, (B,)."""
        xp, scores, transitions = self.xp, _swapped(self.xp, self.scores()), self.transitions
        (log_totals,) = xp.branch(
            exponentials_suffice(xp, self.emissions, scores, transitions),
            lambda: (over_exponentials(xp, scores, transitions).log_totals,),
            lambda: (over_logarithms(xp, scores, transitions).log_totals,),
        )
        return xp.sum(xp.where(self.packing.last(), _swapped(xp, log_totals), 0.0), 1)

    def marginals(self) -> Tensor:
        """Probability of each tag at each packed step, (B, T, K)."""
        xp, transitions = self.xp, self.transitions
        onwards, backwards = self.scores(), self.packing.reverse(self.scores())
        onwards, backwards = _swapped(xp, onwards), _swapped(xp, backwards)
        reversed_moves = xp.permute_dims(transitions, (1, 0))

        def by_exponentials() -> Many:
            before = over_exponentials(xp, onwards, transitions).messages
            after = over_exponentials(xp, backwards, reversed_moves).alphas
            weights = _swapped(xp, before) * self.packing.reverse(_swapped(xp, after))
            total = xp.sum(weights, -1, keepdims=True)
            none = total <= 0  # which NaN is not
            return (xp.where(none, 0.0, weights / xp.where(none, 1.0, total)),)

        def by_logarithms() -> Many:
            before = over_logarithms(xp, onwards, transitions).messages
            after = over_logarithms(xp, backwards, reversed_moves).alphas
            weights = _swapped(xp, before) + self.packing.reverse(_swapped(xp, after))
            total = log_sum_exp(xp, weights, -1, keepdims=True)
            return (xp.exp(weights - xp.where(total <= -inf, 0.0, total)),)

        suffices = exponentials_suffice(xp, self.emissions, onwards, transitions)
        (marginals,) = xp.branch(suffices, by_exponentials, by_logarithms)
        return marginals

    def best_path(self) -> Tensor:
        """Packed tags (B, T) of a path with the highest score; of several the one with the lowest tags from the end."""
        xp = self.xp
        moves = xp.stop_gradient(self.transitions)
        moves_of_each = moves[:, :, None]
        scores = xp.permute_dims(xp.stop_gradient(self.scores()), (1, 2, 0))

        # delta is (K, B): the greatest of (K, K, B) along its first axis is found fastest.
        def reach(carry: Many, entering: Many) -> tuple[Many, Many]:
            (delta,), (score,) = carry, entering
            delta = xp.max(delta[:, None, :] + moves_of_each, 0) + score
            return (delta,), (delta,)

        (deltas,) = recur(xp, reach, (scores[0],), scores)
        deltas = _swapped(xp, self.packing.reverse(xp.permute_dims(deltas, (2, 0, 1))))
        into = xp.permute_dims(moves, (1, 0))

        def trace(carry: Many, entering: Many) -> tuple[Many, Many]:
            (tag,), (delta,) = carry, entering
            tag = xp.argmax(delta + xp.take(into, tag), -1)
            return (tag,), (tag,)

        (tags,) = recur(xp, trace, (xp.argmax(deltas[0], -1),), deltas)
        return self.packing.zeroed(self.packing.reverse(_swapped(xp, tags)))

    def best_paths(self, number: int) -> tuple[Tensor, Tensor]:
        """Packed tags (B, M, T) of that number of best paths, the best first, and whether there is such a path.

        A way to reach a tag is the q-th of all K M: from tag q // M, by the way of rank q % M there.
        """
        xp, tags = self.xp, self.tags
        into = xp.permute_dims(xp.stop_gradient(self.transitions), (1, 0))[:, :, None]
        scores = _swapped(xp, xp.stop_gradient(self.scores()))
        batch = xp.shape(scores)[1]
        first = xp.where(xp.arange(number) == 0, scores[0][..., None], -inf)

        # The scores of the ways to reach each tag are (B, K, M).
        def reach(carry: Many, entering: Many) -> tuple[Many, Many]:
            (ways,), (score,) = carry, entering
            moved = xp.reshape(ways[:, None] + into, (batch, tags, tags * number))
            best, places = xp.top_k(moved, number)
            ways = best + score[..., None]
            return (ways,), (ways, places)

        none = xp.zeros((batch, tags, number), xp.int64)
        reached, pointers = recur(xp, reach, (first, none), scores)
        reached, pointers = _swapped(xp, reached), _swapped(xp, pointers)
        ended = xp.max(xp.where(self.packing.last()[..., None, None], reached, -inf), 1)
        best, place = xp.top_k(xp.reshape(ended, (batch, tags * number)), number)
        # Backwards, the pointers of a step lead to the place at the step before.
        steps = xp.shape(scores)[0]
        back = _swapped(xp, self.packing.reverse(xp.reshape(pointers, (batch, steps, tags * number))))

        def trace(carry: Many, entering: Many) -> tuple[Many, Many]:
            place = xp.take_along_axis(entering[0], carry[0], 1)
            return (place,), (place,)

        (places,) = recur(xp, trace, (place,), xp.concat([back[:1], back[:-1]]))
        tags_of = self.packing.zeroed(self.packing.reverse(_swapped(xp, places) // number))
        return xp.permute_dims(tags_of, (0, 2, 1)), self._or_empty(best > -inf, xp.arange(number) == 0)

    def entropy(self) -> Tensor:
        """The entropy of all paths, (B,), by the chain rule: that of each tag, given the tag after it."""
        xp, moves = self.xp, self.transitions[:, :, None]
        scores = xp.permute_dims(self.scores(), (1, 2, 0))

        # With the tags in front of the batch, (K, K, B) is summed up over its first axis.
        def step(carry: Many, entering: Many) -> tuple[Many, Many]:
            (alpha, before), (score,) = carry, entering
            reached, further = _with_entropy(xp, alpha[:, None] + moves, before[:, None])
            alpha = reached + score
            return (alpha, further), (alpha, further)

        alphas, befores = recur(xp, step, (scores[0], xp.zeros(xp.shape(scores[0]), scores.dtype)), scores, carried=2)
        _, totals = _with_entropy(xp, *(xp.permute_dims(array, (1, 0, 2)) for array in (alphas, befores)))
        return xp.sum(xp.where(_swapped(xp, self.packing.last()), totals, 0.0), 0)

    def _or_empty(self, there: Tensor, first: Tensor) -> Tensor:
        """Whether there is a path, (B, M); of an empty sequence the first."""
        lengths = self.packing.lengths
        return there if lengths is None else self.xp.where(lengths[:, None] == 0, first, there)

    def _unless_empty(self, score: Tensor) -> Tensor:
        lengths = self.packing.lengths
        return score if lengths is None else self.xp.where(lengths > 0, score, 0.0)


def _with_entropy(xp: ArrayNamespace, arriving: Tensor, before: Tensor) -> Many:
    """Log of the sum of exponentials over the first axis, and the entropy of the shares with what was before each."""
    total, never = log_sum_exp(xp, arriving, 0), arriving <= -inf  # which NaN is not
    log_share = xp.where(never, 0.0, xp.where(never, 0.0, arriving) - xp.where(total <= -inf, 0.0, total))
    return total, xp.sum(xp.where(never, 0.0, xp.exp(log_share) * (before - log_share)), 0)


def _scored(
    xp: ArrayNamespace, emissions: Tensor, tags: Tensor, padding: str, mask: Tensor | None = None, **chain: Any
) -> tuple[_Chain, Tensor]:
    """The chain, and the score of the path of these tags."""
    mask = tags != xp.shape(emissions)[2] if padding == "label" else mask
    own = _Chain(xp, emissions, mask=mask, **chain)
    return own, own.path_score(own.packing.pack(tags))


def crf_score(xp: ArrayNamespace, *, emissions: Tensor, tags: Tensor, padding: str, **chain: Any) -> Many:
    """The score that a path collects; minus infinity, and constant, where it is forbidden."""
    batch, steps, _ = xp.shape(emissions)
    if batch == 0 or steps == 0:
        return (xp.zeros((batch,), emissions.dtype),)
    _, score = _scored(xp, emissions, tags, padding, **chain)
    return (xp.astype(score, emissions.dtype),)


def crf_log_partition(xp: ArrayNamespace, *, emissions: Tensor, **chain: Any) -> Many:
    """Log of the sum over all paths; minus infinity, and constant, where none is possible."""
    batch, steps, _ = xp.shape(emissions)
    if batch == 0 or steps == 0:
        return (xp.zeros((batch,), emissions.dtype),)
    return (xp.astype(_Chain(xp, emissions, **chain).log_partition(), emissions.dtype),)


def crf_log_likelihood(
    xp: ArrayNamespace, *, emissions: Tensor, tags: Tensor, padding: str, reduction: str, **chain: Any
) -> Many:
    """Score of the path less log Z; minus infinity, and constant, where the path is forbidden."""
    batch, steps, _ = xp.shape(emissions)
    if batch == 0 or steps == 0:
        return (xp.zeros((batch,) if reduction == "none" else (), emissions.dtype),)
    own, score = _scored(xp, emissions, tags, padding, **chain)
    each = xp.where(score <= -inf, -inf, score - own.log_partition())
    if reduction != "none":
        each = xp.sum(each)
    if reduction == "mean":
        each = each / batch
    elif reduction == "token_mean":
        lengths = own.packing.lengths
        each = each / (batch * steps if lengths is None else xp.maximum(xp.astype(xp.sum(lengths), each.dtype), 1.0))
    return (xp.astype(each, emissions.dtype),)


def crf_marginals(xp: ArrayNamespace, *, emissions: Tensor, **chain: Any) -> Many:
    """Probability of each tag at each step, by the recursion forwards and backwards; 0 where no path is possible."""
    shape = xp.shape(emissions)
    if shape[0] == 0 or shape[1] == 0:
        return (xp.zeros(shape, emissions.dtype),)
    own = _Chain(xp, emissions, **chain)
    return (xp.astype(own.packing.unpack(own.marginals()), emissions.dtype),)


def crf_viterbi(xp: ArrayNamespace, *, emissions: Tensor, **chain: Any) -> Many:
    """The score of a best path and the path; the gradient is that of the path's score."""
    batch, steps, _ = xp.shape(emissions)
    if batch == 0 or steps == 0:
        return xp.zeros((batch,), emissions.dtype), xp.zeros((batch, steps), xp.int64)
    own = _Chain(xp, emissions, **chain)
    tags = own.best_path()
    return xp.astype(own.path_score(tags), emissions.dtype), own.packing.unpack(tags)


def crf_best_paths(xp: ArrayNamespace, *, emissions: Tensor, paths: int, **chain: Any) -> Many:
    """The scores of the best paths, in descending order, and the paths; the gradient is that of their scores."""
    batch, steps, _ = xp.shape(emissions)
    first = xp.arange(paths) == 0
    none = xp.broadcast_to(xp.where(first, xp.zeros((paths,), emissions.dtype), -inf), (batch, paths))
    if batch == 0 or steps == 0:
        return none, xp.zeros((batch, paths, steps), xp.int64)
    own = _Chain(xp, emissions, **chain)
    tags, there = own.best_paths(paths)
    tags = xp.where(there[..., None], tags, 0)
    each = [own.path_score(tags[:, place]) for place in range(paths)]
    score = xp.astype(xp.where(there, xp.stack(each, 1), -inf), emissions.dtype)
    unpacked = [own.packing.unpack(tags[:, place]) for place in range(paths)]
    return score, xp.stack(unpacked, 1)


def crf_entropy(xp: ArrayNamespace, *, emissions: Tensor, **chain: Any) -> Many:
    """Entropy of the paths in nats; 0 where none is possible."""
    batch, steps, _ = xp.shape(emissions)
    if batch == 0 or steps == 0:
        return (xp.zeros((batch,), emissions.dtype),)
    return (xp.astype(_Chain(xp, emissions, **chain).entropy(), emissions.dtype),)


def framewise_log_likelihood(
    xp: ArrayNamespace, *, emissions: Tensor, tags: Tensor, padding: str, **steps: Any
) -> Many:
    """Sum of the log-probabilities of the tags, each step by itself."""
    _, count, labels = xp.shape(emissions)
    valid = tags != labels if padding == "label" else valid_steps(xp, count, **steps)
    return (xp.astype(xp.sum(log_probability(xp, emissions, tags, valid), 1), emissions.dtype),)


def token_accuracy(
    xp: ArrayNamespace, *, predicted: Tensor, tags: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None
) -> Many:
    """Share of the valid steps with the right tag, float64; 0 if there is none."""
    batch, steps = xp.shape(tags)
    right, valid = predicted == tags, valid_steps(xp, steps, lengths, mask)
    if valid is None:
        return (xp.sum(xp.astype(right, xp.float64)) / max(batch * steps, 1),)
    right_steps = xp.sum(xp.astype(xp.logical_and(right, valid), xp.float64))
    return (right_steps / xp.maximum(xp.sum(xp.astype(valid, xp.float64)), 1.0),)


def _swapped(xp: ArrayNamespace, array: Tensor) -> Tensor:
    """Steps and sequences change places: (B, T, …) to (T, B, …) and back."""
    return xp.permute_dims(array, (1, 0, *range(2, len(xp.shape(array)))))
