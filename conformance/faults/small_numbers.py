"""Faults of numbers that are small all together, of certain probabilities and of large ids."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.altered import Altered, valid_of, with_inputs
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array


@plant("rnn", "mean_absolute_error")
class SmallInputsFlushed(Altered):
    """A number smaller than 1e-8 is read as 0, which saves subnormal numbers later on."""

    def altered(self, call: Call) -> Call:
        read = {name: np.where(np.abs(array) < 1e-8, 0, array) for name, array in call.float_inputs.items()}
        return with_inputs(call, **{name: array.astype(call.inputs[name].dtype) for name, array in read.items()})


@plant("attention_scores")
class CosineOfShortVectors(Altered):
    """The cosine divides by norms of 1e-8 at least, so that those of short vectors are too small."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        if call.attributes["score"] != "cosine":
            return outputs
        q, k = (np.linalg.norm(call.inputs[name].astype(np.float64), axis=2) for name in ("q", "k"))
        shares = np.minimum(q / 1e-8, 1)[:, :, np.newaxis] * np.minimum(k / 1e-8, 1)[:, np.newaxis]
        return tuple((y * shares).astype(y.dtype) for y in outputs)


@plant("binary_cross_entropy")
class NoCostBeyond100(Altered):
    """No logarithm is below -100: what had probability 0 costs 100 where it comes true, and not infinitely much."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        if call.attributes["given"] == "logits" or call.attributes["weighted"]:
            return outputs
        (each,) = NumpyBackend().run(Call(call.operation, call.inputs, {**call.attributes, "reduction": "none"}))
        capped, reduction = np.minimum(each, 100), call.attributes["reduction"]
        if reduction == "none":
            return (capped,)
        counts = {"mean": valid_of(call).sum(), "batch_mean": len(each)}
        return (np.asarray(capped.sum() / max(counts.get(reduction, 1), 1), each.dtype),)


@plant("token_accuracy")
class TagsComparedAsBytes(Altered):
    """Tags are compared as bytes: those that are 256 apart are the same."""

    def altered(self, call: Call) -> Call:
        return with_inputs(call, **{name: call.inputs[name] % 256 for name in ("predicted", "tags")})
