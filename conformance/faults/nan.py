"""Faults of NaN: code that makes a number of it, or spreads it to other sequences."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec import reference
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.crf_loops import CrfLoops
from rnnspec.conformance.faults.fault import LAYERS, Result, plant
from rnnspec.conformance.faults.functions import Function
from rnnspec.conformance.faults.loops import Loops
from rnnspec.spec.arrays import Array


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
    """A score that is not above minus infinity counts as forbidden, NaN included: log Z is that of the other paths."""

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
