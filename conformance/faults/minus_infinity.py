"""Faults of what stands in the place of minus infinity, and of what minus infinity makes."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, valid_last, with_inputs
from rnnspec.conformance.faults.crf_loops import Chains, CrfLoops
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array

LOW = -1e4
"""The common stand-in for minus infinity, which fits into float16."""


def softmax(a: Array) -> Array:
    """Shares along the last axis."""
    exponentials = np.exp(a - a.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


class _MaskedByALowNumber(Altered):
    """Scores that are taken out get -10000 in the softmax along the last axis."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        (right,), scores = outputs, call.inputs["scores" if "scores" in call.inputs else "x"]
        valid = valid_last(call, scores)
        if not right.size:
            return outputs
        shares = softmax(np.where(valid, scores.astype(np.float64), LOW))
        return (np.where(valid, shares, 0).astype(right.dtype),)


@plant("attention_weights")
class MaskedKeysAtMinus10000(_MaskedByALowNumber):
    """Keys that are taken out get a score of -10000 and their share of the whole: valid scores below it lose."""


@plant("softmax")
class PaddedStepsAtMinus10000(_MaskedByALowNumber):
    """Steps that are taken out get -10000 and their share of the whole: valid numbers below it lose."""


@plant("crf_log_partition")
class ScoresKeptAboveMinus10000(CrfLoops):
    """Transitions, starts and ends below -10000 are brought up to it: forbidden moves are only unlikely ones."""

    def parameters(self, transitions: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
        return np.maximum(transitions, LOW), np.maximum(start, LOW), np.maximum(end, LOW)


@plant("crf_log_likelihood")
class ForbiddenAtMinus1e30(CrfLoops):
    """Minus infinity is replaced by -1e30: an impossible path has a finite log-likelihood."""

    def parameters(self, transitions: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
        return np.maximum(transitions, -1e30), np.maximum(start, -1e30), np.maximum(end, -1e30)


@plant("crf_log_partition")
class NanFromOneForbiddenMove(CrfLoops):
    """The expected count of a forbidden move is 0 times infinity, and so is the gradient of the transitions."""

    def over_steps(self, pairs: Array) -> Array:
        counts = super().over_steps(pairs)
        return np.where(counts == 0, np.nan, counts) if pairs.shape[1] else counts


@plant("crf_log_partition")
class NanFromAllForbidden(CrfLoops):
    """Where every way to a tag is forbidden its log-sum is NaN: minus infinity less itself."""

    def log_sum_exp(self, a: Array, axis: int) -> Array:
        right = super().log_sum_exp(a, axis)
        return np.asarray(np.where(np.isneginf(right), np.nan, right))


@plant("crf_viterbi")
class BestPathThroughAForbiddenMove(CrfLoops):
    """Forbidden moves get a score of -100: a path through one can win where emissions are large."""

    def parameters(self, transitions: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
        return np.where(np.isneginf(transitions), -100, transitions), start, end


@plant("framewise_log_likelihood")
class EmissionsKeptAboveMinus10000(Altered):
    """Emissions below -10000 are brought up to it, where they are legal and say that much."""

    def altered(self, call: Call) -> Call:
        emissions = call.inputs["emissions"]
        return with_inputs(call, emissions=np.maximum(emissions, emissions.dtype.type(LOW)))


@plant("crf_log_partition")
class ImpossibleTakenForEmpty(CrfLoops):
    """Where every path is forbidden, log Z is 0: the sum of nothing."""

    def log_partition(self, c: Chains) -> Array:
        right = super().log_partition(c)
        return np.where(np.isneginf(right), 0, right)
