"""Faults of attention that are no changed equations: of the padding, of the batch and of ranges."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the altered reference's)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, valid_last, valid_of, with_all_steps, with_inputs
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array, Arrays


def keys_of(call: Call) -> Array:
    """Which keys are valid, ``(B, 1, T)``."""
    return valid_of(call)[:, np.newaxis]


@plant("attention_scores", prefix="attention")
class ScoresOfPaddingShown(Altered):
    """Keys that are taken out have scores other than 0."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        return (np.where(keys_of(call), outputs[0], outputs[0].dtype.type(-1e9)),)


@plant("attention_weights", prefix="attention")
class MaskIgnored(Altered):
    """Keys that are taken out get their share of the weights."""

    def altered(self, call: Call) -> Call:
        scores = call.inputs["scores"]
        return with_all_steps(with_inputs(call, scores=np.where(keys_of(call), scores, scores.dtype.type(0))))


@plant("attention_weights", prefix="attention")
class MaskedByALargeNumber(Altered):
    """Keys that are taken out have a score of -1e9: where there is no other, they share the weights."""

    def altered(self, call: Call) -> Call:
        scores = call.inputs["scores"]
        return with_all_steps(with_inputs(call, scores=np.where(keys_of(call), scores, scores.dtype.type(-1e9))))


@plant("attention_weights", prefix="attention")
class NoKeyIsNan(Altered):
    """A row without keys is divided by its sum, 0."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        return (np.where(keys_of(call).any(axis=2, keepdims=True), outputs[0], outputs[0].dtype.type(np.nan)),)


@plant("attention")
class LargeNegativeMask(Altered):
    """Keys that are not seen have a score of -1e9: a query that sees none has a mean of the values that are there."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        context, weights = outputs
        valid = keys_of(call)
        empty = (weights == 0).all(axis=2, keepdims=True) & valid.any(axis=2, keepdims=True)
        mean = np.where(empty, valid / np.maximum(valid.sum(axis=2, keepdims=True), 1), weights)
        values = np.where(valid_of(call)[:, :, np.newaxis], call.inputs["values"], context.dtype.type(0))
        shared = mean.astype(context.dtype) @ values
        return np.where(empty, shared, context).astype(context.dtype), mean.astype(weights.dtype)


@plant("attention")
class UnseenKeysSpoilTheSum(Altered):
    """A key that is taken out is multiplied by its weight, 0, which leaves NaN as it is."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        context, weights = outputs
        return ((weights @ call.inputs["values"]).astype(context.dtype), weights)


@plant("multi_head_attention")
class HeadsInterleaved(Altered):
    """The heads' features are read one of each head in turn, not head by head."""

    def altered(self, call: Call) -> Call:
        def turned(name: str) -> Array:
            array = call.inputs[name]
            return np.ascontiguousarray(array.swapaxes(0, 1)).reshape(array.shape)

        names = [name for name in ("W_q", "W_k", "b_q", "b_k") if name in call.inputs]
        return with_inputs(call, **{name: turned(name) for name in names})


class Unshifted(Altered):
    """A softmax of numbers from which the greatest is not taken off first."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        (right,), scores = outputs, call.inputs["scores" if "scores" in call.inputs else "x"]
        valid = valid_last(call, scores)
        exponentials = np.where(valid, np.exp(scores), right.dtype.type(0))
        total = exponentials.sum(axis=-1, keepdims=True)
        return (np.where(valid.any(axis=-1, keepdims=True), exponentials / total, right).astype(right.dtype),)


@plant("attention_weights", prefix="attention")
class ExponentialsUnshifted(Unshifted):
    """Exponentials are taken of the scores as they are, and overflow."""


@plant("attention_context", prefix="attention")
class PaddedValuesCounted(Altered):
    """Values that are taken out count with their weights."""

    def altered(self, call: Call) -> Call:
        return with_all_steps(call)


@plant("feature_attention", prefix="attention")
class FeatureSoftmaxOverTheBatch(Altered):
    """The softmax runs over the batch, not over the features."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        x, W, b = (call.inputs[name] for name in ("x", "W", "b"))
        exponentials = np.exp(x @ W.T + b)
        return ((x * exponentials / exponentials.sum(axis=0)).astype(x.dtype),)
