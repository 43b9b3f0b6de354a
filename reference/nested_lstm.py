"""Nested LSTM: `nested_lstm_cell` and `nested_lstm`, each with its gradient."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.call import Vjp, run_cell, run_layer
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.unroll import Array, Arrays


class NestedLSTM:
    """The cell on columns: each memory but the innermost is the state of an LSTM of its own, one level further in.

    Level m hands ``i * g`` to level m + 1 as its input and ``f * c_prev`` as its state before. The memories of all
    levels stand below each other, the outermost first.
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
        """From the state and memories before to those after."""
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
        """From the gradients of the state and memories after to those before."""
        v, h_prev, c_prev, u, *between = known
        da, dc_prev = np.empty_like(v), np.empty_like(c_prev)
        dshown = dh
        for m in self.levels:  # inwards, through what each level shows
            gates, d, u_m = v[self.gates[m]], da[self.gates[m]], u[self.memory[m]]
            d[self.o] = logistic.back(dshown * u_m, gates[self.o], gates[self.o])
            dshown = dc[self.memory[m]] + tanh.back(dshown * gates[self.o], u_m, u_m)
        dwritten = dkept = dshown
        for m in reversed(self.levels):  # outwards, through what each level is given
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
        """From the gradients of the gates' arguments to those of the input and the parameters."""
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


def nested_lstm_cell(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    W_inner: Array,
    R_inner: Array,
    b_inner: Array,
    *,
    gradient: str = "full",
) -> tuple[Array, Array]:
    """Take one step of a nested long short-term memory.

    The memory of a level is the state of an LSTM one level further in, whose input is ``i * g`` and whose state before
    is ``f * c_prev``; the innermost level has an LSTM's own memory, ``f * c_prev + i * g``. M levels, 2 at least.

    An inner level whose i and o are 1, whose f is 0 and whose g sees a small ``e * (f * c_prev + i * g)`` of the level
    around it makes that level an LSTM with a memory ``e`` times as large, but for terms of ``e ** 3``.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    h_prev, c_prev
        State ``(B, H)`` and memories ``(B, M, H)`` before, the outermost first.
    W, R, b
        Input weights ``(4, H, D)``, recurrent weights ``(4, H, H)`` and bias ``(4, H)`` of the gates i, f, g, o of the
        outermost level.
    W_inner, R_inner, b_inner
        Input weights ``(M - 1, 4, H, H)``, recurrent weights ``(M - 1, 4, H, H)`` and bias ``(M - 1, 4, H)`` of the
        inner levels, the outermost of them first.
    gradient
        ``"full"``, or ``"cell_only"``: the truncation of 1997, in which gradient reaches the step before through the
        memories alone, and `h_prev` is a constant in every gate. The outputs are the same.

    Returns
    -------
    h, c
        State ``(B, H)`` and memories ``(B, M, H)`` after, of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Moniz & Krueger (2017), Nested LSTMs, ACML 2017; arXiv:1801.10308.
    """
    outputs, _ = nested_lstm_cell_vjp(x, h_prev, c_prev, W, R, b, W_inner, R_inner, b_inner, gradient=gradient)
    return outputs


def nested_lstm_cell_vjp(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    W_inner: Array,
    R_inner: Array,
    b_inner: Array,
    *,
    gradient: str = "full",
) -> tuple[tuple[Array, Array], Vjp]:
    """Take one step as `nested_lstm_cell` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dh, dc)`` gives the gradient of every input by name, for the gradients of the outputs. The inputs must not
    change before it is called; it may be called again.

    References
    ----------
    Moniz & Krueger (2017), Nested LSTMs, ACML 2017; arXiv:1801.10308 (the equations whose gradient it is).
    """
    inputs = {
        "x": x,
        "h_prev": h_prev,
        "c_prev": c_prev,
        "W": W,
        "R": R,
        "b": b,
        "W_inner": W_inner,
        "R_inner": R_inner,
        "b_inner": b_inner,
    }
    attributes = {"gradient": gradient}
    (h, c), vjp = run_cell("nested_lstm_cell", NestedLSTM, ("h_prev", "c_prev"), inputs, attributes)
    return (h, c), vjp


def nested_lstm(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    W_inner: Array,
    R_inner: Array,
    b_inner: Array,
    h0: Array | None = None,
    c0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    gradient: str = "full",
) -> tuple[Array, Array, Array]:
    """Run a nested long short-term memory over a batch of sequences.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All float arrays have one type: float16, bfloat16, float32 or float64; the first
        two are computed in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(4, H, D)``, recurrent weights ``(4, H, H)`` and bias ``(4, H)`` of the gates i, f, g, o of the
        outermost level.
    W_inner, R_inner, b_inner
        Input weights ``(M - 1, 4, H, H)``, recurrent weights ``(M - 1, 4, H, H)`` and bias ``(M - 1, 4, H)`` of the
        inner levels, the outermost of them first.
    h0, c0
        Initial state ``(B, H)`` and memories ``(B, M, H)``; zero if absent.
    recurrent_keep
        bool ``(B, H)``, with a number for `recurrent_dropout` only: true where a unit of the state reaches the steps.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands. Its output
        is 0, and its input, NaN included, changes nothing and has gradient 0.
    direction
        ``"forward"``, or ``"reverse"``: from the last step to the first. Outputs stand in the inputs' order either way.
    truncate
        If a number ``k``, no gradient flows from step ``t + 1`` to step ``t`` where ``(t + 1) % k == 0``, steps counted
        as they are read; the outputs are the same.
    recurrent_dropout
        If a number ``p``, every step sees ``h[t-1] * recurrent_keep / (1 - p)`` in place of the state before,
        ``h[t-1]``.
    gradient
        As in `nested_lstm_cell`.

    Returns
    -------
    y, h_n, c_n
        State after each step, ``(B, T, H)``; state ``(B, H)`` and memories ``(B, M, H)`` after the last one taken, of
        the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    As of `nested_lstm_cell`.
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
        "W_inner": W_inner,
        "R_inner": R_inner,
        "b_inner": b_inner,
        "h0": h0,
        "c0": c0,
        "recurrent_keep": recurrent_keep,
        "lengths": lengths,
        "mask": mask,
    }
    attributes = {
        "direction": direction,
        "truncate": truncate,
        "recurrent_dropout": recurrent_dropout,
        "gradient": gradient,
    }
    (y, h_n, c_n), _ = run_layer("nested_lstm", NestedLSTM, ("h0", "c0"), inputs, attributes)
    return y, h_n, c_n


def nested_lstm_vjp(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    W_inner: Array,
    R_inner: Array,
    b_inner: Array,
    h0: Array | None = None,
    c0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    gradient: str = "full",
) -> tuple[tuple[Array, Array, Array], Vjp]:
    """Run as `nested_lstm` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dy, dh_n, dc_n)`` gives the gradient of every float input that was given, by name, for the gradients of the
    outputs. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `nested_lstm_cell_vjp`; Werbos (1990), Backpropagation through time, Proceedings of the IEEE 78(10).
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
        "W_inner": W_inner,
        "R_inner": R_inner,
        "b_inner": b_inner,
        "h0": h0,
        "c0": c0,
        "recurrent_keep": recurrent_keep,
        "lengths": lengths,
        "mask": mask,
    }
    attributes = {
        "direction": direction,
        "truncate": truncate,
        "recurrent_dropout": recurrent_dropout,
        "gradient": gradient,
    }
    (y, h_n, c_n), vjp = run_layer("nested_lstm", NestedLSTM, ("h0", "c0"), inputs, attributes, record=True)
    return (y, h_n, c_n), vjp
