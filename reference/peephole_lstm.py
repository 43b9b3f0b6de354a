"""LSTM with peepholes: `peephole_lstm_cell` and `peephole_lstm`, each with its gradient."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.call import Vjp, run_cell, run_layer
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.unroll import Array, Arrays


class PeepholeLSTM:
    """The cell on columns: an LSTM whose gates see the memory, i and f the one before the step, o the one after."""

    def __init__(self, W: Array, R: Array, b: Array, P: Array, *, gradient: str) -> None:
        self.W, self.R, self.b = stacked(W), stacked(R), stacked(b)
        self.through_state = gradient == "full"
        self.units = R.shape[1]
        self.state_sizes = (self.units, self.units)
        self.P_i, self.P_f, self.P_o = (P[k].reshape(self.units, 1) for k in range(3))
        self.i, self.f, self.g, self.o = (rows(k, self.units) for k in range(4))

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """From the state and memory before to those after."""
        a = self.W @ x
        a += self.R @ h_prev
        a += self.b
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
        """From the gradients of the state and memory after to those before."""
        v, h_prev, c_prev, c, u = known
        i, f, g, o = v[self.i], v[self.f], v[self.g], v[self.o]
        da = np.empty_like(v)
        da[self.o] = da_o = logistic.back(dh * u, o, o)
        dc = dc + tanh.back(dh * o, u, u) + self.P_o * da_o
        da[self.i] = da_i = logistic.back(dc * g, i, i)
        da[self.f] = da_f = logistic.back(dc * c_prev, f, f)
        da[self.g] = tanh.back(dc * i, g, g)
        dc_prev = dc * f + self.P_i * da_i + self.P_f * da_f
        dh_prev = self.R.T @ da if self.through_state else np.zeros_like(h_prev)
        return (dh_prev, dc_prev), (da, h_prev, c_prev, c)

    def gradients(self, x: Array, da: Array, h_prev: Array, c_prev: Array, c: Array) -> dict[str, Array]:
        """From the gradients of the gates' arguments to those of the input and the parameters."""
        dP = [(da[gate] * seen).sum(axis=1) for gate, seen in ((self.i, c_prev), (self.f, c_prev), (self.o, c))]
        return {
            "x": self.W.T @ da,
            "W": outer(da, x, self.units),
            "R": outer(da, h_prev, self.units),
            "b": total(da, self.units),
            "P": np.stack(dP),
        }


def peephole_lstm_cell(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    P: Array,
    *,
    gradient: str = "full",
) -> tuple[Array, Array]:
    """Take one step of a long short-term memory with peepholes.

    The gates see the memory as well, each unit its own: i and f the one before the step, o the one after.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    h_prev, c_prev
        State ``(B, H)`` and memory ``(B, H)`` before.
    W, R, b
        Input weights ``(4, H, D)``, recurrent weights ``(4, H, H)`` and bias ``(4, H)`` of the gates i, f, g, o.
    P
        Peepholes ``(3, H)`` of the gates i, f and o: i and f see ``P * c_prev``, o sees ``P * c``, the memory after.
    gradient
        ``"full"``, or ``"cell_only"``: the truncation of 1997, in which gradient reaches the step before through the
        memory alone (peepholes included), and `h_prev` is a constant in every gate. The outputs are the same.

    Returns
    -------
    h, c
        State ``(B, H)`` and memory ``(B, H)`` after, of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Gers & Schmidhuber (2000), Recurrent nets that time and count, IJCNN 2000; Gers, Schraudolph & Schmidhuber (2002),
    Learning precise timing with LSTM recurrent networks, JMLR 3, 115-143.
    """
    outputs, _ = peephole_lstm_cell_vjp(x, h_prev, c_prev, W, R, b, P, gradient=gradient)
    return outputs


def peephole_lstm_cell_vjp(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    P: Array,
    *,
    gradient: str = "full",
) -> tuple[tuple[Array, Array], Vjp]:
    """Take one step as `peephole_lstm_cell` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dh, dc)`` gives the gradient of every input by name, for the gradients of the outputs. The inputs must not
    change before it is called; it may be called again.

    References
    ----------
    Greff et al. (2017), LSTM: a search space odyssey, IEEE TNNLS 28(10).
    """
    inputs = {"x": x, "h_prev": h_prev, "c_prev": c_prev, "W": W, "R": R, "b": b, "P": P}
    attributes = {"gradient": gradient}
    (h, c), vjp = run_cell("peephole_lstm_cell", PeepholeLSTM, ("h_prev", "c_prev"), inputs, attributes)
    return (h, c), vjp


def peephole_lstm(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    P: Array,
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
    """Run a long short-term memory with peepholes over a batch of sequences.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All float arrays have one type: float16, bfloat16, float32 or float64; the first
        two are computed in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(4, H, D)``, recurrent weights ``(4, H, H)`` and bias ``(4, H)`` of the gates i, f, g, o.
    P
        Peepholes ``(3, H)`` of the gates i, f and o: i and f see ``P * c_prev``, o sees ``P * c``, the memory after.
    h0, c0
        Initial state ``(B, H)`` and memory ``(B, H)``; zero if absent.
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
        As in `peephole_lstm_cell`.

    Returns
    -------
    y, h_n, c_n
        State after each step, ``(B, T, H)``; state ``(B, H)`` and memory ``(B, H)`` after the last one taken, of
        the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    As of `peephole_lstm_cell`.
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
        "P": P,
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
    (y, h_n, c_n), _ = run_layer("peephole_lstm", PeepholeLSTM, ("h0", "c0"), inputs, attributes)
    return y, h_n, c_n


def peephole_lstm_vjp(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    P: Array,
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
    """Run as `peephole_lstm` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dy, dh_n, dc_n)`` gives the gradient of every float input that was given, by name, for the gradients of the
    outputs. The inputs must not change before it is called; it may be called again.

    References
    ----------
    Greff et al. (2017), LSTM: a search space odyssey, IEEE TNNLS 28(10).
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
        "P": P,
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
    (y, h_n, c_n), vjp = run_layer("peephole_lstm", PeepholeLSTM, ("h0", "c0"), inputs, attributes, record=True)
    return (y, h_n, c_n), vjp
