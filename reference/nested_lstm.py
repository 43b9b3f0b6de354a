"""The cell of the nested LSTM, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


@cell("nested_lstm_cell")
class NestedLSTM:
    """The cell on columns: each memory but the innermost is the state of an LSTM of its own, one level further in.

    Level m passes ``i * g`` to level m + 1 as its input, and ``f * c_prev`` as its state before. The rows of a memory
    are those of all levels, the outermost first.
    """

    def __init__(
        self,
        W: Array,
        R: Array,
        b: Array,
        W_inner: Array,
        R_inner: Array,
        b_inner: Array,
        *,
        gradient: str,
    ) -> None:
        levels = range(1 + W_inner.shape[0])
        self.W = [stacked(W), *(stacked(W_inner[m - 1]) for m in levels[1:])]
        self.R = [stacked(R), *(stacked(R_inner[m - 1]) for m in levels[1:])]
        self.b = [stacked(b), *(stacked(b_inner[m - 1]) for m in levels[1:])]
        self.through_state = gradient == "full"
        self.units = R.shape[1]
        self.state_sizes = (self.units, len(levels) * self.units)
        self.levels = levels
        self.memory = [rows(m, self.units) for m in levels]
        self.gates = [rows(m, 4 * self.units) for m in levels]
        self.i, self.f, self.g, self.o = (rows(k, self.units) for k in range(4))
        self.i_f = slice(self.i.start, self.f.stop)

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state and memories after the step, and the arrays that `back` needs."""
        gates, written, kept = [], [x], [h_prev]
        for m in self.levels:
            a = self.W[m] @ written[m]
            a += self.R[m] @ kept[m]
            a += self.b[m]
            logistic(a[self.i_f], out=a[self.i_f])
            tanh(a[self.g], out=a[self.g])
            logistic(a[self.o], out=a[self.o])
            gates.append(a)
            written.append(a[self.i] * a[self.g])
            kept.append(a[self.f] * c_prev[self.memory[m]])
        c, u = np.empty_like(c_prev), np.empty_like(c_prev)
        shown = kept.pop() + written.pop()
        for m in reversed(self.levels):
            c[self.memory[m]] = shown
            u[self.memory[m]] = tanh(shown)
            shown = gates[m][self.o] * u[self.memory[m]]
        return (shown, c), (np.concatenate(gates), h_prev, c_prev, u, *written[1:], *kept[1:])

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        """Return the gradients of the state and memories before, and the arrays that `gradients` needs."""
        v, h_prev, c_prev, u, *between = known
        da, dc_prev = np.empty_like(v), np.empty_like(c_prev)
        dshown = dh
        for m in self.levels:  # inwards, through each level's output
            gates, d, u_m = v[self.gates[m]], da[self.gates[m]], u[self.memory[m]]
            d[self.o] = logistic.back(dshown * u_m, gates[self.o], gates[self.o])
            dshown = dc[self.memory[m]] + tanh.back(dshown * gates[self.o], u_m, u_m)
        dwritten = dkept = dshown
        for m in reversed(self.levels):  # outwards, through each level's inputs
            gates, d = v[self.gates[m]], da[self.gates[m]]
            i, f, g = gates[self.i], gates[self.f], gates[self.g]
            d[self.i] = logistic.back(dwritten * g, i, i)
            d[self.f] = logistic.back(dkept * c_prev[self.memory[m]], f, f)
            d[self.g] = tanh.back(dwritten * i, g, g)
            dc_prev[self.memory[m]] = dkept * f
            if m > 0:
                dwritten, dkept = self.W[m].T @ d, self.R[m].T @ d
        dh_prev = self.R[0].T @ da[self.gates[0]] if self.through_state else np.zeros_like(h_prev)
        return (dh_prev, dc_prev), (da, h_prev, *between)

    def gradients(self, x: Array, da: Array, h_prev: Array, *between: Array) -> dict[str, Array]:
        """Return the gradients of the input and the parameters from those of the gates' arguments."""
        outermost, *inner = (da[gates] for gates in self.gates)
        written, kept = between[: len(inner)], between[len(inner) :]
        return {
            "x": self.W[0].T @ outermost,
            "W": outer(outermost, x, self.units),
            "R": outer(outermost, h_prev, self.units),
            "b": total(outermost, self.units),
            "W_inner": np.stack([outer(d, p, self.units) for d, p in zip(inner, written, strict=True)]),
            "R_inner": np.stack([outer(d, q, self.units) for d, q in zip(inner, kept, strict=True)]),
            "b_inner": np.stack([total(d, self.units) for d in inner]),
        }
