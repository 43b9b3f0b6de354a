"""The cell of the minimal gated unit."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell


class MGU(GatedCell):
    """One gate mixes the state before with a candidate, and the candidate sees that state through it."""

    def __init__(
        self,
        xp: ArrayNamespace,
        *,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        b_rn: Tensor | None = None,
        reset: str,
        update: str,
    ) -> None:
        super().__init__(xp, W, R, b, gates="fn", layout="fn")
        self.sizes = (self.units,)
        self.keeps = update == "keeps"
        self.before = reset == "before"
        if self.before:
            self.R_f, self.R_n = self.split(self.R, 1, 1)
        else:  # one product for both: the recurrent bias of f is zero
            self.b_r = xp.concat([xp.zeros((self.units,), self.dtype), b_rn])

    def enter(self, x: Tensor) -> Many:
        """``W x + b`` of the gate, and of the candidate."""
        return tuple(self.split(*super().enter(x), 1, 1))

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (x_f, x_n), (h,) = self.xp, entered, carry
        if self.before:
            f = xp.logistic(xp.add_matmul(x_f, h, self.R_f))
            a_n = xp.add_matmul(x_n, f * h, self.R_n)
        else:
            h_f, q = self.split(xp.add_matmul(self.b_r, h, self.R), 1, 1)
            f = xp.logistic(x_f + h_f)
            a_n = x_n + f * q
        n = xp.tanh(a_n)
        return (xp.lerp(n, h, f) if self.keeps else xp.lerp(h, n, f),)
