"""The plain recurrent network: one step (`rnn_cell`) and a sequence (`rnn`), each with its gradient."""

from __future__ import annotations

from rnnspec.reference.activations import activation as named
from rnnspec.reference.call import Vjp, run_cell, run_layer
from rnnspec.reference.gates import outer, stacked, total
from rnnspec.reference.unroll import Array, Arrays


class RNN:
    """The cell on columns: ``h = f(W @ x + R @ h_prev + b)``."""

    def __init__(self, W: Array, R: Array, b: Array, activation: str) -> None:
        self.W, self.R, self.b = stacked(W), stacked(R), stacked(b)
        self.f = named(activation)
        self.units = R.shape[1]
        self.state_sizes = (self.units,)

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        """From the state before to the state after."""
        a = self.W @ x
        a += self.R @ h_prev
        a += self.b
        h = self.f(a, out=None if self.f.reads_argument else a)
        return (h,), (a, h, h_prev)

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        """From the gradient of the state after to that of the state before."""
        a, h, h_prev = known
        da = self.f.back(dh, a, h)
        return (self.R.T @ da,), (da, h_prev)

    def gradients(self, x: Array, da: Array, h_prev: Array) -> dict[str, Array]:
        """From the gradient of the argument to those of the input and the parameters."""
        return {
            "x": self.W.T @ da,
            "W": outer(da, x, self.units),
            "R": outer(da, h_prev, self.units),
            "b": total(da, self.units),
        }


def rnn_cell(x: Array, h_prev: Array, W: Array, R: Array, b: Array, *, activation: str = "tanh") -> tuple[Array]:
    """Take one step of a plain recurrent network.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    h_prev
        State before, ``(B, H)``.
    W, R, b
        Input weights ``(1, H, D)``, recurrent weights ``(1, H, H)`` and bias ``(1, H)``.
    activation
        ``"tanh"``, ``"relu"`` or ``"logistic"``.

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
    Elman (1990), Finding structure in time, Cognitive Science 14(2), 179-211.
    """
    outputs, _ = rnn_cell_vjp(x, h_prev, W, R, b, activation=activation)
    return outputs


def rnn_cell_vjp(
    x: Array, h_prev: Array, W: Array, R: Array, b: Array, *, activation: str = "tanh"
) -> tuple[tuple[Array], Vjp]:
    """Take one step as `rnn_cell` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dh)`` gives the gradient of every input by name, for the gradient ``dh`` of the output. The inputs must not
    change before it is called; it may be called again.

    References
    ----------
    Werbos (1990), Backpropagation through time, Proceedings of the IEEE 78(10).
    """
    inputs = {"x": x, "h_prev": h_prev, "W": W, "R": R, "b": b}
    (h,), vjp = run_cell("rnn_cell", RNN, ("h_prev",), inputs, {"activation": activation})
    return (h,), vjp


def rnn(
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
    activation: str = "tanh",
) -> tuple[Array, Array]:
    """Run a plain recurrent network over a batch of sequences.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All float arrays have one type: float16, bfloat16, float32 or float64; the first
        two are computed in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(1, H, D)``, recurrent weights ``(1, H, H)`` and bias ``(1, H)``.
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
    activation
        ``"tanh"``, ``"relu"`` or ``"logistic"``.

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
    Elman (1990), Finding structure in time, Cognitive Science 14(2), 179-211.
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
        "activation": activation,
    }
    (y, h_n), _ = run_layer("rnn", RNN, ("h0",), inputs, attributes)
    return y, h_n


def rnn_vjp(
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
    activation: str = "tanh",
) -> tuple[tuple[Array, Array], Vjp]:
    """Run as `rnn` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dy, dh_n)`` gives the gradient of every float input that was given, by name, for the gradients of the outputs.
    The inputs must not change before it is called; it may be called again.

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
        "activation": activation,
    }
    (y, h_n), vjp = run_layer("rnn", RNN, ("h0",), inputs, attributes, record=True)
    return (y, h_n), vjp
