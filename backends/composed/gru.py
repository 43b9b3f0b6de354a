"""The cell of the gated recurrent unit."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell


class GRU(GatedCell):
    """The update gate mixes the state before with a candidate, which sees that state through the reset gate."""

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
        super().__init__(xp, W, R, b, gates="rzn", layout="rzn")
        self.sizes = (self.units,)
        self.keeps = update == "keeps"
        self.before = reset == "before"
        if self.before:
            self.R_rz, self.R_n = self.split(self.R, 2, 1)
        else:  # one product for all: the recurrent biases of r and z are zero
            self.b_r = xp.concat([xp.zeros((2 * self.units,), self.dtype), b_rn])

    def enter(self, x: Tensor) -> Many:
        """``W x + b`` of the gates, and of the candidate."""
        return tuple(self.split(*super().enter(x), 2, 1))

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (x_rz, x_n), (h,) = self.xp, entered, carry
        if self.before:
            r, z = self.split(xp.logistic(xp.add_matmul(x_rz, h, self.R_rz)), 1, 1)
            a_n = xp.add_matmul(x_n, r * h, self.R_n)
        else:
            h_rz, q = self.split(xp.add_matmul(self.b_r, h, self.R), 2, 1)
            r, z = self.split(xp.logistic(x_rz + h_rz), 1, 1)
            a_n = x_n + r * q
        n = xp.tanh(a_n)
        return (xp.lerp(n, h, z) if self.keeps else xp.lerp(h, n, z),)
