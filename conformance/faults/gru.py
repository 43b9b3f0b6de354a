"""Faults of the gated recurrent unit."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the loops')
from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from rnnspec.conformance.faults.fault import Fault, plant
from rnnspec.conformance.faults.functions import FUNCTIONS, Array
from rnnspec.conformance.faults.gru_loops import GruLoops
from rnnspec.conformance.faults.loops import Arrays, Attributes

LIBRARIES = {"zrn": "Keras and ONNX"}
"""Whose order of the gates it is."""


def gates_in_order(order: str) -> Fault:
    """The fault of reading W, R and b with the gates in this order."""

    def wrong_order(self: GruLoops) -> Sequence[str]:
        return order

    whose = f", as in {LIBRARIES[order]}" if order in LIBRARIES else ""
    return Fault(
        f"gru-gates-in-order-{'-'.join(order)}",
        "gru",
        f"W, R and b are read with the gates in the order {', '.join(order)}{whose}.",
        type("GatesInOrder", (GruLoops,), {"order": wrong_order}),
    )


class ResetAlwaysBefore(GruLoops):
    """The reset gate stands on the state, as in ONNX by default, whatever was asked for."""

    def resets_before(self, a: Attributes) -> bool:
        return True


class ResetAlwaysAfter(GruLoops):
    """The reset gate stands on the product, as in torch, whatever was asked for."""

    def resets_before(self, a: Attributes) -> bool:
        return False

    def candidate_bias(self, p: Arrays) -> Array:
        return np.asarray(p.get("b_rn", np.zeros_like(p["b"][0])))


class UpdateAlwaysKeeps(GruLoops):
    """An update gate of 1 keeps the state, as in torch, Keras and ONNX, whatever was asked for."""

    def keeps(self, a: Attributes) -> bool:
        return True


class UpdateInverted(GruLoops):
    """An update gate of 1 admits the candidate where it should keep the state, and the other way round."""

    def keeps(self, a: Attributes) -> bool:
        return not super().keeps(a)


class CandidateBiasOutsideTheReset(GruLoops):
    """b_rn is added beside the reset gate, as if it were one with the candidate's other bias."""

    def reset_product(self, r: Array, product: Array, b_rn: Array) -> Array:
        return r * product + b_rn


class CandidateBiasDropped(GruLoops):
    """b_rn is left out."""

    def candidate_bias(self, p: Arrays) -> Array:
        return np.zeros_like(p["b_rn"])


class ResetLeftOut(GruLoops):
    """With the reset gate on the product, the candidate sees the whole state."""

    def reset_product(self, r: Array, product: Array, b_rn: Array) -> Array:
        return product + b_rn


class CandidateWithRelu(GruLoops):
    """The candidate is squashed by relu in place of tanh."""

    def candidate(self, a_n: Array) -> Array:
        return FUNCTIONS["relu"].value(a_n)


class CandidateAddedInFull(GruLoops):
    """The candidate is not weighted: ``h = n + z h_prev``."""

    def mixed(self, z: Array, n: Array, h_prev: Array, a: Attributes) -> Array:
        return np.asarray(n + z * h_prev if self.keeps(a) else n + (1 - z) * h_prev)


class GradientOfTheKeptStateMissing(GruLoops):
    """The state before gets its gradient through the gates alone."""

    def mixed_back(self, dh: Array, known: Arrays, a: Attributes) -> tuple[Array, Array, Array]:
        dz, dn, dh_kept = super().mixed_back(dh, known, a)
        return dz, dn, np.zeros_like(dh_kept)


class GradientOfTheUpdateGateInverted(GruLoops):
    """The update gate's gradient has the wrong sign."""

    def mixed_back(self, dh: Array, known: Arrays, a: Attributes) -> tuple[Array, Array, Array]:
        dz, dn, dh_kept = super().mixed_back(dh, known, a)
        return -dz, dn, dh_kept


class GradientOfTheResetGateMissing(GruLoops):
    """The reset gate gets no gradient."""

    def reset_gradient(self, dr: Array) -> Array:
        return np.zeros_like(dr)


_CELL = (
    ResetAlwaysBefore,
    ResetAlwaysAfter,
    UpdateAlwaysKeeps,
    UpdateInverted,
    CandidateBiasOutsideTheReset,
    CandidateBiasDropped,
    ResetLeftOut,
    CandidateWithRelu,
    CandidateAddedInFull,
    GradientOfTheKeptStateMissing,
    GradientOfTheUpdateGateInverted,
    GradientOfTheResetGateMissing,
)

FAULTS: tuple[Fault, ...] = (
    *(gates_in_order("".join(order)) for order in permutations("rzn") if order != tuple("rzn")),
    *(plant("gru_cell", fault) for fault in _CELL),
)
