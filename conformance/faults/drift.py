"""Faults of a few per cent or less in the two-byte types, which a loose tolerance for these takes for rounding."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered
from rnnspec.conformance.faults.crf_loops import CrfLoops
from rnnspec.conformance.faults.fault import plant
from rnnspec.conformance.faults.gru_loops import GruLoops
from rnnspec.conformance.faults.lstm_loops import LstmLoops
from rnnspec.spec.arrays import Array, NamedArrays


@plant("lstm_cell", dtype="bfloat16")
class ForgetBiasATenthMore(LstmLoops):
    """The bias of the forget gate is 0.1 larger."""

    def bias_of(self, gate: str, b: Array) -> Array:
        b = super().bias_of(gate, b)
        return b + b.dtype.type(0.1) if gate == "f" else b


@plant("gru", dtype="bfloat16")
class RecurrentGradientFivePercentShort(GruLoops):
    """The gradient of R is 5 % too small."""

    def accumulated(self, dp: object, p: NamedArrays) -> NamedArrays:
        found = super().accumulated(dp, p)  # type: ignore[arg-type]  # passed on as it came
        return {name: d * d.dtype.type(0.95) if name == "R" else d for name, d in found.items()}


@plant("attention_context", "rnn", "layer_norm_lstm", dtype="float16")
class OutputTooLarge(Altered):
    """The outputs are 0.2 % too large."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple((y.astype(np.float32) * np.float32(1.002)).astype(y.dtype) for y in outputs)


@plant("seq2seq", dtype="bfloat16")
class InputGradientTwoPercentShort(Altered):
    """The gradients of what comes with each sequence are 2 % too small."""

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        kinds = call.spec.inputs
        return {
            name: (d.astype(np.float32) * np.float32(0.98)).astype(d.dtype) if kinds[name].per_sequence else d
            for name, d in gradients.items()
        }


@plant("crf_log_partition", dtype="float16")
class PartitionHalfAPercentMore(CrfLoops):
    """Z is half a per cent too large: log Z is 0.005 more."""

    def log_sum_exp(self, a: Array, axis: int) -> Array:
        return super().log_sum_exp(a, axis) + (0.005 if a.ndim == 2 else 0.0)
