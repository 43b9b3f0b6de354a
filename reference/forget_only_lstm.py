"""LSTM with a forget gate alone: `forget_only_lstm_cell` and `forget_only_lstm`, each with its gradient."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.call import Vjp, run_cell, run_layer
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.unroll import Array, Arrays


class ForgetOnlyLSTM:
    """The cell on columns: the gate f keeps the state, and what it forgets gives way to the candidate g."""

    def __init__(self, W: Array, R: Array, b: Array, *, gradient: str) -> None:
        self.W, self.R, self.b = stacked(W), stacked(R), stacked(b)
        self.through_state = gradient == "full"
        self.units = R.shape[1]
        self.state_sizes = (self.units,)
        self.f, self.g = (rows(k, self.units) for k in range(2))

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        """From the state before to the state after."""
        a = self.W @ x
        a += self.R @ h_prev
        a += self.b
        f, g = logistic(a[self.f], out=a[self.f]), tanh(a[self.g], out=a[self.g])
        h = f * h_prev
        h += (1 - f) * g
        return (h,), (a, h_prev)

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        """From the gradient of the state after to that of the state before."""
        v, h_prev = known
        f, g = v[self.f], v[self.g]
        da = np.empty_like(v)
        da[self.f] = logistic.back(dh * (h_prev - g), f, f)
        da[self.g] = tanh.back(dh * (1 - f), g, g)
        dh_prev = dh * f
        if self.through_state:
            dh_prev += self.R.T @ da
        return (dh_prev,), (da, h_prev)

    def gradients(self, x: Array, da: Array, h_prev: Array) -> dict[str, Array]:
        """From the gradients of the gates' arguments to those of the input and the parameters."""
        return {
            "x": self.W.T @ da,
            "W": outer(da, x, self.units),
            "R": outer(da, h_prev, self.units),
            "b": total(da, self.units),
        }


def forget_only_lstm_cell(
    x: Array,
    h_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    *,
    gradient: str = "full",
) -> tuple[Array]:
    """Take one step of a long short-term memory that has a forget gate alone.

    ``h = f * h_prev + (1 - f) * g``: the state is the memory, and the candidate fills what is forgotten.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    h_prev
        State before, ``(B, H)``.
    W, R, b
        Input weights ``(2, H, D)``, recurrent weights ``(2, H, H)`` and bias ``(2, H)`` of the gates f, g.
    gradient
        ``"full"``, or ``"cell_only"``: the truncation of 1997, in which gradient reaches the step before through
        ``f * h_prev`` alone, and `h_prev` is a constant in both gates. The outputs are the same.

    Returns
    -------
    h
        State after, ``(B, H)``, of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    van der Westhuizen & Lasenby (2018), The unreasonable effectiveness of the forget gate, arXiv:1804.04849, with its
    beta at 0.
    """
    outputs, _ = forget_only_lstm_cell_vjp(x, h_prev, W, R, b, gradient=gradient)
    return outputs


def forget_only_lstm_cell_vjp(
    x: Array,
    h_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    *,
    gradient: str = "full",
) -> tuple[tuple[Array], Vjp]:
    """Take one step as `forget_only_lstm_cell` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dh)`` gives the gradient of every input by name, for the gradient ``dh`` of the output. The inputs must not
    change before it is called; it may be called again.

    References
    ----------
    As of `forget_only_lstm_cell`.
    """
    inputs = {"x": x, "h_prev": h_prev, "W": W, "R": R, "b": b}
    attributes = {"gradient": gradient}
    (h,), vjp = run_cell("forget_only_lstm_cell", ForgetOnlyLSTM, ("h_prev",), inputs, attributes)
    return (h,), vjp


def forget_only_lstm(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    gradient: str = "full",
) -> tuple[Array, Array]:
    """Run a long short-term memory that has a forget gate alone over a batch of sequences.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All float arrays have one type: float16, bfloat16, float32 or float64; the first
        two are computed in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(2, H, D)``, recurrent weights ``(2, H, H)`` and bias ``(2, H)`` of the gates f, g.
    h0
        Initial state, ``(B, H)``; zero if absent.
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
        As in `forget_only_lstm_cell`.

    Returns
    -------
    y, h_n
        State after each step, ``(B, T, H)``, and after the last one taken, ``(B, H)``, of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    As of `forget_only_lstm_cell`.
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
        "h0": h0,
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
    (y, h_n), _ = run_layer("forget_only_lstm", ForgetOnlyLSTM, ("h0",), inputs, attributes)
    return y, h_n


def forget_only_lstm_vjp(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    h0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    gradient: str = "full",
) -> tuple[tuple[Array, Array], Vjp]:
    """Run as `forget_only_lstm` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dy, dh_n)`` gives the gradient of every float input that was given, by name, for the gradients of the
    outputs. The inputs must not change before it is called; it may be called again.

    References
    ----------
    Werbos (1990), Backpropagation through time, Proceedings of the IEEE 78(10).
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
        "h0": h0,
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
    (y, h_n), vjp = run_layer("forget_only_lstm", ForgetOnlyLSTM, ("h0",), inputs, attributes, record=True)
    return (y, h_n), vjp
