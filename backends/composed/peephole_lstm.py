"""The cell of long short-term memory with peepholes."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell


class PeepholeLSTM(GatedCell):
    """Gates i and f see the memory before the step, o that after it, each through weights P."""

    gates = layout = "ifgo"

    def __init__(self, xp: ArrayNamespace, *, P: Tensor, **arguments: Any) -> None:
        super().__init__(xp, **arguments)
        self.P_i, self.P_f, self.P_o = xp.unstack(P)

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h, c) = self.xp, carry
        a_i, a_f, a_g, a_o = self.split(self.arguments(entered[0], h), 1, 1, 1, 1)
        i, f = xp.logistic(a_i + self.P_i * c), xp.logistic(a_f + self.P_f * c)
        c = f * c + i * xp.tanh(a_g)
        o = xp.logistic(a_o + self.P_o * c)
        return o * xp.tanh(c), c
