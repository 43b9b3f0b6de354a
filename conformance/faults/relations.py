"""Faults that only a law between two calls shows.

Some remember an earlier call and take a related one for it; some are of another operation than the one that is asked
for, which must fit it; one is wrong by less than rounding explains.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; its methods are the operations)
from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec import reference
from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.altered import Altered
from rnnspec.conformance.faults.fault import Result, plant
from rnnspec.spec.arrays import Array, Arrays, NamedArrays

Arguments = dict[str, Any]


@plant("attention_scores")
class KeysByTheirChecksum(NumpyBackend):
    """Keys are recognised by the sum of their bytes, and the preparation for the first that had it is used again."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._keys: dict[Any, Array] = {}

    def attention_scores(self, **call: Any) -> Arrays:
        return reference.attention_scores(**self._prepared(call))

    def attention_scores_vjp(self, **call: Any) -> Result:
        return reference.attention_scores_vjp(**self._prepared(call))

    def _prepared(self, call: Arguments) -> Arguments:
        if not {"q", "k"} <= set(call):  # the reference refuses it
            return call
        k = call["k"]
        sums = tuple(sum(row.tobytes()) for row in k)
        return {**call, "k": self._keys.setdefault((k.shape, sums, call["q"].tobytes()), k)}


@plant("crf_log_partition")
class EmissionsByTheirDifferences(NumpyBackend):
    """Log Z is remembered by the differences between a step's emissions, and given to others that have them too."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._seen: dict[Any, Arrays] = {}

    def crf_log_partition(self, **call: Any) -> Arrays:
        result = reference.crf_log_partition(**call)
        emissions = call["emissions"]
        if emissions.size == 0 or emissions.shape[2] == 1:
            return result
        others = tuple((name, np.asarray(value).tobytes()) for name, value in call.items() if name != "emissions")
        key = emissions.shape, (emissions - emissions[:, :, :1]).tobytes(), others
        return self._seen.setdefault(key, result)


@plant("crf_log_partition")
class BestPathAboveThemAll(NumpyBackend):
    """The best path's score counts its greatest emission twice: it may lie above log Z, which is right."""

    def crf_viterbi(self, **call: Any) -> Arrays:
        score, path = reference.crf_viterbi(**call)
        return score + np.abs(call["emissions"]).max(axis=(1, 2), initial=0), path


@plant("crf_marginals")
class LogPartitionGradientAveraged(NumpyBackend):
    """The gradient of log Z is divided by the number of steps, T; marginals are right."""

    def crf_log_partition_vjp(self, **call: Any) -> Result:
        outputs, vjp = reference.crf_log_partition_vjp(**call)
        steps = call["emissions"].dtype.type(max(call["emissions"].shape[1], 1))
        return outputs, lambda *cotangents: {name: d / steps for name, d in vjp(*cotangents).items()}


@plant("state_jacobian")
class InitialGradientTwice(Altered):
    """Layers count the gradient of their initial state twice; state_jacobian is right."""

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        return {name: 2 * d if call.spec.unrolls and name in ("h0", "c0") else d for name, d in gradients.items()}


@plant("lstm_1997")
class ZeroWeightsSkipped(NumpyBackend):
    """Where R is 0 throughout, the way back through it is skipped, and R gets no gradient; with cell_only it does."""

    def lstm_1997_vjp(self, **call: Any) -> Result:
        outputs, vjp = reference.lstm_1997_vjp(**call)
        if call["R"].any() or call["gradient"] == "cell_only":
            return outputs, vjp
        return outputs, lambda *cotangents: {**vjp(*cotangents), "R": np.zeros_like(call["R"])}


@plant("clip_by_norm")
class MultipliedAndDivided(NumpyBackend):
    """Every gradient is multiplied by the threshold, and divided by it where it is short: off by a rounding or two."""

    def clip_by_norm(self, x: Array, threshold: float, epsilon: float) -> Arrays:
        right = reference.clip_by_norm(x, threshold=threshold, epsilon=epsilon)  # it refuses what is to be refused
        if not 1e-6 < np.abs(x).max(initial=0) < 1e6:  # a product with the threshold could leave the type
            return right
        limit = x.dtype.type(threshold)
        norm = np.sqrt((x * x).sum(dtype=x.dtype)) + x.dtype.type(epsilon)
        return (x * limit / max(norm, limit),)
