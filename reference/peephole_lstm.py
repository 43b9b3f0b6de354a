"""The cell of the LSTM with peepholes, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import activation
from rnnspec.reference.gates import Gated, rows
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("peephole_lstm_cell")
class PeepholeLSTM(Gated):
    """The cell on columns: an LSTM whose gates i and f see the memory before the step, and o the memory after it."""

    def __init__(
        self,
        W: Array,
        R: Array,
        b: Array,
        P: Array,
        W_p: Array | None = None,
        *,
        activations: tuple[str, str, str],
        clip: float | None,
        coupled: bool,
        forget_bias: float | None,
        projection: bool,
        gradient: str,
    ) -> None:
        super().__init__(W, R, b, memories=1, gradient=gradient)
        self.P_i, self.P_f, self.P_o = (P[k].reshape(self.units, 1) for k in ((0, 0, 1) if coupled else (0, 1, 2)))
        self.W_p = W_p if projection else None
        self.gate, self.candidate, self.output = (activation(name, clip) for name in activations)
        self.coupled = coupled
        self.i, self.f, self.g, self.o = (rows(k, self.units) for k in ((0, 0, 1, 2) if coupled else (0, 1, 2, 3)))
        if forget_bias is not None:
            self.add_to_bias(self.f, forget_bias)
        self.keeps_arguments = self.gate.reads_argument or self.candidate.reads_argument

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state and memory after the step, and the arrays that `back` needs."""
        a = self.arguments(x, h_prev)
        v = np.empty_like(a) if self.keeps_arguments else a
        a_i, a_f, a_g, a_o = a[self.i], a[self.f], a[self.g], a[self.o]
        a_i += self.P_i * c_prev
        i = self.gate(a_i, out=v[self.i])
        if self.coupled:
            f = 1 - i
        else:
            a_f += self.P_f * c_prev
            f = self.gate(a_f, out=v[self.f])
        g = self.candidate(a_g, out=v[self.g])
        c = f * c_prev
        c += i * g
        a_o += self.P_o * c
        o = self.gate(a_o, out=v[self.o])
        u = self.output(c)
        m = o * u
        h = m if self.W_p is None else self.W_p @ m
        return (h, c), (a, v, h_prev, c_prev, c, u, m)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        """Return the gradients of the state and memory before, and the arrays that `gradients` needs."""
        a, v, h_prev, c_prev, c, u, m = known
        i, g, o = v[self.i], v[self.g], v[self.o]
        f = 1 - i if self.coupled else v[self.f]
        dm = dh if self.W_p is None else self.W_p.T @ dh
        da = np.empty_like(a)
        da[self.o] = da_o = self.gate.back(dm * u, a[self.o], o)
        dc = dc + self.output.back(dm * o, c, u) + self.P_o * da_o
        da[self.g] = self.candidate.back(dc * i, a[self.g], g)
        da[self.i] = da_i = self.gate.back(dc * (g - c_prev) if self.coupled else dc * g, a[self.i], i)
        dc_prev = dc * f + self.P_i * da_i
        if not self.coupled:
            da[self.f] = da_f = self.gate.back(dc * c_prev, a[self.f], f)
            dc_prev = dc_prev + self.P_f * da_f
        noted = (da, h_prev, c_prev, c)
        return (self.state_back(da, h_prev), dc_prev), (noted if self.W_p is None else (*noted, dh, m))

    def gradients(self, x: Array, da: Array, h_prev: Array, *seen: Array) -> dict[str, Array]:
        """Return the gradients of the input and the parameters from those of the gates' arguments."""
        c_prev, c, *projected = seen
        before = (self.i,) if self.coupled else (self.i, self.f)
        dP = [(da[gate] * c_prev).sum(axis=1) for gate in before] + [(da[self.o] * c).sum(axis=1)]
        gradients = {**super().gradients(x, da, h_prev), "P": np.stack(dP)}
        if projected:
            dh, m = projected
            gradients["W_p"] = dh @ m.T
        return gradients
