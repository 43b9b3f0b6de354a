"""The cell of the long short-term memory, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import activation
from rnnspec.reference.gates import Gated, rows
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays

Names = tuple[str, str, str]


@cell("lstm_cell")
class LSTM(Gated):
    """The cell on columns: the gates i, f and o write, keep and show a memory c."""

    def __init__(
        self,
        W: Array,
        R: Array,
        b: Array,
        b_R: Array | None = None,
        P: Array | None = None,
        *,
        activations: Names,
        clip: float | None,
        coupled: bool,
        forget_bias: float | None,
        projection: bool,
        gradient: str,
    ) -> None:
        super().__init__(W, R, b, b_R, memories=1, gradient=gradient)
        self.P = P if projection else None
        self.gate, self.candidate, self.output = (activation(name, clip) for name in activations)
        self.coupled = coupled
        self.i, self.f, self.g, self.o = (rows(k, self.units) for k in ((0, 0, 1, 2) if coupled else (0, 1, 2, 3)))
        self.i_f = slice(self.i.start, self.f.stop)
        if forget_bias is not None:
            self.add_to_bias(self.f, forget_bias)
        self.keeps_arguments = self.gate.reads_argument or self.candidate.reads_argument

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state and memory after the step, and the arrays that `back` needs."""
        a = self.arguments(x, h_prev)
        v = np.empty_like(a) if self.keeps_arguments else a
        self.gate(a[self.i_f], out=v[self.i_f])
        self.candidate(a[self.g], out=v[self.g])
        self.gate(a[self.o], out=v[self.o])
        i, f, g, o = self._gates(v)
        c = f * c_prev
        c += i * g
        u = self.output(c)
        m = o * u
        h = m if self.P is None else self.P @ m
        return (h, c), (a, v, h_prev, c_prev, c, u, m)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        """Return the gradients of the state and memory before, and the arrays that `gradients` needs."""
        a, v, h_prev, c_prev, c, u, m = known
        i, f, g, o = self._gates(v)
        dm = dh if self.P is None else self.P.T @ dh
        dc = dc + self.output.back(dm * o, c, u)
        da = np.empty_like(a)
        if self.coupled:
            da[self.i] = self.gate.back(dc * (g - c_prev), a[self.i], i)
        else:
            da[self.i] = self.gate.back(dc * g, a[self.i], i)
            da[self.f] = self.gate.back(dc * c_prev, a[self.f], f)
        da[self.g] = self.candidate.back(dc * i, a[self.g], g)
        da[self.o] = self.gate.back(dm * u, a[self.o], o)
        return (self.state_back(da, h_prev), dc * f), ((da, h_prev) if self.P is None else (da, h_prev, dh, m))

    def gradients(self, x: Array, da: Array, h_prev: Array, *projected: Array) -> dict[str, Array]:
        """Return the gradients of the input and the parameters from those of the gates' arguments."""
        gradients = super().gradients(x, da, h_prev)
        if projected:
            dh, m = projected
            gradients["P"] = dh @ m.T
        return gradients

    def _gates(self, v: Array) -> tuple[Array, Array, Array, Array]:
        i = v[self.i]
        return i, 1 - i if self.coupled else v[self.f], v[self.g], v[self.o]
