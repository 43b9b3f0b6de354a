"""Faults of the linear-chain CRF, of its framewise baseline and of the accuracy over tags."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the loops')
from __future__ import annotations

import re
from typing import Any

import numpy as np

from rnnspec.conformance.faults.crf_loops import Array, Arrays, Chain, CrfLoops, Vjp
from rnnspec.conformance.faults.fault import Fault


class TransitionsTransposed(CrfLoops):
    """Transitions are read as [to, from]; their gradient is not."""

    def parameters(self, transitions: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
        return transitions.T, start, end


class StartDropped(CrfLoops):
    """The start scores are left out, though not of their own gradient."""

    def parameters(self, transitions: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
        return transitions, np.zeros_like(start), end


class EndDropped(CrfLoops):
    """The end scores are left out, though not of their own gradient."""

    def parameters(self, transitions: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
        return transitions, start, np.zeros_like(end)


class StartAndEndSwapped(CrfLoops):
    """The start scores count at the end, and the end scores at the start."""

    def parameters(self, transitions: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
        return transitions, end, start


class FirstEmissionMissing(CrfLoops):
    """The path's score begins with the second step's emission; log Z with the first, and the gradient with both."""

    def of_emissions(self, c: Chain) -> float:
        return super().of_emissions(c) - float(c.emissions[0, c.tags[0]])


class LastEmissionMissing(CrfLoops):
    """Log Z leaves out the last step's emission; the path's score does not."""

    def log_partition(self, c: Chain) -> float:
        return float(self.log_sum_exp(self.alpha(c)[-1] - c.emissions[-1] + c.end, 0))


class LogSumExpUnshifted(CrfLoops):
    """The log of a sum of exponentials is taken as it stands, in float32: no number where scores are large.

    Scores of order 1 show nothing; sums of more than about 88, or of less than -104, do.
    """

    def log_sum_exp(self, a: Array, axis: int) -> Array:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return np.asarray(np.log(np.exp(a.astype(np.float32)).sum(axis=axis)), np.float64)


class PaddingSummedOver(CrfLoops):
    """All T steps are summed over, also those taken out, whatever they hold; NaN there counts as 0."""

    def valid_steps(self, valid: Array, call: Arrays) -> Array:
        return np.ones_like(valid)

    def alpha(self, c: Chain) -> Array:
        return super().alpha(self._without_nan(c))

    def beta(self, c: Chain) -> Array:
        return super().beta(self._without_nan(c))

    def _without_nan(self, c: Chain) -> Chain:
        return Chain(np.nan_to_num(c.emissions), c.transitions, c.start, c.end, c.tags)


class LastStepTakenForPadding(CrfLoops):
    """Of a sequence that ends before the array does, the last valid step is lost: its length is counted one too few."""

    def valid_steps(self, valid: Array, call: Arrays) -> Array:
        shorter = valid.copy()
        for row in shorter:
            steps = np.flatnonzero(row)
            if 1 < len(steps) < len(row):
                row[steps[-1]] = False
        return shorter


class MaskCountedTwice(CrfLoops):
    """A transition is multiplied by the masks of both its ends: across a step taken out it is lost.

    The gradient is that of the right score.
    """

    def crf_score(self, **call: Array) -> tuple[Array, ...]:
        (score,) = super().crf_score(**call)
        for b, steps, c in self._chains("crf_score", call):
            apart = np.flatnonzero(np.diff(steps) > 1)
            lost = c.transitions[c.tags[apart], c.tags[apart + 1]]
            score[b] -= lost[np.isfinite(lost)].sum()
        return (score,)


class EndAtTheLastColumn(CrfLoops):
    """The end score is that of the tag in the array's last column, also where a sequence ends before it.

    The gradient is that of the right score.
    """

    def crf_score(self, **call: Array) -> tuple[Array, ...]:
        (score,) = super().crf_score(**call)
        tags, end = call["tags"], call.get("end")
        if end is None or not tags.shape[1]:
            return (score,)
        for b, _, c in self._chains("crf_score", call):
            if c.steps:
                score[b] += end[np.clip(tags[b, -1], 0, len(end) - 1)] - end[c.tags[-1]]
        return (score,)


class PointersOffByOne(CrfLoops):
    """Viterbi reads the pointers of the step before the one it stands at; the score is the highest."""

    def traced(self, pointers: list[Array], last: int) -> list[int]:
        return super().traced([*pointers[:1], *pointers[:-1]], last)


class PathReversed(CrfLoops):
    """Viterbi's path stands in the order in which it was traced, last tag first."""

    def traced(self, pointers: list[Array], last: int) -> list[int]:
        return super().traced(pointers, last)[::-1]


class PathGreedy(CrfLoops):
    """The best tag of every step by itself stands for the best path, with that path's own score."""

    def best(self, c: Chain) -> tuple[float, list[int]]:
        path = c.emissions.argmax(axis=1)
        return self.path_score(Chain(c.emissions, c.transitions, c.start, c.end, path)), path.tolist()


class WithoutEnd(CrfLoops):
    """The best path is found and scored without the end scores."""

    def best(self, c: Chain) -> tuple[float, list[int]]:
        return super().best(Chain(c.emissions, c.transitions, c.start, np.zeros_like(c.end), c.tags))


class Unnormalised(CrfLoops):
    """Marginals are not divided by Z; their own gradient is right."""

    def marginals(self, c: Chain) -> Array:
        return np.asarray(np.exp(np.minimum(self.alpha(c) + self.beta(c), 80)))


class FromForwardAlone(CrfLoops):
    """Marginals are the softmax of the forward sums alone, which know nothing of later steps.

    The gradient of the marginals is right.
    """

    def marginals(self, c: Chain) -> Array:
        alpha = self.alpha(c)
        total = self.log_sum_exp(alpha, 1)
        return np.stack([self.probability(a, float(z)) for a, z in zip(alpha, total, strict=True)])


class TransitionsGradientTransposed(CrfLoops):
    """The gradient of the transitions stands as [to, from]; values are right."""

    def over_steps(self, pairs: Array) -> Array:
        return super().over_steps(pairs).T


class TransitionsGradientOfOneStep(CrfLoops):
    """The gradient of the transitions is that of the last step, not the sum over the steps; values are right."""

    def over_steps(self, pairs: Array) -> Array:
        return super().over_steps(pairs[-1:])


class NothingLearntBesideTheImpossible(CrfLoops):
    """One path that is not possible makes the gradients of all parameters 0, as where bad batches are passed over."""

    def crf_log_likelihood_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        values, vjp = super().crf_log_likelihood_vjp(**call)
        passed_over = bool(np.isneginf(values[0]).any())

        def back(d: Array) -> Arrays:
            found = vjp(d)
            return {k: a * 0 if passed_over and k != "emissions" else a for k, a in found.items()}

        return values, back


class Averaged(CrfLoops):
    """The log-likelihood is divided by the length; the gradient is that of the sum."""

    def likelihood(self, score: float, log_partition: float, c: Chain) -> float:
        return super().likelihood(score, log_partition, c) / c.steps


class Negated(CrfLoops):
    """The log-likelihood is given as a loss, with its sign turned; the gradient is that of the log-likelihood."""

    def likelihood(self, score: float, log_partition: float, c: Chain) -> float:
        return -super().likelihood(score, log_partition, c)


class EmptyGetsStartAndEnd(CrfLoops):
    """An empty sequence collects the start and end scores of the first tag; its gradient is 0."""

    def empty(self, c: Chain) -> float:
        return float(c.start[0] + c.end[0])


class LabelTakenForATag(CrfLoops):
    """With padding marked by a label, the steps that it marks count, with the tag K - 1."""

    def valid_steps(self, valid: Array, call: Arrays) -> Array:
        return np.ones_like(valid) if str(call.get("padding")) == "label" else valid


class AccuracyOverThePadding(CrfLoops):
    """Steps that are taken out count as wrong: right steps are divided by all B T."""

    def share_right(self, right: Array, valid: Array) -> float:
        return float((right & valid).sum() / max(valid.size, 1))


class AccuracyBySequence(CrfLoops):
    """The accuracies of the sequences are averaged, short and long ones alike."""

    def share_right(self, right: Array, valid: Array) -> float:
        counts = valid.sum(axis=1)
        each = (right & valid).sum(axis=1)[counts > 0] / counts[counts > 0]
        return float(each.mean()) if each.size else 0.0


class TiesToTheHighest(CrfLoops):
    """Among equal paths, the highest tag is taken (SHOULD: the lowest)."""

    def chosen(self, a: Array, axis: int) -> Array:
        return np.asarray(a.shape[axis] - 1 - np.argmax(np.flip(a, axis), axis=axis))


class TagsChosenApart(CrfLoops):
    """Each step gets the tag of a best path, with no regard to which: of several, the lowest and highest by turns."""

    def crf_viterbi(self, **call: Any) -> tuple[Array, ...]:
        score, path = super().crf_viterbi(**call)
        for b, steps, chain in self._chains("crf_viterbi", call):
            if chain.steps and np.isfinite(score[b]):
                path[b, steps] = self.apart(chain)
        return score, path

    def apart(self, c: Chain) -> list[int]:
        """The best tags of the steps, by the score of the best path through each."""
        reached, onward = [c.start + c.emissions[0]], [c.end]
        for emission in c.emissions[1:]:
            reached.append(emission + (reached[-1][:, np.newaxis] + c.transitions).max(axis=0))
        for emission in c.emissions[:0:-1]:
            onward.insert(0, (c.transitions + emission + onward[0]).max(axis=1))
        through = np.stack(reached) + np.stack(onward)
        best = [np.flatnonzero(scores == scores.max()) for scores in through]
        return [int(tags[-1 if t % 2 else 0]) for t, tags in enumerate(best)]


def _plant(operation: str, fault: type[CrfLoops]) -> Fault:
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", fault.__name__).lower()
    family = operation.removeprefix("crf_").replace("_", "-")
    return Fault(f"crf-{family}-{words}", operation, " ".join((fault.__doc__ or "").split()), fault)


FAULTS: tuple[Fault, ...] = tuple(
    _plant(operation, fault)
    for operation, faults in {
        "crf_score": (
            TransitionsTransposed, StartDropped, EndDropped, StartAndEndSwapped, MaskCountedTwice, FirstEmissionMissing,
            EndAtTheLastColumn, EmptyGetsStartAndEnd, LabelTakenForATag,
        ),
        "crf_log_partition": (
            TransitionsTransposed, StartDropped, EndDropped, StartAndEndSwapped, LastEmissionMissing,
            LogSumExpUnshifted, PaddingSummedOver, EmptyGetsStartAndEnd, TransitionsGradientTransposed,
            TransitionsGradientOfOneStep,
        ),
        "crf_log_likelihood": (
            TransitionsTransposed, FirstEmissionMissing, LastEmissionMissing, LogSumExpUnshifted, Averaged,
            Negated, TransitionsGradientTransposed, TransitionsGradientOfOneStep, LabelTakenForATag,
            NothingLearntBesideTheImpossible,
        ),
        "crf_marginals": (
            TransitionsTransposed, EndDropped, Unnormalised, FromForwardAlone, LastStepTakenForPadding,
        ),
        "crf_viterbi": (
            TransitionsTransposed, StartDropped, WithoutEnd, PointersOffByOne, PathReversed, PathGreedy,
            LastStepTakenForPadding,
        ),
        "framewise_log_likelihood": (Averaged, Negated, LabelTakenForATag, LogSumExpUnshifted),
        "token_accuracy": (AccuracyOverThePadding, AccuracyBySequence, LastStepTakenForPadding),
    }.items()
    for fault in faults
)  # fmt: skip

TIES: tuple[Fault, ...] = (_plant("crf_viterbi", TiesToTheHighest), _plant("crf_viterbi", TagsChosenApart))
"""Faults that show where several paths are equally good."""
