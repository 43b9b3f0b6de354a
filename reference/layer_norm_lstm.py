"""LSTM with layer normalisation: `layer_norm_lstm_cell` and `layer_norm_lstm`, each with its gradient."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.call import Vjp, run_cell, run_layer
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.unroll import Array, Arrays


class LayerNorm:
    """Brings each gate to mean 0 and variance 1 over its units, then scales it by a gain and shifts it by a bias."""

    def __init__(self, gain: Array, bias: Array, epsilon: float) -> None:
        self.gates, self.units = gain.shape
        self.gain, self.bias = stacked(gain), stacked(bias)
        self.epsilon = epsilon

    def __call__(self, z: Array) -> tuple[Array, Array, Array]:
        """Return the result, the normalised rows and their scale, which `back` has to know."""
        apart = self._by_gate(z)
        apart = apart - self._mean(apart)
        scale = 1 / np.sqrt(self._mean(apart * apart) + self.epsilon)
        normalised = (apart * scale).reshape(*z.shape)
        return self.gain * normalised + self.bias, normalised, scale.reshape(self.gates, z.shape[1])

    def back(self, da: Array, normalised: Array, scale: Array) -> Array:
        """From the gradient of the result to that of z."""
        apart, d = self._by_gate(normalised), self._by_gate(self.gain * da)
        dz: Array = scale[:, np.newaxis] * (d - self._mean(d) - apart * self._mean(d * apart))
        return dz.reshape(*da.shape)

    def _by_gate(self, z: Array) -> Array:
        return z.reshape(self.gates, self.units, z.shape[1])

    def _mean(self, z: Array) -> Array:
        mean: Array = z.sum(axis=1)[:, np.newaxis] / self.units
        return mean


class LayerNormLSTM:
    """The cell on columns: an LSTM whose gates' arguments and memory are normalised over the units."""

    def __init__(
        self,
        W: Array,
        R: Array,
        b: Array,
        gain: Array,
        gain_c: Array,
        b_c: Array,
        *,
        epsilon: float,
        memory: str,
        gradient: str,
    ) -> None:
        self.W, self.R = stacked(W), stacked(R)
        self.norm = LayerNorm(gain, b, epsilon)
        self.norm_c = LayerNorm(gain_c[np.newaxis], b_c[np.newaxis], epsilon)
        self.carries_normalised = memory == "normalised"
        self.through_state = gradient == "full"
        self.units = R.shape[1]
        self.state_sizes = (self.units, self.units)
        self.i, self.f, self.g, self.o = (rows(k, self.units) for k in range(4))
        self.i_f = slice(self.i.start, self.f.stop)

    def step(self, x: Array, h_prev: Array, c_prev: Array) -> tuple[Arrays, Arrays]:
        """From the state and memory before to those after."""
        z = self.W @ x
        z += self.R @ h_prev
        a, normalised, scale = self.norm(z)
        logistic(a[self.i_f], out=a[self.i_f])
        tanh(a[self.g], out=a[self.g])
        logistic(a[self.o], out=a[self.o])
        i, f, g, o = a[self.i], a[self.f], a[self.g], a[self.o]
        c = f * c_prev
        c += i * g
        m, normalised_c, scale_c = self.norm_c(c)
        u = tanh(m)
        carried = m if self.carries_normalised else c
        return (o * u, carried), (a, normalised, scale, h_prev, c_prev, normalised_c, scale_c, u)

    def back(self, known: Arrays, dh: Array, dc: Array) -> tuple[Arrays, Arrays]:
        """From the gradients of the state and memory after to those before."""
        v, normalised, scale, h_prev, c_prev, normalised_c, scale_c, u = known
        i, f, g, o = v[self.i], v[self.f], v[self.g], v[self.o]
        dm = tanh.back(dh * o, u, u)
        if self.carries_normalised:
            dm = dc + dm
            dc = self.norm_c.back(dm, normalised_c, scale_c)
        else:
            dc = dc + self.norm_c.back(dm, normalised_c, scale_c)
        da = np.empty_like(v)
        da[self.i] = logistic.back(dc * g, i, i)
        da[self.f] = logistic.back(dc * c_prev, f, f)
        da[self.g] = tanh.back(dc * i, g, g)
        da[self.o] = logistic.back(dh * u, o, o)
        dz = self.norm.back(da, normalised, scale)
        dh_prev = self.R.T @ dz if self.through_state else np.zeros_like(h_prev)
        return (dh_prev, dc * f), (dz, h_prev, da, normalised, dm, normalised_c)

    def gradients(
        self, x: Array, dz: Array, h_prev: Array, da: Array, normalised: Array, dm: Array, normalised_c: Array
    ) -> dict[str, Array]:
        """From the gradients around the normalisations to those of the input and the parameters."""
        return {
            "x": self.W.T @ dz,
            "W": outer(dz, x, self.units),
            "R": outer(dz, h_prev, self.units),
            "b": total(da, self.units),
            "gain": total(da * normalised, self.units),
            "gain_c": (dm * normalised_c).sum(axis=1),
            "b_c": dm.sum(axis=1),
        }


def layer_norm_lstm_cell(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    gain: Array,
    gain_c: Array,
    b_c: Array,
    *,
    epsilon: float = 1e-5,
    memory: str = "raw",
    gradient: str = "full",
) -> tuple[Array, Array]:
    """Take one step of a layer-normalised long short-term memory.

    The argument of each gate, and the new memory on its way to the output, are brought to mean 0 and variance 1 over
    the units, then scaled by a gain and shifted by a bias.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    h_prev, c_prev
        State ``(B, H)`` and memory ``(B, H)`` before.
    W, R, b
        Input weights ``(4, H, D)``, recurrent weights ``(4, H, H)`` and bias ``(4, H)`` of the gates i, f, g, o.
    gain
        Gain ``(4, H)`` of the gates' normalised arguments.
    gain_c, b_c
        Gain and bias ``(H,)`` of the normalised memory.
    epsilon
        What is added to the variance, under the root.
    memory
        Which memory the next step sees: the ``"raw"`` one, ``f * c_prev + i * g``, or the ``"normalised"`` one that the
        output shows.
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
    Ba, Kiros & Hinton (2016), Layer normalization, arXiv:1607.06450, supplement (it normalises the products with x and
    with h apart; here, as in most implementations, their sum); tensorflow.contrib.rnn.LayerNormBasicLSTMCell of
    TensorFlow 1 (``memory="normalised"``).
    """
    outputs, _ = layer_norm_lstm_cell_vjp(
        x, h_prev, c_prev, W, R, b, gain, gain_c, b_c, epsilon=epsilon, memory=memory, gradient=gradient
    )
    return outputs


def layer_norm_lstm_cell_vjp(
    x: Array,
    h_prev: Array,
    c_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    gain: Array,
    gain_c: Array,
    b_c: Array,
    *,
    epsilon: float = 1e-5,
    memory: str = "raw",
    gradient: str = "full",
) -> tuple[tuple[Array, Array], Vjp]:
    """Take one step as `layer_norm_lstm_cell` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dh, dc)`` gives the gradient of every input by name, for the gradients of the outputs. The inputs must not
    change before it is called; it may be called again.

    References
    ----------
    Ioffe & Szegedy (2015), Batch normalization, arXiv:1502.03167 (the gradient of a normalisation).
    """
    inputs = {
        "x": x,
        "h_prev": h_prev,
        "c_prev": c_prev,
        "W": W,
        "R": R,
        "b": b,
        "gain": gain,
        "gain_c": gain_c,
        "b_c": b_c,
    }
    attributes = {"epsilon": epsilon, "memory": memory, "gradient": gradient}
    (h, c), vjp = run_cell("layer_norm_lstm_cell", LayerNormLSTM, ("h_prev", "c_prev"), inputs, attributes)
    return (h, c), vjp


def layer_norm_lstm(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    gain: Array,
    gain_c: Array,
    b_c: Array,
    h0: Array | None = None,
    c0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    epsilon: float = 1e-5,
    memory: str = "raw",
    gradient: str = "full",
) -> tuple[Array, Array, Array]:
    """Run a layer-normalised long short-term memory over a batch of sequences.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All float arrays have one type: float16, bfloat16, float32 or float64; the first
        two are computed in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(4, H, D)``, recurrent weights ``(4, H, H)`` and bias ``(4, H)`` of the gates i, f, g, o.
    gain
        Gain ``(4, H)`` of the gates' normalised arguments.
    gain_c, b_c
        Gain and bias ``(H,)`` of the normalised memory.
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
    epsilon, memory, gradient
        As in `layer_norm_lstm_cell`.

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
    As of `layer_norm_lstm_cell`.
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
        "gain": gain,
        "gain_c": gain_c,
        "b_c": b_c,
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
        "epsilon": epsilon,
        "memory": memory,
        "gradient": gradient,
    }
    (y, h_n, c_n), _ = run_layer("layer_norm_lstm", LayerNormLSTM, ("h0", "c0"), inputs, attributes)
    return y, h_n, c_n


def layer_norm_lstm_vjp(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    gain: Array,
    gain_c: Array,
    b_c: Array,
    h0: Array | None = None,
    c0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    epsilon: float = 1e-5,
    memory: str = "raw",
    gradient: str = "full",
) -> tuple[tuple[Array, Array, Array], Vjp]:
    """Run as `layer_norm_lstm` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dy, dh_n, dc_n)`` gives the gradient of every float input that was given, by name, for the gradients of the
    outputs. The inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `layer_norm_lstm_cell_vjp`; Werbos (1990), Backpropagation through time, Proceedings of the IEEE 78(10).
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
        "gain": gain,
        "gain_c": gain_c,
        "b_c": b_c,
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
        "epsilon": epsilon,
        "memory": memory,
        "gradient": gradient,
    }
    (y, h_n, c_n), vjp = run_layer("layer_norm_lstm", LayerNormLSTM, ("h0", "c0"), inputs, attributes, record=True)
    return (y, h_n, c_n), vjp
