"""Faults of conduct: numbers may be right, but not their form, what becomes of arrays, or what NaN does to others.

The general ones are planted into every family's layer, and some into the CRF and attention.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the backend's or the loops')
from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from rnnspec import reference
from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.crf_loops import CrfLoops
from rnnspec.conformance.faults.fault import LAYERS, Result, plant
from rnnspec.conformance.faults.functions import Function
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays

# The form of results.


@plant(*LAYERS)
class StatesWithAnAxisOfLayers(Loops):
    """The final states have an axis in front, for layers, as torch's have: (1, B, H)."""

    def run(self, call: Call) -> tuple[Array, ...]:
        y, *states = super().run(call)
        return (y, *(state[np.newaxis] for state in states))


@plant(*LAYERS)
class BiasGradientFlat(Loops):
    """The gradient of b has the gates one after another on one axis, as torch's and Keras's has: (G H,)."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        found = super().gradients(call, cotangents, wanted)
        return {name: d.reshape(-1) if name == "b" else d for name, d in found.items()}


# What becomes of arrays.


@plant(*LAYERS)
class PaddingClearedInPlace(Loops):
    """The padding is set to 0 in the caller's own array."""

    def to_native(self, array: Array) -> Array:
        return array

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        given = super().admit(operation, inputs, attributes)
        inputs["x"][~self.valid_steps(inputs["x"], inputs.get("lengths"), inputs.get("mask"), given)] = 0
        return given


@plant(*LAYERS)
class CotangentsUsedUp(Loops):
    """The gradient of the outputs is added to in the caller's own array on the way back."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        found = super().gradients(call, cotangents, wanted)
        for cotangent in cotangents:
            if cotangent is not None:
                cotangent += 1
        return found


@plant(*LAYERS)
class BufferUsedAgain(Loops):
    """Outputs are views of memory that the next call with outputs of these shapes writes to."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._memory: dict[tuple[int, tuple[int, ...], str], Array] = {}

    def run(self, call: Call) -> tuple[Array, ...]:
        outputs = []
        for number, output in enumerate(super().run(call)):
            memory = self._memory.setdefault((number, output.shape, output.dtype.name), np.empty_like(output))
            memory[...] = output
            outputs.append(memory)
        return tuple(outputs)


@plant(*LAYERS, "crf_log_partition", "attention_scores")
class StridesIgnored(Backend):
    """Memory is read in the order in which it lies, whatever the strides say."""

    def to_native(self, array: Array) -> Array:
        return np.ravel(array, order="K").reshape(array.shape)


@plant(*LAYERS)
class SumsInTheOrderOfArrival(Loops):
    """Products add up their terms in an order that changes from call to call, as accelerators' atomic additions do."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._arrivals = np.random.default_rng(0)

    def product(self, x: Array, M: Array) -> Array:
        order = self._arrivals.permutation(x.shape[1])
        return super().product(x[:, order], M[:, order])


# What special values do.


@plant(*LAYERS)
class ArgumentsClamped(Loops):
    """Arguments of activations are brought between -80 and 80 by C's fmin and fmax, which make a number of NaN."""

    def function(self, name: str) -> Function:
        right = super().function(name)
        return Function(lambda a: right.value(np.fmax(np.fmin(a, 80), -80).astype(a.dtype)), right.slope)


@plant(*LAYERS)
class ScaledByTheWholeBatch(Loops):
    """The input is scaled by the batch's greatest magnitude and back, as for quantising: one NaN makes it all NaN."""

    def cleaned(self, x: Array, valid: Array) -> Array:
        cleaned = super().cleaned(x, valid)
        greatest = np.abs(cleaned).max(initial=0)
        # A power of 2, which loses nothing.
        scale = np.ldexp(cleaned.dtype.type(1), np.frexp(greatest)[1]) if np.isfinite(greatest) else greatest
        return np.asarray(cleaned / scale * scale)


@plant("crf_log_partition")
class NanTakenForForbidden(CrfLoops):
    """What is not above minus infinity counts as forbidden, NaN included: log Z is that of the other paths."""

    def log_sum_exp(self, a: Array, axis: int) -> Array:
        return super().log_sum_exp(np.where(a > -np.inf, a, -np.inf), axis)


@plant("attention_weights")
class NanWeighsNothing(NumpyBackend):
    """A score that is NaN gets weight 0, and the others share out the whole."""

    def attention_weights(self, scores: Array, **call: Any) -> tuple[Array, ...]:
        known = np.where(np.isnan(scores), -np.inf, scores).astype(scores.dtype)
        return reference.attention_weights(known, **call)

    def attention_weights_vjp(self, **call: Any) -> Result:
        return reference.attention_weights_vjp(**call)


# Edges.


@plant(*LAYERS)
class NoLengthsTakenForNone(Loops):
    """Where no sequence has a step, lengths and mask are as good as not given: ``if lengths.any()``."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        lengths = lengths if lengths is not None and lengths.any() else None
        return super().valid_steps(x, lengths, mask if mask is not None and mask.any() else None, a)
