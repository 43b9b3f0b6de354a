"""Operations of the linear-chain conditional random field, each with its gradient.

A path's score is the sum of the emissions at its tags, of the transitions between them, and of the start and end scores
of its first and last tag. Its probability is the exponential of its score, divided by the sum over all K^n paths. A
result of minus infinity (a forbidden path, or no possible one) has gradient 0.
"""

from __future__ import annotations

import numpy as np

from rnnspec.reference.call import Admitted, Computed, no_way_back
from rnnspec.reference.linear_chain import (
    Entropy,
    Gradients,
    Partition,
    Scores,
    best_path,
    best_paths,
    log_sum_exp,
    passes,
    path_gradients,
    path_score,
)
from rnnspec.reference.packed import Packed
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array


@computes("crf_score")
def _crf_score(call: Admitted) -> Computed:
    steps = Packed(call.steps)
    scores, path = Scores.of(call, steps), steps.pack(call.inputs["tags"])
    score = path_score(scores, path)

    def vjp(dscore: Array) -> Gradients:
        return steps.in_place(path_gradients(scores, path, _of_finite(dscore, score)))

    return (score,), vjp


@computes("crf_log_partition")
def _crf_log_partition(call: Admitted) -> Computed:
    steps = Packed(call.steps)
    partition = Partition(Scores.of(call, steps), call.record)
    return (partition.log_partition,), lambda d: steps.in_place(partition.gradients(d))


@computes("crf_log_likelihood")
def _crf_log_likelihood(call: Admitted) -> Computed:
    steps = Packed(call.steps)
    scores, path = Scores.of(call, steps), steps.pack(call.inputs["tags"])
    score, partition = path_score(scores, path), Partition(scores, call.record)
    # Minus infinity if the score is, whatever the partition.
    each = score - np.where(np.isfinite(score), partition.log_partition, 0)
    reduction = call.attributes["reduction"]
    counts = {"mean": len(each), "token_mean": int(call.steps.sum())}
    divisor = max(counts.get(reduction, 1), 1)

    def vjp(dlog_likelihood: Array) -> Gradients:
        d = _of_finite(dlog_likelihood / divisor, each)
        of_path, of_all = path_gradients(scores, path, d), partition.gradients(d)
        return steps.in_place({name: of_path[name] - of_all[name] for name in of_path})

    return (each if reduction == "none" else each.sum(axis=0) / divisor,), vjp


@computes("crf_marginals")
def _crf_marginals(call: Admitted) -> Computed:
    steps = Packed(call.steps)
    partition = Partition(Scores.of(call, steps), record=True)
    marginals = partition.marginals()

    def vjp(dmarginals: Array) -> Gradients:
        return steps.in_place(partition.gradients_of_marginals(marginals, steps.pack(dmarginals)))

    return (steps.unpack(marginals),), vjp


@computes("crf_viterbi")
def _crf_viterbi(call: Admitted) -> Computed:
    steps = Packed(call.steps)
    scores = Scores.of(call, steps)
    score, path = best_path(scores)

    def vjp(dscore: Array) -> Gradients:
        return steps.in_place(path_gradients(scores, path, _of_finite(dscore, score)))

    return (score, steps.unpack(path)), vjp


@computes("crf_best_paths")
def _crf_best_paths(call: Admitted) -> Computed:
    steps = Packed(call.steps)
    scores = Scores.of(call, steps)
    score, paths = best_paths(scores, call.attributes["paths"])

    def vjp(dscore: Array) -> Gradients:
        d = _of_finite(dscore, score)
        each = [path_gradients(scores, path, d[:, m]) for m, path in enumerate(paths)]
        return steps.in_place({name: sum((one[name] for one in each[1:]), array) for name, array in each[0].items()})

    return (score, np.stack([steps.unpack(path) for path in paths], axis=1)), vjp


@computes("crf_entropy")
def _crf_entropy(call: Admitted) -> Computed:
    steps = Packed(call.steps)
    found = Entropy(Scores.of(call, steps))
    return (found.entropy,), lambda d: steps.in_place(found.gradients(d))


@computes("framewise_log_likelihood")
def _framewise_log_likelihood(call: Admitted) -> Computed:
    steps = Packed(call.steps)
    path, emissions = steps.pack(call.inputs["tags"]), steps.pack(call.floats["emissions"])
    t, b = np.ogrid[: path.shape[0], : path.shape[1]]
    chosen = emissions[t, b, path]
    log_total, shares = log_sum_exp(emissions.transpose(2, 0, 1).copy())
    log_likelihood = np.where(steps.present, chosen - log_total, 0).sum(axis=0)
    probabilities = shares.transpose(1, 2, 0)
    ones = np.where(passes(path, steps, probabilities.shape[2]), np.ones_like(probabilities), 0)
    return (log_likelihood,), lambda d: steps.in_place({"emissions": (ones - probabilities) * d[:, np.newaxis]})


@computes("token_accuracy")
def _token_accuracy(call: Admitted) -> Computed:
    right = np.logical_and(call.inputs["predicted"] == call.inputs["tags"], call.steps)
    return (np.asarray(right.sum() / max(int(call.steps.sum()), 1), np.float64),), no_way_back


def _of_finite(d: Array, result: Array) -> Array:
    """Return the gradient of a result, 0 where the result is minus infinity."""
    return np.where(np.isfinite(result), d, 0)
