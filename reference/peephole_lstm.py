"""The cell of the LSTM with peepholes, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.gates import Gated, rows
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("peephole_lstm_cell")
class PeepholeLSTM(Gated):
    """The cell on columns: an LSTM whose gates i and f see the memory before the step, and o the memory after it."""

    def __init__(self, W: Array, R: Array, b: Array, P: Array, *, gradient: str) -> None:
        super().__init__(W, R, b, memories=1, gradient=gradient)
        self.P_i, self.P_f, self.P_o = (P[k].reshape(self.units, 1) for k in range(3))
        self.i, self.f, self.g, self.o = (rows(k, self.units) for k in range(4))

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state and memory after the step, and the arrays that `back` needs."""
        a = self.arguments(x, h_prev)
        a_i, a_f, a_g, a_o = a[self.i], a[self.f], a[self.g], a[self.o]
        a_i += self.P_i * c_prev
        a_f += self.P_f * c_prev
        i, f, g = logistic(a_i, out=a_i), logistic(a_f, out=a_f), tanh(a_g, out=a_g)
        c = f * c_prev
        c += i * g
        a_o += self.P_o * c
        o = logistic(a_o, out=a_o)
        u = tanh(c)
        return (o * u, c), (a, h_prev, c_prev, c, u)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        """Return the gradients of the state and memory before, and the arrays that `gradients` needs."""
        v, h_prev, c_prev, c, u = known
        i, f, g, o = v[self.i], v[self.f], v[self.g], v[self.o]
        da = np.empty_like(v)
        da[self.o] = da_o = logistic.back(dh * u, o, o)
        dc = dc + tanh.back(dh * o, u, u) + self.P_o * da_o
        da[self.i] = da_i = logistic.back(dc * g, i, i)
        da[self.f] = da_f = logistic.back(dc * c_prev, f, f)
        da[self.g] = tanh.back(dc * i, g, g)
        dc_prev = dc * f + self.P_i * da_i + self.P_f * da_f
        return (self.state_back(da, h_prev), dc_prev), (da, h_prev, c_prev, c)

    def gradients(self, x: Array, da: Array, h_prev: Array, *seen: Array) -> dict[str, Array]:
        """Return the gradients of the input and the parameters from those of the gates' arguments."""
        c_prev, c = seen
        dP = [(da[gate] * memory).sum(axis=1) for gate, memory in ((self.i, c_prev), (self.f, c_prev), (self.o, c))]
        return {**super().gradients(x, da, h_prev), "P": np.stack(dP)}
