"""Faults of the plain recurrent network."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the loops')
from __future__ import annotations

import numpy as np

from rnnspec.conformance.faults.fault import Fault, plant
from rnnspec.conformance.faults.functions import Function
from rnnspec.conformance.faults.loops import Attributes
from rnnspec.conformance.faults.rnn_loops import RnnLoops


class ActivationIgnored(RnnLoops):
    """The activation is tanh, whatever was asked for."""

    def activation(self, a: Attributes) -> str:
        return "tanh"


class TanhAndReluExchanged(RnnLoops):
    """relu in place of tanh, and tanh in place of relu."""

    def activation(self, a: Attributes) -> str:
        right = super().activation(a)
        return {"tanh": "relu", "relu": "tanh"}.get(right, right)


class ReluLeaks(RnnLoops):
    """relu lets a hundredth of what is negative through."""

    def function(self, name: str) -> Function:
        if name != "relu":
            return super().function(name)
        return Function(lambda a: np.where(a > 0, a, a / 100), lambda a, v: np.where(a > 0, 1, 0.01).astype(a.dtype))


FAULTS: tuple[Fault, ...] = (
    plant("rnn_cell", ActivationIgnored),
    plant("rnn_cell", TanhAndReluExchanged),
    plant("rnn_cell", ReluLeaks),
)
