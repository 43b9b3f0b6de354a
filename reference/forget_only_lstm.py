"""The cell of the LSTM with a forget gate alone, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.gates import Gated, rows
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("forget_only_lstm_cell")
class ForgetOnlyLSTM(Gated):
    """The cell on columns: the gate f keeps a share of the state, and the candidate g replaces the rest."""

    def __init__(self, W: Array, R: Array, b: Array, *, gradient: str) -> None:
        super().__init__(W, R, b, gradient=gradient)
        self.f, self.g = (rows(k, self.units) for k in range(2))

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state after the step, and the arrays that `back` needs."""
        a = self.arguments(x, h_prev)
        f, g = logistic(a[self.f], out=a[self.f]), tanh(a[self.g], out=a[self.g])
        h = f * h_prev
        h += (1 - f) * g
        return (h,), (a, h_prev)

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        """Return the gradient of the state before, and the arrays that `gradients` needs."""
        v, h_prev = known
        f, g = v[self.f], v[self.g]
        da = np.empty_like(v)
        da[self.f] = logistic.back(dh * (h_prev - g), f, f)
        da[self.g] = tanh.back(dh * (1 - f), g, g)
        dh_prev = dh * f
        if self.through_state:
            dh_prev += self.R.T @ da
        return (dh_prev,), (da, h_prev)
