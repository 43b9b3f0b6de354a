"""Faults that show where one array is two inputs."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from collections.abc import Collection

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array, NamedArrays


@plant("lstm", "attention_scores")
class OneArrayOneGradient(Backend):
    """Inputs that are one array get one gradient, the sum of theirs, as one tensor that is used twice does."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        found = super().gradients(call, cotangents, wanted)
        return {
            name: d
            + sum(other for key, other in found.items() if key != name and call.inputs[key] is call.inputs[name])
            for name, d in found.items()
        }


@plant("attention_scores")
class SelfAttentionMirrored(NumpyBackend):
    """Where the queries are the keys, scores above the diagonal are those below it, keys taken out included."""

    def run(self, call: Call) -> tuple[Array, ...]:
        outputs = super().run(call)
        if call.inputs["q"] is not call.inputs["k"]:
            return outputs
        below = np.tril(outputs[0])
        return (below + np.tril(outputs[0], -1).swapaxes(1, 2),)
