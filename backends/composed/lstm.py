"""The cells of long short-term memory that differ in their gates alone."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell, function


class LSTM(GatedCell):
    """c = f c + i g, h = o tanh(c), with all the choices of the specification."""

    def __init__(
        self,
        xp: ArrayNamespace,
        *,
        P: Tensor | None = None,
        activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"),
        clip: float | None = None,
        coupled: bool = False,
        forget_bias: float | None = None,
        projection: bool = False,
        **arguments: Any,
    ) -> None:
        self.gates, self.layout = ("igo", "iog") if coupled else ("ifgo", "ifog")
        super().__init__(xp, constants={} if forget_bias is None else {"f": forget_bias}, **arguments)
        self.coupled = coupled
        self.P = xp.permute_dims(P, (1, 0)) if projection else None
        self.gate, self.candidate, self.output = (function(xp, name, clip) for name in activations)

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h, c) = self.xp, carry
        a = self.arguments(entered[0], h)
        if self.coupled:
            a_io, a_g = self.split(a, 2, 1)
            i, o = self.split(self.gate(a_io), 1, 1)
            c = xp.lerp(c, self.candidate(a_g), i)
        else:
            a_ifo, a_g = self.split(a, 3, 1)
            i, f, o = self.split(self.gate(a_ifo), 1, 1, 1)
            c = f * c + i * self.candidate(a_g)
        m = o * self.output(c)
        return m if self.P is None else xp.matmul(m, self.P), c


class LSTM1997(GatedCell):
    """Without a forget gate: c = c + i g."""

    gates, layout = "igo", "iog"

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h, c) = self.xp, carry
        a_io, a_g = self.split(self.arguments(entered[0], h), 2, 1)
        i, o = self.split(xp.logistic(a_io), 1, 1)
        c = c + i * xp.tanh(a_g)
        return o * xp.tanh(c), c


class ForgetOnlyLSTM(GatedCell):
    """The forget gate alone, and a memory that is the state: h = f h + (1 - f) g."""

    gates = layout = "fg"
    memory = False

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h,) = self.xp, carry
        a_f, a_g = self.split(self.arguments(entered[0], h), 1, 1)
        return (xp.lerp(xp.tanh(a_g), h, xp.logistic(a_f)),)


class NoOutputGateLSTM(GatedCell):
    """Without an output gate: h = tanh(c). The layers of `gate_once_stack` below its top."""

    gates = layout = "ifg"

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h, c) = self.xp, carry
        a_if, a_g = self.split(self.arguments(entered[0], h), 2, 1)
        i, f = self.split(xp.logistic(a_if), 1, 1)
        c = f * c + i * xp.tanh(a_g)
        return xp.tanh(c), c
