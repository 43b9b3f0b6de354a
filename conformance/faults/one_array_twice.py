"""Faults that show where one array is two inputs."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, Other
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
