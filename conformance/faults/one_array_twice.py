"""Faults that show where one array is two inputs."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, Other, with_inputs
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array, NamedArrays


@plant("lstm", "attention_scores")
class OneArrayOneGradient(Other):
    """Inputs that are one array get one gradient, the sum of theirs, as one tensor that is used twice does."""

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        return {
            name: d
            + sum(other for key, other in gradients.items() if key != name and call.inputs[key] is call.inputs[name])
            for name, d in gradients.items()
        }


@plant("attention_scores")
class SelfAttentionMirrored(Altered):
    """Where the queries are the keys, scores above the diagonal are those below it, keys taken out included."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        if call.inputs["q"] is not call.inputs["k"]:
            return outputs
        below = np.tril(outputs[0])
        return (below + np.tril(outputs[0], -1).swapaxes(1, 2),)


@plant("attention_scores", "mean_squared_error", "lstm")
class OverlappingTakenForOne(Altered):
    """Inputs of one shape that share memory are taken for one array, though one begins further on."""

    def altered(self, call: Call) -> Call:
        inputs = dict(call.inputs)
        for one, other in combinations(inputs, 2):
            if _overlap(inputs[one], inputs[other]):
                inputs[other] = inputs[one]
        return Call(call.operation, inputs, call.attributes)


@plant("multi_head_attention", "gru")
class SlabsReadInTheirOrder(Altered):
    """Inputs that are entries of one array are read from it one after another, whichever of them each is."""

    def altered(self, call: Call) -> Call:
        inputs, taken = dict(call.inputs), Counter[int]()
        for name, array in call.inputs.items():
            base = array.base
            if isinstance(base, np.ndarray) and base.shape[1:] == array.shape and base.dtype == array.dtype:
                inputs[name] = base[taken[id(base)] % len(base)]
                taken[id(base)] += 1
        return Call(call.operation, inputs, call.attributes)


@plant("multi_head_attention")
class SelfProjectedWithoutBias(Altered):
    """Queries and keys that are one array are projected in one product, without the queries' bias."""

    def altered(self, call: Call) -> Call:
        if call.inputs["q"] is not call.inputs["k"] or "b_q" not in call.inputs:
            return call
        return with_inputs(call, b_q=np.zeros_like(call.inputs["b_q"]))


def _overlap(one: Array, other: Array) -> bool:
    same_form = (one.shape, one.dtype) == (other.shape, other.dtype)
    return same_form and one is not other and one.dtype.kind == "f" and np.shares_memory(one, other)
