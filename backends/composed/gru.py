"""The cell of the gated recurrent unit."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell, function


class GRU(GatedCell):
    """The update gate mixes the state before with a candidate, which sees that state through the reset gate.

    The candidate is the last gate; of those before it, the first resets and the last updates.
    """

    gates = layout = "rzn"
    memory = False

    def __init__(
        self,
        xp: ArrayNamespace,
        *,
        b_rn: Tensor | None = None,
        b_R: Tensor | None = None,
        reset: str,
        update: str,
        activation: str = "tanh",
        recurrent_activation: str = "logistic",
        clip: float | None = None,
        **parameters: Tensor,
    ) -> None:
        self.candidate, self.gate = function(xp, activation, clip), function(xp, recurrent_activation, clip)
        before = reset == "before"
        super().__init__(xp, b_R=b_R if before else None, **parameters)
        self.keeps = update == "keeps"
        self.before = before
        self.count = len(self.gates) - 1
        if self.before:
            self.R_gates, self.R_n = self.split(self.R, self.count, 1)
        else:  # one product for all, with a bias of its own
            recurrent = xp.zeros(((self.count + 1) * self.units,), self.dtype) if b_R is None else self.row(b_R)
            gates, n = self.split(recurrent, self.count, 1)
            self.b_r = recurrent if b_rn is None else xp.concat([gates, n + b_rn])

    def enter(self, x: Tensor) -> Many:
        """``W x + b`` of the gates, and of the candidate."""
        return tuple(self.split(*super().enter(x), self.count, 1))

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        xp, (x_gates, x_n), (h,) = self.xp, entered, carry
        if self.before:
            r, z = self._apart(self.gate(xp.add_matmul(x_gates, h, self.R_gates)))
            a_n = xp.add_matmul(x_n, r * h, self.R_n)
        else:
            h_gates, q = self.split(xp.add_matmul(self.b_r, h, self.R), self.count, 1)
            r, z = self._apart(self.gate(x_gates + h_gates))
            a_n = x_n + r * q
        n = self.candidate(a_n)
        return (xp.lerp(n, h, z) if self.keeps else xp.lerp(h, n, z),)

    def _apart(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        """The reset gate and the update gate."""
        if self.count == 1:
            return gates, gates
        r, z = self.split(gates, 1, 1)
        return r, z
