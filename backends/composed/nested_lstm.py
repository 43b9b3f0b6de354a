"""The cell of the nested long short-term memory."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell


class NestedLSTM(GatedCell):
    """A level's new memory is the state of the LSTM one level further in; the innermost adds.

    It carries h and the memory of each level.
    """

    gates, layout = "ifgo", "ifog"

    def __init__(
        self, xp: ArrayNamespace, *, W_inner: Tensor, R_inner: Tensor, b_inner: Tensor, **arguments: Any
    ) -> None:
        super().__init__(xp, **arguments)
        self.inner = [  # [p; q] enters a level as one row
            (xp.concat([self.columns(W_p), self.columns(R_q)]), self.row(b_m))
            for W_p, R_q, b_m in zip(xp.unstack(W_inner), xp.unstack(R_inner), xp.unstack(b_inner), strict=True)
        ]

    def first(self, batch: int, **states: Tensor | None) -> Many:
        """Carry before the first step: h, and the memory of each level."""
        xp, h, c, shape = self.xp, states.get("h"), states.get("c"), (batch, self.units)
        memories = xp.unstack(c, 1) if c is not None else [xp.zeros(shape, self.dtype) for _ in [None, *self.inner]]
        return (xp.zeros(shape, self.dtype) if h is None else h, *memories)

    def step(self, entered: Many, carry: Many) -> Many:
        """One step: inwards from level to level, and out again."""
        xp, (h, *memories) = self.xp, carry
        a, shown = self.arguments(entered[0], h), []
        for level, c in enumerate(memories):
            a_ifo, a_g = self.split(a, 3, 1)
            i, f, o = self.split(xp.logistic(a_ifo), 1, 1, 1)
            p = i * xp.tanh(a_g)
            shown.append(o)
            if level < len(self.inner):
                weights, bias = self.inner[level]
                a = xp.add_matmul(bias, xp.concat([p, f * c], -1), weights)
            else:
                v = f * c + p
        after: list[Tensor] = []
        for o in reversed(shown):
            after.insert(0, v)
            v = o * xp.tanh(v)
        return (v, *after)

    def states(self, carry: Many) -> Many:
        """Return h, and the memories side by side."""
        return carry[0], self.xp.stack(carry[1:], 1)
