"""The cell of the LSTM of 1997, without a forget gate, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.gates import Gated, rows
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("lstm_1997_cell")
class LSTM1997(Gated):
    """The cell on columns: the gates i and o write and show a memory c, which is never forgotten."""

    def __init__(self, W: Array, R: Array, b: Array, *, gradient: str) -> None:
        super().__init__(W, R, b, memories=1, gradient=gradient)
        self.i, self.g, self.o = (rows(k, self.units) for k in range(3))

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state and memory after the step, and the arrays that `back` needs."""
        a = self.arguments(x, h_prev)
        i, g, o = logistic(a[self.i], out=a[self.i]), tanh(a[self.g], out=a[self.g]), logistic(a[self.o], out=a[self.o])
        c = c_prev + i * g
        u = tanh(c)
        return (o * u, c), (a, h_prev, u)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        """Return the gradients of the state and memory before, and the arrays that `gradients` needs."""
        v, h_prev, u = known
        i, g, o = v[self.i], v[self.g], v[self.o]
        dc = dc + tanh.back(dh * o, u, u)
        da = np.empty_like(v)
        da[self.i] = logistic.back(dc * g, i, i)
        da[self.g] = tanh.back(dc * i, g, g)
        da[self.o] = logistic.back(dh * u, o, o)
        return (self.state_back(da, h_prev), dc), (da, h_prev)
