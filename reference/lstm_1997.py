"""LSTM of 1997, without a forget gate: `lstm_1997_cell` and `lstm_1997`, each with its gradient."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.call import Vjp, run_cell, run_layer
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.unroll import Array, Arrays


class LSTM1997:
    """The cell on columns: a memory c that the gate i writes and o shows, and that nothing forgets."""

    def __init__(self, W: Array, R: Array, b: Array, *, gradient: str) -> None:
        self.W, self.R, self.b = stacked(W), stacked(R), stacked(b)
        self.through_state = gradient == "full"
        self.units = R.shape[1]
        self.state_sizes = (self.units, self.units)
        self.i, self.g, self.o = (rows(k, self.units) for k in range(3))

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """From the state and memory before to those after."""
        a = self.W @ x
        a += self.R @ h_prev
        a += self.b
        i, g, o = logistic(a[self.i], out=a[self.i]), tanh(a[self.g], out=a[self.g]), logistic(a[self.o], out=a[self.o])
        c = c_prev + i * g
        u = tanh(c)
        return (o * u, c), (a, h_prev, u)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        """From the gradients of the state and memory after to those before."""
        v, h_prev, u = known
        i, g, o = v[self.i], v[self.g], v[self.o]
        dc = dc + tanh.back(dh * o, u, u)
        da = np.empty_like(v)
        da[self.i] = logistic.back(dc * g, i, i)
        da[self.g] = tanh.back(dc * i, g, g)
        da[self.o] = logistic.back(dh * u, o, o)
        dh_prev = self.R.T @ da if self.through_state else np.zeros_like(h_prev)
        return (dh_prev, dc), (da, h_prev)

    def gradients(self, x: Array, da: Array, h_prev: Array) -> dict[str, Array]:
        """From the gradients of the gates' arguments to those of the input and the parameters."""
        return {
            "x": self.W.T @ da,
            "W": outer(da, x, self.units),
            "R": outer(da, h_prev, self.units),
            "b": total(da, self.units),
        }


def lstm_1997_cell(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    *,
    gradient: str = "full",
) -> tuple[Array, Array]:
    """Take one step of a long short-term memory without a forget gate.

    ``c = c_prev + i * g`` and ``h = o * tanh(c)``: what is written into the memory stays there.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    h_prev, c_prev
        State ``(B, H)`` and memory ``(B, H)`` before.
    W, R, b
        Input weights ``(3, H, D)``, recurrent weights ``(3, H, H)`` and bias ``(3, H)`` of the gates i, g, o.
    gradient
        ``"full"``, or ``"cell_only"``: the truncation of 1997, in which gradient reaches the step before through the
        memory alone, and `h_prev` is a constant in every gate. The outputs are the same.

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
    Hochreiter & Schmidhuber (1997), Long short-term memory, Neural Computation 9(8), 1735-1780. There g and the output
    are logistic functions scaled to -2 .. 2 and -1 .. 1; tanh has taken their place since.
    """
    outputs, _ = lstm_1997_cell_vjp(x, h_prev, c_prev, W, R, b, gradient=gradient)
    return outputs


def lstm_1997_cell_vjp(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    *,
    gradient: str = "full",
) -> tuple[tuple[Array, Array], Vjp]:
    """Take one step as `lstm_1997_cell` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dh, dc)`` gives the gradient of every input by name, for the gradients of the outputs. The inputs must not
    change before it is called; it may be called again.

    References
    ----------
    Hochreiter & Schmidhuber (1997), Long short-term memory, Neural Computation 9(8), 1735-1780 (cell_only).
    """
    inputs = {"x": x, "h_prev": h_prev, "c_prev": c_prev, "W": W, "R": R, "b": b}
    attributes = {"gradient": gradient}
    (h, c), vjp = run_cell("lstm_1997_cell", LSTM1997, ("h_prev", "c_prev"), inputs, attributes)
    return (h, c), vjp


def lstm_1997(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
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
    """Run a long short-term memory without a forget gate over a batch of sequences.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All float arrays have one type: float16, bfloat16, float32 or float64; the first
        two are computed in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(3, H, D)``, recurrent weights ``(3, H, H)`` and bias ``(3, H)`` of the gates i, g, o.
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
        As in `lstm_1997_cell`.

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
    As of `lstm_1997_cell`.
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
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
    (y, h_n, c_n), _ = run_layer("lstm_1997", LSTM1997, ("h0", "c0"), inputs, attributes)
    return y, h_n, c_n


def lstm_1997_vjp(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
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
    """Run as `lstm_1997` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dy, dh_n, dc_n)`` gives the gradient of every float input that was given, by name, for the gradients of the
    outputs. The inputs must not change before it is called; it may be called again.

    References
    ----------
    Graves & Schmidhuber (2005), Framewise phoneme classification, Neural Networks 18(5-6), 602-610 (full).
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
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
    (y, h_n, c_n), vjp = run_layer("lstm_1997", LSTM1997, ("h0", "c0"), inputs, attributes, record=True)
    return (y, h_n, c_n), vjp
