"""Long short-term memory: one step (`lstm_cell`) and a sequence (`lstm`), each with its gradient."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import activation
from rnnspec.reference.call import Vjp, run_cell, run_layer
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.unroll import Array, Arrays

Names = tuple[str, str, str]


class LSTM:
    """The cell on columns: a memory c that the gates i, f and o write, keep and show."""

    def __init__(
        self,
        W: Array,
        R: Array,
        b: Array,
        P: Array | None = None,
        *,
        activations: Names,
        clip: float | None,
        coupled: bool,
        projection: bool,
        gradient: str,
    ) -> None:
        self.W, self.R, self.b = stacked(W), stacked(R), stacked(b)
        self.P = P if projection else None
        self.gate, self.candidate, self.output = (activation(name, clip) for name in activations)
        self.coupled = coupled
        self.through_state = gradient == "full"
        self.units = R.shape[1]
        self.state_sizes = (R.shape[2], self.units)
        self.i, self.f, self.g, self.o = (rows(k, self.units) for k in ((0, 0, 1, 2) if coupled else (0, 1, 2, 3)))
        self.i_f = slice(self.i.start, self.f.stop)
        self.keeps_arguments = self.gate.reads_argument or self.candidate.reads_argument

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """From the state and memory before to those after."""
        a = self.W @ x
        a += self.R @ h_prev
        a += self.b
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
        """From the gradients of the state and memory after to those before."""
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
        dh_prev = self.R.T @ da if self.through_state else np.zeros_like(h_prev)
        return (dh_prev, dc * f), ((da, h_prev) if self.P is None else (da, h_prev, dh, m))

    def gradients(self, x: Array, da: Array, h_prev: Array, *projected: Array) -> dict[str, Array]:
        """From the gradients of the gates' arguments to those of the input and the parameters."""
        gradients = {
            "x": self.W.T @ da,
            "W": outer(da, x, self.units),
            "R": outer(da, h_prev, self.units),
            "b": total(da, self.units),
        }
        if projected:
            dh, m = projected
            gradients["P"] = dh @ m.T
        return gradients

    def _gates(self, v: Array) -> tuple[Array, Array, Array, Array]:
        i = v[self.i]
        return i, 1 - i if self.coupled else v[self.f], v[self.g], v[self.o]


def lstm_cell(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    P: Array | None = None,
    *,
    activations: Names = ("logistic", "tanh", "tanh"),
    clip: float | None = None,
    coupled: bool = False,
    projection: bool = False,
    gradient: str = "full",
) -> tuple[Array, Array]:
    """Take one step of a long short-term memory.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    h_prev, c_prev
        State ``(B, S)`` and memory ``(B, H)`` before; ``S = H`` without projection.
    W, R, b
        Input weights ``(G, H, D)``, recurrent weights ``(G, H, S)`` and bias ``(G, H)`` of the gates i, f, g, o.
    P
        Projection, ``(S, H)``; with ``projection=True`` only.
    activations
        Functions of the gates i, f, o, of the candidate g and of the output: each ``"logistic"``, ``"tanh"`` or
        ``"relu"``.
    clip
        If a number, the argument of every activation, the output's included, is clipped to ``-clip .. clip``.
    coupled
        If true, ``f = 1 - i``, and the gates of W, R and b are i, g, o.
    projection
        If true, the state is ``P @ (o * output(c))``.
    gradient
        ``"full"``, or ``"cell_only"``: the truncation of 1997, in which gradient reaches the step before through the
        memory alone, and `h_prev` is a constant in every gate. The outputs are the same.

    Returns
    -------
    h, c
        State ``(B, S)`` and memory ``(B, H)`` after, of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Hochreiter & Schmidhuber (1997), Long short-term memory, Neural Computation 9(8), 1735-1780 (the gradient
    through the memory alone);
    Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10), 2451-2471 (forget gate);
    Sak, Senior & Beaufays (2014), arXiv:1402.1128 (projection); Greff et al. (2017), LSTM: a search space odyssey,
    IEEE TNNLS 28(10) (coupled gates).
    """
    outputs, _ = lstm_cell_vjp(
        x,
        h_prev,
        c_prev,
        W,
        R,
        b,
        P,
        activations=activations,
        clip=clip,
        coupled=coupled,
        projection=projection,
        gradient=gradient,
    )
    return outputs


def lstm_cell_vjp(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    P: Array | None = None,
    *,
    activations: Names = ("logistic", "tanh", "tanh"),
    clip: float | None = None,
    coupled: bool = False,
    projection: bool = False,
    gradient: str = "full",
) -> tuple[tuple[Array, Array], Vjp]:
    """Take one step as `lstm_cell` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dh, dc)`` gives the gradient of every input that was given, by name, for the gradients of the outputs. The
    inputs must not change before it is called; it may be called again.

    References
    ----------
    Greff et al. (2017), LSTM: a search space odyssey, IEEE TNNLS 28(10).
    """
    inputs = {"x": x, "h_prev": h_prev, "c_prev": c_prev, "W": W, "R": R, "b": b, "P": P}
    attributes = {
        "activations": activations,
        "clip": clip,
        "coupled": coupled,
        "projection": projection,
        "gradient": gradient,
    }
    (h, c), vjp = run_cell("lstm_cell", LSTM, ("h_prev", "c_prev"), inputs, attributes)
    return (h, c), vjp


def lstm(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    P: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    activations: Names = ("logistic", "tanh", "tanh"),
    clip: float | None = None,
    coupled: bool = False,
    projection: bool = False,
    gradient: str = "full",
) -> tuple[Array, Array, Array]:
    """Run a long short-term memory over a batch of sequences.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All float arrays have one type: float16, bfloat16, float32 or float64; the first
        two are computed in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(G, H, D)``, recurrent weights ``(G, H, S)`` and bias ``(G, H)`` of the gates i, f, g, o;
        ``S = H`` without projection.
    P
        Projection, ``(S, H)``; with ``projection=True`` only.
    h0, c0
        Initial state ``(B, S)`` and memory ``(B, H)``; zero if absent.
    recurrent_keep
        bool ``(B, S)``, with a number for `recurrent_dropout` only: true where a unit of the state reaches the steps.
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
    activations, clip, coupled, projection, gradient
        As in `lstm_cell`.

    Returns
    -------
    y, h_n, c_n
        State after each step, ``(B, T, S)``; state ``(B, S)`` and memory ``(B, H)`` after the last one taken, of the
        inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    As of `lstm_cell`.
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
        "activations": activations,
        "clip": clip,
        "coupled": coupled,
        "projection": projection,
        "gradient": gradient,
    }
    (y, h_n, c_n), _ = run_layer("lstm", LSTM, ("h0", "c0"), inputs, attributes)
    return y, h_n, c_n


def lstm_vjp(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    P: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    activations: Names = ("logistic", "tanh", "tanh"),
    clip: float | None = None,
    coupled: bool = False,
    projection: bool = False,
    gradient: str = "full",
) -> tuple[tuple[Array, Array, Array], Vjp]:
    """Run as `lstm` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dy, dh_n, dc_n)`` gives the gradient of every float input that was given, by name, for the gradients of the
    outputs. The inputs must not change before it is called; it may be called again.

    References
    ----------
    Graves & Schmidhuber (2005), Framewise phoneme classification, Neural Networks 18(5-6), 602-610;
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
        "activations": activations,
        "clip": clip,
        "coupled": coupled,
        "projection": projection,
        "gradient": gradient,
    }
    (y, h_n, c_n), vjp = run_layer("lstm", LSTM, ("h0", "c0"), inputs, attributes, record=True)
    return (y, h_n, c_n), vjp
