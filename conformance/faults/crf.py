"""Faults of the linear-chain CRF and its kin that are no changed equations: of the padding and of ranges."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the loops')
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from rnnspec.conformance.faults.crf_loops import Chains, CrfLoops
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array, NamedArrays, Vjp


@plant("crf_log_partition", "crf_log_likelihood")
@plant("framewise_log_likelihood", prefix="crf-framewise-log-likelihood")
class LogSumExpUnshifted(CrfLoops):
    """The log of a sum of exponentials is taken as it stands, in float32: no number where scores are large.

    Scores of order 1 show nothing; sums of more than about 88, or of less than -104, do.
    """

    def log_sum_exp(self, a: Array, axis: int) -> Array:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return np.asarray(np.log(np.exp(a.astype(np.float32)).sum(axis=axis)), np.float64)


@plant("crf_log_partition")
class PaddingSummedOver(CrfLoops):
    """All T steps are summed over, also those taken out; NaN there counts as 0."""

    def valid_steps(self, valid: Array, call: NamedArrays) -> Array:
        return np.ones_like(valid)

    def chains(self, operation: str, call: NamedArrays) -> Iterator[Chains]:
        return (replace(c, emissions=np.nan_to_num(c.emissions)) for c in super().chains(operation, call))


@plant("crf_marginals", "crf_viterbi")
@plant("token_accuracy", prefix="crf-token-accuracy")
class LastStepTakenForPadding(CrfLoops):
    """The last valid step of a sequence that ends before the array does is lost: its length is counted one too few."""

    def valid_steps(self, valid: Array, call: NamedArrays) -> Array:
        shorter = valid.copy()
        for row in shorter:
            steps = np.flatnonzero(row)
            if 1 < len(steps) < len(row):
                row[steps[-1]] = False
        return shorter


@plant("crf_score")
class MaskCountedTwice(CrfLoops):
    """A transition is multiplied by the masks of both its ends: across a step taken out it is lost.

    The gradient is that of the right score.
    """

    def crf_score(self, **call: Array) -> tuple[Array, ...]:
        (score,) = super().crf_score(**call)
        for c in self.chains("crf_score", call):
            moves = c.transitions[c.tags[:, :-1], c.tags[:, 1:]]
            lost = (np.diff(c.at, axis=1) > 1) & np.isfinite(moves)
            score[c.places] -= np.where(lost, moves, 0).sum(axis=1)
        return (score,)


@plant("crf_score")
class EndAtTheLastColumn(CrfLoops):
    """The end score is that of the tag in the array's last column, also where a sequence ends before it.

    The gradient is that of the right score.
    """

    def crf_score(self, **call: Array) -> tuple[Array, ...]:
        (score,) = super().crf_score(**call)
        tags, end = call["tags"], call.get("end")
        if end is None or not tags.shape[1]:
            return (score,)
        for c in self.chains("crf_score", call):
            score[c.places] += end[np.clip(tags[c.places, -1], 0, len(end) - 1)] - end[c.tags[:, -1]]
        return (score,)


@plant("crf_log_likelihood")
class NothingLearntBesideTheImpossible(CrfLoops):
    """One path that is not possible makes the gradients of all parameters 0, as where bad batches are passed over."""

    def crf_log_likelihood_vjp(self, **call: Any) -> tuple[tuple[Array, ...], Vjp]:
        values, vjp = super().crf_log_likelihood_vjp(**call)
        passed_over = bool(np.isneginf(values[0]).any())

        def back(d: Array) -> NamedArrays:
            found = vjp(d)
            return {k: a * 0 if passed_over and k != "emissions" else a for k, a in found.items()}

        return values, back


@plant("crf_score", "crf_log_likelihood")
@plant("framewise_log_likelihood", prefix="crf-framewise-log-likelihood")
class LabelTakenForATag(CrfLoops):
    """With padding marked by a label, the steps that it marks count, with the tag K - 1."""

    def valid_steps(self, valid: Array, call: NamedArrays) -> Array:
        return np.ones_like(valid) if str(call.get("padding")) == "label" else valid
