"""The cell of the plain recurrent network, forward and backward."""

from __future__ import annotations

from rnnspec.reference.activations import activation as named
from rnnspec.reference.gates import Gated
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("rnn_cell")
class RNN(Gated):
    """The cell on columns: ``h = f(W @ x + R @ h_prev + b + b_R)``."""

    def __init__(
        self, W: Array, R: Array, b: Array, b_R: Array | None = None, *, activation: str, clip: float | None
    ) -> None:
        super().__init__(W, R, b, b_R)
        self.f = named(activation, clip)

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state after the step, and the arrays that `back` needs."""
        a = self.arguments(x, h_prev)
        h = self.f(a, out=None if self.f.reads_argument else a)
        return (h,), (a, h, h_prev)

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        """Return the gradient of the state before, and the arrays that `gradients` needs."""
        a, h, h_prev = known
        da = self.f.back(dh, a, h)
        return (self.R.T @ da,), (da, h_prev)
