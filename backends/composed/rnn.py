"""The plain recurrent network's cell."""

from __future__ import annotations

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import GatedCell, function


class RNN(GatedCell):
    """h = f(W x + R h + b + b_R)."""

    gates = layout = "h"
    memory = False

    def __init__(
        self, xp: ArrayNamespace, *, activation: str = "tanh", clip: float | None = None, **parameters: Tensor
    ) -> None:
        super().__init__(xp, **parameters)
        self.f = function(xp, activation, clip)

    def step(self, entered: Many, carry: Many) -> Many:
        """One step."""
        return (self.f(self.arguments(entered[0], carry[0])),)
