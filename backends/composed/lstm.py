"""The cells of long short-term memory that differ in their gates alone."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell, function


class LSTM(GatedCell):
    """c = f c + i g, h = o tanh(c), with all the choices of the specification."""

    def __init__(
        self,
        xp: ArrayNamespace,
        *,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        P: Tensor | None = None,
        activations: tuple[str, str, str] = ("logistic", "tanh", "tanh"),
        clip: float | None = None,
        coupled: bool = False,
        projection: bool = False,
        gradient: str = "full",
    ) -> None:
        super().__init__(
            xp, W, R, b, gates="igo" if coupled else "ifgo", layout="iog" if coupled else "ifog", gradient=gradient
        )
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

    def __init__(self, xp: ArrayNamespace, *, W: Tensor, R: Tensor, b: Tensor, gradient: str) -> None:
        super().__init__(xp, W, R, b, gates="igo", layout="iog", gradient=gradient)

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h, c) = self.xp, carry
        a_io, a_g = self.split(self.arguments(entered[0], h), 2, 1)
        i, o = self.split(xp.logistic(a_io), 1, 1)
        c = c + i * xp.tanh(a_g)
        return o * xp.tanh(c), c


class ForgetOnlyLSTM(GatedCell):
    """The forget gate alone, and a memory that is the state: h = f h + (1 - f) g."""

    def __init__(self, xp: ArrayNamespace, *, W: Tensor, R: Tensor, b: Tensor, gradient: str) -> None:
        super().__init__(xp, W, R, b, gates="fg", layout="fg", gradient=gradient)
        self.sizes = (self.units,)

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h,) = self.xp, carry
        a_f, a_g = self.split(self.arguments(entered[0], h), 1, 1)
        return (xp.lerp(xp.tanh(a_g), h, xp.logistic(a_f)),)


class NoOutputGateLSTM(GatedCell):
    """Without an output gate: h = tanh(c). The layers of `gate_once_stack` below its top."""

    def __init__(self, xp: ArrayNamespace, *, W: Tensor, R: Tensor, b: Tensor) -> None:
        super().__init__(xp, W, R, b, gates="ifg", layout="ifg")

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (h, c) = self.xp, carry
        a_if, a_g = self.split(self.arguments(entered[0], h), 2, 1)
        i, f = self.split(xp.logistic(a_if), 1, 1)
        c = f * c + i * xp.tanh(a_g)
        return xp.tanh(c), c
