"""Faults of a few times the smallest error that is seen: one quantity of the reference is off by so much.

Other faults are wrong by far, and would be caught by bounds ten times as wide too. These would not: each error is one
and a half times the smallest that its check sees with each of the seeds 0 to 4, so that bounds of twice the width miss
it with one of them at least. ``python -m rnnspec.conformance.faults.near_the_bound`` measures what that is.
"""

# ruff: noqa: D102  (what a method does is said where the contract names it)
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

import numpy as np

from rnnspec import reference, spec
from rnnspec.backends import Call, Cotangents
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.sharpness.measuring import cases_of, smallest_seen
from rnnspec.conformance.sharpness.planting import RelativeErrorIn, WatchedReference
from rnnspec.spec.arrays import Array

Quantity = Literal["values", "gradients"]

CHECK_OF: Final[Mapping[Quantity, Check]] = {"values": Values(), "gradients": Gradients()}
"""The check that is to catch an error in a part."""

BEYOND: Final = 20
"""An error of two to the power of this many units of roundoff is not asked for."""

MARGIN: Final = 1.5
"""How many times the smallest error that is seen is planted; a little more where steps of the type come between."""


class SlightlyWrong(WatchedReference):
    """The reference, with one quantity off by a relative error; all else is right."""

    quantity: ClassVar[str]
    error: ClassVar[float]

    def __init__(self) -> None:
        super().__init__(RelativeErrorIn(self.quantity, self.error))

    def dtypes(self) -> tuple[str, ...]:
        return spec.FLOAT_TYPES

    def has_gradients(self, operation: str) -> bool:
        return spec.operation(operation).differentiable

    def run(self, call: Call) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return super().run(call)

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        with np.errstate(all="ignore"):
            gradients = self.way_back(call, self._given(call, cotangents))
        return {name: d for name, d in gradients.items() if wanted is None or name in wanted}

    def _given(self, call: Call, cotangents: Cotangents) -> tuple[Array, ...]:
        """The cotangents, zeros for an output that is not used."""
        if all(cotangent is not None for cotangent in cotangents):
            return tuple(cotangent for cotangent in cotangents if cotangent is not None)
        outputs = getattr(reference, call.operation)(**call.inputs, **call.attributes)
        kinds = call.spec.outputs_for(call.attributes).values()
        floats = [output for output, item in zip(outputs, kinds, strict=True) if item.kind == "float"]
        return tuple(np.zeros_like(y) if d is None else d for y, d in zip(floats, cotangents, strict=True))


@dataclass(frozen=True)
class Slight:
    """An error of so many units of roundoff in a quantity that is computed in a part of an operation."""

    operation: str
    dtype: str
    part: Quantity
    quantity: str
    units: float

    def with_units(self, units: float) -> Slight:
        """The same with another error."""
        return replace(self, units=units)

    @property
    def fault(self) -> Fault:
        """It as one of the catalogue."""
        error = self.units * format_of(self.dtype).unit_roundoff
        implementation = type("SlightlyWrong", (SlightlyWrong,), {"quantity": self.quantity, "error": error})
        about = f"``{self.quantity}`` is too large by {self.units:g} units of roundoff."
        name = f"{self.operation.replace('_', '-')}-slightly-wrong-{self.part}"
        return Fault(name, self.operation, about, implementation, self.dtype)

    def smallest(self, seed: int) -> float:
        """Return how many units the check sees at least with a seed, to a tenth."""
        cases = cases_of(self.operation, self.dtype, self.part, seed)
        lowest = smallest_seen(lambda eighths: self._seen(cases, 2 ** (eighths / 8)), 0, 8 * BEYOND)
        return float(2 ** (lowest / 8))

    def _seen(self, cases: Sequence[Case], units: float) -> bool:
        backend = self.with_units(units).fault.implementation()
        for case in cases:
            try:
                CHECK_OF[self.part].examine(backend, case)
            except Violation:
                return True
        return False


SLIGHT: Final = (
    Slight("dense", "float32", "values", "blocks.py: x @ W.T + b", 7.8),
    Slight("dense", "bfloat16", "gradients", "blocks.py: da @ W", 7.8),
    Slight(
        "cross_entropy",
        "float16",
        "values",
        "losses.py: shifted - np.log(np.exp(shifted).sum(axis=2))[:, :, np.newaxis]",
        31,
    ),
    Slight("cross_entropy", "float64", "gradients", "losses.py: np.exp(log_p)", 44),
    Slight("rnn_cell", "bfloat16", "values", "rnn.py: self.R @ h_prev", 31),
    Slight("rnn", "float32", "gradients", "rnn.py: self.R.T @ da", 24),
    Slight("lstm", "float32", "values", "lstm.py: f * c_prev", 7.8),
    Slight("lstm_cell", "float16", "gradients", "lstm.py: dc * f", 29),
    Slight("layer_norm_lstm_cell", "float64", "values", "layer_norm_lstm.py: apart * scale", 48),
    Slight("layer_norm_lstm", "float32", "gradients", "layer_norm_lstm.py: self.gain * da", 29),
    Slight("lstm_1997", "float16", "values", "lstm_1997.py: i * g", 40),
    Slight("lstm_1997_cell", "float32", "gradients", "lstm_1997.py: dc * g", 62),
    Slight("forget_only_lstm", "float64", "values", "forget_only_lstm.py: (1 - f) * g", 44),
    Slight("forget_only_lstm_cell", "bfloat16", "gradients", "forget_only_lstm.py: dh * f", 24),
    Slight("peephole_lstm_cell", "float32", "values", "peephole_lstm.py: f * c_prev", 26),
    Slight("peephole_lstm", "float64", "gradients", "peephole_lstm.py: dh * o", 52),
    Slight("gru", "bfloat16", "values", "gru.py: (1 - z) * n", 44),
    Slight("gru_cell", "float32", "gradients", "gru.py: self.W.T @ da", 34),
    Slight("nested_lstm_cell", "float16", "values", "nested_lstm.py: a[self.f] * c_prev[self.memory[m]]", 26),
    Slight("nested_lstm", "float32", "gradients", "nested_lstm.py: dwritten * g", 57),
    Slight("output_projection", "float64", "values", "projections.py: read @ V.T + c", 7.8),
    Slight("output_projection", "float16", "gradients", "projections.py: d.T @ read", 6.5),
    Slight("bidirectional", "float32", "values", "activations.py: np.tanh(a, out=out)", 14),
    Slight("bidirectional", "float64", "gradients", 'bidirectional.py: forward["x"] + reverse["x"]', 40),
    Slight("clip_by_norm", "bfloat16", "values", "clipping.py: direction * threshold", 26),
    Slight("clip_by_norm", "float32", "gradients", "clipping.py: (dy - direction * along) * scale", 26),
    Slight("crf_log_likelihood", "float64", "gradients", "linear_chain.py: pairs.sum(axis=2)", 40),
    Slight("attention_context", "float16", "values", "attention.py: weights @ values", 7.8),
    Slight("attention_scores", "float32", "gradients", "attention.py: dproducts @ self.keys", 7.8),
    Slight("luong_decoder", "float32", "values", "attention.py: weights @ self.memory", 40),
    Slight("bahdanau_decoder", "float64", "gradients", "attention.py: dcontext @ _across(self.memory)", 250),
    Slight("context_vector", "bfloat16", "values", "context_vector.py: seen @ weights.T", 52),
    Slight("context_vector", "float32", "gradients", "context_vector.py: da @ weights", 20),
    Slight("seq2seq", "float32", "values", "activations.py: np.tanh(a, out=out)", 14),
    Slight("beam_search", "float64", "values", "decoding.py: shifted - np.log(total)", 44),
    Slight("seq2seq", "float16", "gradients", "gates.py: da @ x.T", 53),
)
"""Values and gradients of every family, the types taking turns."""

FAULTS: Final[tuple[Fault, ...]] = tuple(slight.fault for slight in SLIGHT)


def main() -> None:
    """Print the units that belong into the table: so many times what is seen with every seed."""
    for slight in SLIGHT:
        smallest = [slight.smallest(seed) for seed in range(5)]
        told = ", ".join(f"{units:.3g}" for units in smallest)
        print(
            f"{slight.operation} {slight.dtype} {slight.part} {slight.quantity}: {MARGIN * max(smallest):.2g} ({told})",
            flush=True,
        )


if __name__ == "__main__":
    main()
