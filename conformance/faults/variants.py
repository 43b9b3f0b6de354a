"""Right implementations written in other ways: no check may ever reject one."""

# ruff: noqa: D102  (a variant's class says what it does differently; the method is one of the loops')
from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.crf_loops import CrfLoops
from rnnspec.conformance.faults.functions import Function, logistic_by_tanh, named
from rnnspec.conformance.faults.gru_loops import GruLoops
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.conformance.faults.lstm_loops import LstmLoops
from rnnspec.conformance.faults.rnn_loops import RnnLoops
from rnnspec.spec.arrays import Array, NamedArrays

LOOPS: dict[str, type[Loops]] = {"rnn": RnnLoops, "lstm": LstmLoops, "gru": GruLoops}
"""The right loops of each family."""


class Plain(Loops):
    """The loops as they are; two-byte floats are computed in float32 and rounded once, at the end."""


class ConcatenatedWeights(Loops):
    """``[W R] [x; h]`` in one product."""

    def argument(self, x: Array, h: Array, W: Array, R: Array, b: Array) -> Array:
        return self.product(np.concatenate([x, h], axis=1), np.concatenate([W, R], axis=1)) + b


class RoundedAfterEachOperation(Loops):
    """Everything is computed in the inputs' type: each product and each sum of two numbers is rounded to it."""

    def working(self, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
        return dtype

    def product(self, x: Array, M: Array) -> Array:
        result = np.zeros((x.shape[0], M.shape[0]), x.dtype)
        for k in range(x.shape[1]):
            result += x[:, k, np.newaxis] * M[:, k]
        return result

    def batch_sum(self, array: Array) -> Array:
        return self.total([np.zeros_like(array[0]) if len(array) else np.zeros(array.shape[1:], array.dtype), *array])


class ProductsInFloat32(RoundedAfterEachOperation):
    """Everything is computed in the inputs' type, but products and sums of many numbers are rounded to it once."""

    def product(self, x: Array, M: Array) -> Array:
        wider = super(RoundedAfterEachOperation, self).working(x.dtype)
        return np.asarray((x.astype(wider) @ M.T.astype(wider)).astype(x.dtype))

    def batch_sum(self, array: Array) -> Array:
        wider = super(RoundedAfterEachOperation, self).working(array.dtype)
        return np.asarray(array.astype(wider).sum(axis=0).astype(array.dtype))


class LogisticByTanh(Loops):
    """The logistic is ``0.5 tanh(0.5 a) + 0.5``."""

    def function(self, name: str) -> Function:
        return Function(logistic_by_tanh, named(name).slope) if name == "logistic" else super().function(name)


class RoundedLogisticByTanh(LogisticByTanh, RoundedAfterEachOperation):
    """The logistic is ``0.5 tanh(0.5 a) + 0.5``, and everything is computed in the inputs' type."""


class OtherOrder(Loops):
    """Features, gates, sequences and steps are added up from the last to the first."""

    def product(self, x: Array, M: Array) -> Array:
        return super().product(x[:, ::-1], M[:, ::-1])

    def total(self, parts: Sequence[Array]) -> Array:
        return super().total(parts[::-1])

    def batch_sum(self, array: Array) -> Array:
        return super().batch_sum(array[::-1])


class MixedByDifference(GruLoops):
    """The update is ``n + z (h - n)``, or ``h + z (n - h)``."""

    def mixed(self, z: Array, n: Array, h_prev: Array, a: Attributes) -> Array:
        return np.asarray(n + z * (h_prev - n) if self.keeps(a) else h_prev + z * (n - h_prev))


class RoundedMixedByDifference(MixedByDifference, RoundedAfterEachOperation):
    """The update is ``n + z (h - n)``, or ``h + z (n - h)``, and everything is computed in the inputs' type."""


class AnyOfTheBest(CrfLoops):
    """One of equal paths is taken by chance."""

    def chosen(self, a: Array, axis: int) -> Array:
        best = a == a.max(axis=axis, keepdims=True)
        return np.asarray(np.argmax(best * np.random.default_rng(0).uniform(1, 2, a.shape), axis=axis))


class HighestFirst(NumpyBackend):
    """Tokens are numbered from the last to the first: of equally good ones, the highest is taken."""

    def run(self, call: Call) -> tuple[Array, ...]:
        turned = self._turned(call)
        tokens, lengths, logs = super().run(turned)
        written = np.arange(tokens.shape[-1]) < lengths[..., np.newaxis]
        return np.where(written, len(call.inputs["V"]) - 1 - tokens, 0), lengths, logs

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        found = super().gradients(self._turned(call), cotangents, wanted)
        return {name: array[self._order(call, name)] for name, array in found.items()}

    def _turned(self, call: Call) -> Call:
        last = len(call.inputs["V"]) - 1
        inputs = {name: array[self._order(call, name)] for name, array in call.inputs.items()}
        end = call.attributes["end"]
        end = end if end is None or end > last else last - end
        if "start" in inputs:
            inputs["start"] = last - inputs["start"]
        return Call(call.operation, inputs, {**call.attributes, "end": end})

    def _order(self, call: Call, name: str) -> Any:
        """The tokens' axis of an input the other way round; with one-hot vectors, features are tokens."""
        if name in ("W", "first") and call.attributes["embedding"] == "one_hot":
            return ..., slice(None, None, -1)
        return slice(None, None, -1 if name in ("V", "c", "E") else 1)


class FromTheLastStep(NumpyBackend):
    """The best path is followed from the last step to the first."""

    def run(self, call: Call) -> tuple[Array, ...]:
        score, path = super().run(self._turned(call))
        return score, self._in_order(path, self._order(call))

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        ends = {"start": "end", "end": "start"}
        asked = None if wanted is None else [ends.get(name, name) for name in wanted]
        found = super().gradients(self._turned(call), cotangents, asked)
        turned = {ends.get(name, name): array for name, array in found.items()}
        if "emissions" in turned:
            turned["emissions"] = self._in_order(turned["emissions"], self._order(call))
        if "transitions" in turned:
            turned["transitions"] = turned["transitions"].T
        return turned

    def _turned(self, call: Call) -> Call:
        inputs = {name: array for name, array in call.inputs.items() if name not in ("start", "end")}
        order = self._order(call)
        for name in ("emissions", "mask", "possible"):
            if name in inputs:
                inputs[name] = self._in_order(inputs[name], order)
        for name in ("transitions", "allowed"):
            if name in inputs:
                inputs[name] = inputs[name].T
        for name, other in (("start", "end"), ("end", "start")):
            if name in call.inputs:
                inputs[other] = call.inputs[name]
        return Call(call.operation, inputs, call.attributes)

    def _order(self, call: Call) -> Array:
        """The places of the steps ``(B, T)``: those before the end of a sequence the other way round."""
        count, steps = call.inputs["emissions"].shape[:2]
        ends = call.inputs.get("lengths", np.full(count, steps))[:, np.newaxis]
        places = np.arange(steps)[np.newaxis]
        return np.where(places < ends, ends - 1 - places, places)

    def _in_order(self, array: Array, order: Array) -> Array:
        return np.take_along_axis(array, order.reshape(*order.shape, *(1,) * (array.ndim - 2)), axis=1)


@dataclass(frozen=True)
class Variant:
    """A right implementation of some operations, and how it is written."""

    name: str
    operations: tuple[str, ...]
    about: str
    implementation: type[Backend]


_GENERAL: dict[str, type[Loops]] = {
    "plain": Plain,
    "concatenated-weights": ConcatenatedWeights,
    "rounded-after-each-operation": RoundedAfterEachOperation,
    "products-in-float32": ProductsInFloat32,
    "logistic-by-tanh": LogisticByTanh,
    "rounded-logistic-by-tanh": RoundedLogisticByTanh,
    "other-order": OtherOrder,
}
_OWN: dict[str, dict[str, type[Loops]]] = {
    "gru": {"mixed-by-difference": MixedByDifference, "rounded-mixed-by-difference": RoundedMixedByDifference},
}


def _variant(family: str, name: str, differently: type[Loops]) -> Variant:
    loops = LOOPS[family]
    whole = differently if issubclass(differently, loops) else type(differently.__name__, (differently, loops), {})
    return Variant(f"{family}-{name}", (f"{family}_cell", family), differently.__doc__ or "", whole)


def _of_others(name: str, whole: type[Backend], *operations: str) -> Variant:
    return Variant(name, operations, whole.__doc__ or "", whole)


VARIANTS: tuple[Variant, ...] = (
    *(
        _variant(family, name, differently)
        for family in LOOPS
        for name, differently in (*_GENERAL.items(), *_OWN.get(family, {}).items())
    ),
    # The other gradients are exp(alpha + beta - log Z), less exact than rounding explains where scores are large.
    _of_others("crf-loops", CrfLoops, "crf_score", "crf_viterbi", "framewise_log_likelihood"),
    _of_others("crf-any-of-the-best", AnyOfTheBest, "crf_viterbi"),
    _of_others("crf-from-the-last-step", FromTheLastStep, "crf_viterbi"),
    _of_others("decoding-highest-first", HighestFirst, "greedy_decode", "beam_search"),
)
"""Every right variant; names are unique."""
