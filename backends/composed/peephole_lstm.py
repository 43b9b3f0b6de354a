"""The cell of long short-term memory with peepholes."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell, function


class PeepholeLSTM(GatedCell):
    """Gates i and f see the memory before the step, o that after it, each through weights P."""

    def __init__(
        self,
        xp: ArrayNamespace,
        *,
        P: Tensor,
        W_p: Tensor | None = None,
        activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"),
        clip: float | None = None,
        coupled: bool = False,
        forget_bias: float | None = None,
        projection: bool = False,
        **arguments: Any,
    ) -> None:
        self.gates = self.layout = "igo" if coupled else "ifgo"
        super().__init__(xp, constants={} if forget_bias is None else {"f": forget_bias}, **arguments)
        self.coupled = coupled
        self.P_i, *P_f, self.P_o = xp.unstack(P)
        self.P_f = P_f[0] if P_f else None
        self.W_p = xp.permute_dims(W_p, (1, 0)) if projection else None
        self.gate, self.candidate, self.output = (function(xp, name, clip) for name in activations)

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h, c) = self.xp, carry
        a = self.arguments(entered[0], h)
        if self.coupled:
            a_i, a_g, a_o = self.split(a, 1, 1, 1)
            c = xp.lerp(c, self.candidate(a_g), self.gate(a_i + self.P_i * c))
        else:
            a_i, a_f, a_g, a_o = self.split(a, 1, 1, 1, 1)
            i, f = self.gate(a_i + self.P_i * c), self.gate(a_f + self.P_f * c)
            c = f * c + i * self.candidate(a_g)
        m = self.gate(a_o + self.P_o * c) * self.output(c)
        return m if self.W_p is None else xp.matmul(m, self.W_p), c
