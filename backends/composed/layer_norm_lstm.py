"""The cell of long short-term memory with layer normalisation."""

from __future__ import annotations

from math import prod
from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell


class LayerNormLSTM(GatedCell):
    """The gates' arguments, each gate by itself, and the new memory are normalised over their units."""

    gates, layout = "ifgo", "ifog"

    def __init__(
        self, xp: ArrayNamespace, *, gain: Tensor, gain_c: Tensor, b_c: Tensor, epsilon: float, memory: str, **rest: Any
    ) -> None:
        super().__init__(xp, **rest)
        self.gain, self.gain_c, self.b_c = self.row(gain), gain_c, b_c
        self.epsilon, self.raw = epsilon, memory == "raw"

    def enter(self, x: Tensor) -> Many:
        """``W x``: the bias comes after the normalisation."""
        *leading, size = self.xp.shape(x)
        product = self.xp.matmul(self.xp.reshape(x, (prod(leading), size)), self.W)
        return (self.xp.reshape(product, (*leading, 4 * self.units)),)

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h, c) = self.xp, carry
        z = self.arguments(entered[0], h)
        rows = xp.shape(z)[0]
        z = xp.layer_norm(xp.reshape(z, (rows, 4, self.units)), self.epsilon)
        a = self.gain * xp.reshape(z, (rows, 4 * self.units)) + self.b
        a_ifo, a_g = self.split(a, 3, 1)
        i, f, o = self.split(xp.logistic(a_ifo), 1, 1, 1)
        q = f * c + i * xp.tanh(a_g)
        m = self.gain_c * xp.layer_norm(q, self.epsilon) + self.b_c
        return o * xp.tanh(m), q if self.raw else m
