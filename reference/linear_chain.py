"""Scores and gradients of all paths through a chain of tags, of the best path, and of a given path.

All arrays are packed (see `rnnspec.reference.packed`): emissions are ``(n, B, K)``. Arrays over two successive tags are
``(K, B, K)``, with the tag before on the first axis, so that sums and maxima over it run along memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnspec.reference.call import Admitted
from rnnspec.reference.packed import Packed
from rnnspec.spec.arrays import Array

Gradients = dict[str, Array]


@dataclass(frozen=True)
class Scores:
    """Scores of paths; `start` and `end` are 0 if they were not given. What is ruled out scores minus infinity."""

    steps: Packed
    emissions: Array
    transitions: Array
    start: Array
    end: Array

    @classmethod
    def of(cls, call: Admitted, steps: Packed) -> Scores:
        """Return the scores of a call."""
        floats = call.floats
        transitions = _ruled_out(floats["transitions"], call.inputs.get("allowed"))
        zero = np.zeros_like(transitions, shape=transitions.shape[:1])
        emissions = steps.pack(_ruled_out(floats["emissions"], call.inputs.get("possible")))
        return cls(steps, emissions, transitions, floats.get("start", zero), floats.get("end", zero))

    @property
    def zero(self) -> Array:
        """State before the first step: zeros, ``(B, K)``."""
        return np.zeros_like(self.emissions, shape=self.emissions.shape[1:])

    def moves(self, steps: int) -> Array:
        """Return memory ``(steps, K, B, K)`` for results of `moved`; allocating it once halves the time."""
        batch, tags = self.emissions.shape[1:]
        return np.empty_like(self.emissions, shape=(steps, tags, batch, tags))

    def moved(self, state: Array, out: Array) -> Array:
        """Return ``state[i] + transitions[i, j]``, ``(K, B, K)``, in `out`."""
        return np.add(state.T[:, :, np.newaxis], self.transitions[:, np.newaxis, :], out=out)


def _ruled_out(scores: Array, but: Array | None) -> Array:
    return scores if but is None else np.where(but, scores, -np.inf)


def log_sum_exp(scores: Array) -> tuple[Array, Array]:
    """Return the log of the sum of exponentials over the first axis, and each share of the sum; overwrite `scores`.

    If all scores are minus infinity, so is the result, and all shares are 0.
    """
    greatest = np.max(scores, axis=0)
    possible = np.isfinite(greatest)
    shift = np.where(possible, greatest, 0)
    scores -= shift
    shares = np.exp(scores, out=scores)
    # If a term is possible, the greatest one is exp(0) = 1, and the total is at least 1.
    total = np.where(possible, np.sum(shares, axis=0), 1)
    log_total = np.log(total)
    # An implementation may compute a share as exp(score - log_sum_exp), with that logarithm's rounding error. The
    # factor is exactly 1, but where rounding is simulated to find tolerances, it differs from 1 by that error.
    shares /= total * np.exp((shift + log_total) - (log_total + shift))
    return log_total + greatest, shares


class Partition:
    """The sum over all paths: `log_partition`, ``(B,)``, by the forward recurrence in log space."""

    def __init__(self, scores: Scores, record: bool) -> None:
        self.scores = scores
        present = scores.steps.present
        self._shares = scores.moves(max(len(present) - 1, 1) if record else 1)
        """For step t + 1, the share of each tag at step t in the sum of the paths that reach a tag, ``(K, B, K)``."""
        alpha = scores.zero
        for t in range(len(present)):
            if t == 0:
                reached = scores.start
            else:
                reached, _ = log_sum_exp(scores.moved(alpha, out=self._shares[t - 1 if record else 0]))
            alpha = np.where(present[t][:, np.newaxis], reached + scores.emissions[t], alpha)
        log_partition, ends = log_sum_exp((alpha + scores.end).T)
        nonempty = scores.steps.lengths > 0
        self.log_partition = np.where(nonempty, log_partition, 0)
        self._ends = np.where(nonempty, ends, 0).T
        """The probability of each tag at the last step, ``(B, K)``."""

    def gradients(self, dlog_partition: Array) -> Gradients:
        """Return the gradients of the scores; the emissions' are the marginals times the result's gradient.

        The shares are the probabilities of the tag before given the tag after. Going back by them is the backward
        recurrence, and no number can leave its type's range.
        """
        scores, present = self.scores, self.scores.steps.present
        d = self._ends * dlog_partition[:, np.newaxis]
        dend = d.sum(axis=0)
        demissions = np.empty_like(scores.emissions)
        dtransitions = np.zeros_like(scores.transitions)
        pairs = scores.moves(1)[0]
        for t in range(len(present) - 1, 0, -1):
            here = present[t][:, np.newaxis]
            demissions[t] = np.where(here, d, 0)
            np.multiply(self._shares[t - 1], demissions[t], out=pairs)
            dtransitions += pairs.sum(axis=1)
            d = np.where(here, pairs.sum(axis=2).T, d)
        demissions[:1] = np.where(present[:1, :, np.newaxis], d, 0)
        dstart = demissions[:1].sum(axis=(0, 1))
        return {"emissions": demissions, "transitions": dtransitions, "start": dstart, "end": dend}

    def marginals(self) -> Array:
        """Return the probability of each tag at each step, ``(n, B, K)``; 0 if no path is possible."""
        return self.gradients(np.ones_like(self.log_partition))["emissions"]

    def gradients_of_marginals(self, marginals: Array, dmarginals: Array) -> Gradients:
        """Return the gradients of the scores through the marginals.

        The marginals are the gradient of log Z, and second derivatives are symmetric. The result is therefore also the
        change of all gradients of log Z as the emissions move along `dmarginals`. Both recurrences, forward and
        backward, are differentiated in that direction; ``v_…`` is the derivative of ``…``.
        """
        scores, present = self.scores, self.scores.steps.present
        v_alpha = scores.zero
        v_alphas, v_reached = [], []
        for t in range(len(present)):
            if t > 0:
                v_alphas.append(v_alpha)
                v_reached.append(np.sum(self._shares[t - 1] * v_alpha.T[:, :, np.newaxis], axis=0))
            moved = dmarginals[t] if t == 0 else v_reached[-1] + dmarginals[t]
            v_alpha = np.where(present[t][:, np.newaxis], moved, v_alpha)
        v_log_partition = np.sum(self._ends * v_alpha, axis=1)
        v_d = self._ends * (v_alpha - v_log_partition[:, np.newaxis])
        dend = v_d.sum(axis=0)
        demissions = np.empty_like(scores.emissions)
        dtransitions = np.zeros_like(scores.transitions)
        for t in range(len(present) - 1, 0, -1):
            here = present[t][:, np.newaxis]
            demissions[t] = np.where(here, v_d, 0)
            v_share = v_alphas[t - 1].T[:, :, np.newaxis] - v_reached[t - 1]  # relative to the share
            v_pairs = self._shares[t - 1] * (v_share * marginals[t] + demissions[t])
            dtransitions += v_pairs.sum(axis=1)
            v_d = np.where(here, v_pairs.sum(axis=2).T, v_d)
        demissions[:1] = np.where(present[:1, :, np.newaxis], v_d, 0)
        dstart = demissions[:1].sum(axis=(0, 1))
        return {"emissions": demissions, "transitions": dtransitions, "start": dstart, "end": dend}


class Entropy:
    """The entropy of all paths, ``(B,)``, by the chain rule: that of each tag, given the tag after it."""

    def __init__(self, scores: Scores) -> None:
        self.scores, present = scores, scores.steps.present
        alpha, before = scores.zero, scores.zero
        self._steps: list[tuple[Array, Array]] = []
        """For step t + 1, the shares ``(K, B, K)`` of the tags before, and by how much more than others each one adds.

        A share adds the entropy of the way to its tag and its own surprise.
        """
        for t in range(len(present)):
            reached, further = scores.start, before
            if t > 0:
                reached, shares, surprise = _shares(scores.moved(alpha, out=scores.moves(1)[0]))
                adds = before.T[:, :, np.newaxis] + surprise
                further = np.sum(shares * adds, axis=0)
                self._steps.append((shares, _apart(adds, further)))
            here = present[t][:, np.newaxis]
            alpha, before = np.where(here, reached + scores.emissions[t], alpha), np.where(here, further, before)
        _, ends, surprise = _shares((alpha + scores.end).T)
        self._ends = np.where(scores.steps.lengths > 0, ends, 0)
        adds = before.T + surprise
        self.entropy = np.sum(self._ends * adds, axis=0)
        self._ends_add = _apart(adds, self.entropy)

    def gradients(self, dentropy: Array) -> Gradients:
        """Return the gradients of the scores."""
        scores, present = self.scores, self.scores.steps.present
        d, dbefore = (dentropy * self._ends * self._ends_add).T, (dentropy * self._ends).T
        dend = d.sum(axis=0)
        demissions, dtransitions = np.empty_like(scores.emissions), np.zeros_like(scores.transitions)
        for t in range(len(present) - 1, 0, -1):
            here = present[t][:, np.newaxis]
            demissions[t] = np.where(here, d, 0)
            shares, adds = self._steps[t - 1]
            further = np.where(here, dbefore, 0)
            moved = shares * (demissions[t] + further * adds)
            dtransitions += moved.sum(axis=1)
            d = np.where(here, moved.sum(axis=2).T, d)
            dbefore = np.where(here, (shares * further).sum(axis=2).T, dbefore)
        demissions[:1] = np.where(present[:1, :, np.newaxis], d, 0)
        dstart = demissions[:1].sum(axis=(0, 1))
        return {"emissions": demissions, "transitions": dtransitions, "start": dstart, "end": dend}


def _apart(adds: Array, mean: Array) -> Array:
    """By how much more each share adds than the mean.

    The slope of p log p is log p + 1, and most implementations take the mean off such slopes: where a share is next to
    1, what is left of it is rounding of 1.
    """
    apart: Array = (adds - mean + 1) - 1
    return apart


def _shares(scores: Array) -> tuple[Array, Array, Array]:
    """Return the log of the sum of exponentials over the first axis, each share, and minus its logarithm.

    The latter is 0 for a score of minus infinity.
    """
    total, shares = log_sum_exp(scores.copy())
    never = np.isneginf(scores)
    least = np.where(np.isneginf(total), 0, total)
    return total, shares, np.where(never, 0, least - np.where(never, 0, scores))


def best_path(scores: Scores) -> tuple[Array, Array]:
    """Return score ``(B,)`` and tags ``(n, B)`` of a best path; ties go to the lowest tags, the last tag first."""
    present = scores.steps.present
    delta = scores.zero
    pointers = []
    room = scores.moves(1)[0]
    for t in range(len(present)):
        if t == 0:
            reached = scores.start
        else:
            moved = scores.moved(delta, out=room)
            pointers.append(np.argmax(moved, axis=0))
            reached = np.max(moved, axis=0)
        delta = np.where(present[t][:, np.newaxis], reached + scores.emissions[t], delta)
    ended = delta + scores.end
    tag = np.argmax(ended, axis=1)
    path = [tag]
    for t in range(len(present) - 1, 0, -1):
        before = np.take_along_axis(pointers[t - 1], tag[:, np.newaxis], axis=1)[:, 0]
        tag = np.where(present[t], before, tag)
        path.append(tag)
    # If every sequence is empty, there is no step and no tag.
    tags = np.stack(path[::-1])[: len(present)]
    return np.where(scores.steps.lengths > 0, np.max(ended, axis=1), 0), tags


def best_paths(scores: Scores, number: int) -> tuple[Array, Array]:
    """Return scores ``(B, M)`` of that number of best paths, in descending order, and their tags ``(M, n, B)``.

    Where there is no further path, the score is minus infinity and the tags are 0.
    """
    present, (batch, tags) = scores.steps.present, scores.zero.shape
    never = np.zeros_like(scores.emissions, shape=(number, batch, tags)) - np.inf
    # The ways to reach a tag are (M, B, K), the best first.
    reach, pointers = never, []
    for t in range(len(present)):
        if t == 0:
            reached = np.where((np.arange(number) == 0)[:, np.newaxis, np.newaxis], scores.start, never)
        else:
            # From tag i by its way of rank m: the way of number i M + m, in front of all arrays.
            moved = reach.transpose(2, 0, 1)[:, :, :, np.newaxis] + scores.transitions[:, np.newaxis, np.newaxis, :]
            places, reached = greatest(moved.reshape(tags * number, batch, tags), number)
            pointers.append(places)
        reach = np.where(present[t][:, np.newaxis], reached + scores.emissions[t], reach)
    ended = (reach + scores.end).transpose(2, 0, 1).reshape(tags * number, batch)
    place, score = greatest(ended, number)
    nonempty = scores.steps.lengths > 0
    score = np.where(nonempty, score, np.where((np.arange(number) == 0)[:, np.newaxis], 0, -np.inf))
    there, path = np.logical_not(np.isneginf(score)), [place // number]
    for t in range(len(present) - 1, 0, -1):
        # The pointers (M, B, K) of the tag that was reached, at the rank of the way to it.
        ways = pointers[t - 1].transpose(2, 0, 1).reshape(tags * number, batch)
        place = np.where(present[t], np.take_along_axis(ways, place, axis=0), place)
        path.append(place // number)
    tags_of = np.stack(path[::-1], axis=1)[:, : len(present)]
    return score.T, np.where(there[:, np.newaxis], tags_of, 0)


def greatest(array: Array, number: int) -> tuple[Array, Array]:
    """Return the places of the greatest entries along the first axis, and the entries, in descending order.

    The first of equal ones comes first. Where only minus infinity is left, a place may come again.
    """
    every = np.arange(array.shape[0]).reshape(-1, *[1] * (array.ndim - 1))
    places, entries = [], []
    for _ in range(number):
        place = np.argmax(array, axis=0)
        places.append(place)
        entries.append(np.max(array, axis=0))
        array = np.where(every == place, -np.inf, array)
    return np.stack(places), np.stack(entries)


def path_score(scores: Scores, tags: Array) -> Array:
    """Return the score ``(B,)`` of a path of tags ``(n, B)``."""
    steps, emissions = scores.steps, scores.emissions
    t, b = np.ogrid[: tags.shape[0], : tags.shape[1]]
    of_steps = np.where(steps.present, emissions[t, b, tags], 0)
    of_start = np.where(steps.first, scores.start[tags], 0)
    of_end = np.where(steps.last, scores.end[tags], 0)
    of_moves = np.where(steps.present[1:], scores.transitions[tags[:-1], tags[1:]], 0)
    score: Array = np.sum(of_steps + of_start + of_end, axis=0) + np.sum(of_moves, axis=0)
    return score


def path_gradients(scores: Scores, tags: Array, dscore: Array) -> Gradients:
    """Return the gradients of the scores through the score of a path."""
    steps = scores.steps
    on_path = passes(tags, steps, scores.end.shape[0])
    ones = np.where(on_path, np.ones_like(dscore)[:, np.newaxis], 0)
    demissions = np.where(on_path, dscore[:, np.newaxis], 0)
    units = demissions.shape[2]
    return {
        "emissions": demissions,
        "transitions": ones[:-1].reshape(-1, units).T @ demissions[1:].reshape(-1, units),
        "start": demissions[:1].sum(axis=(0, 1)),
        "end": np.where(steps.last[:, :, np.newaxis], demissions, 0).sum(axis=(0, 1)),
    }


def passes(tags: Array, steps: Packed, units: int) -> Array:
    """Return whether a path has each tag at each step, ``(n, B, K)``."""
    on_path: Array = np.logical_and(tags[:, :, np.newaxis] == np.arange(units), steps.present[:, :, np.newaxis])
    return on_path
