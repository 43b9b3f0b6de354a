"""The cell of the LSTM with layer normalisation, forward and backward."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.registry import cell
from rnnspec.spec.arrays import Array, Arrays


class LayerNorm:
    """Normalisation of each gate to mean 0 and variance 1 over its units, with a gain and a bias."""

    def __init__(self, gain: Array, bias: Array, epsilon: float) -> None:
        self.gates, self.units = gain.shape
        self.gain, self.bias = stacked(gain), stacked(bias)
        self.epsilon = epsilon

    def __call__(self, z: Array) -> tuple[Array, Array, Array]:
        """Return the result, and the normalised rows and their scale, which `back` needs."""
        apart = self._by_gate(z)
        apart = apart - self._mean(apart)
        scale = 1 / np.sqrt(self._mean(apart * apart) + self.epsilon)
        normalised = (apart * scale).reshape(*z.shape)
        return self.gain * normalised + self.bias, normalised, scale.reshape(self.gates, z.shape[1])

    def back(self, da: Array, normalised: Array, scale: Array) -> Array:
        """Return the gradient of z from that of the result."""
        apart, d = self._by_gate(normalised), self._by_gate(self.gain * da)
        dz: Array = scale[:, np.newaxis] * (d - self._mean(d) - apart * self._mean(d * apart))
        return dz.reshape(*da.shape)

    def _by_gate(self, z: Array) -> Array:
        return z.reshape(self.gates, self.units, z.shape[1])

    def _mean(self, z: Array) -> Array:
        mean: Array = z.sum(axis=1)[:, np.newaxis] / self.units
        return mean


@cell("layer_norm_lstm_cell")
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
        """Return the state and memory after the step, and the arrays that `back` needs."""
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
        """Return the gradients of the state and memory before, and the arrays that `gradients` needs."""
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
        """Return the gradients of the input and the parameters from those around the normalisations."""
        return {
            "x": self.W.T @ dz,
            "W": outer(dz, x, self.units),
            "R": outer(dz, h_prev, self.units),
            "b": total(da, self.units),
            "gain": total(da * normalised, self.units),
            "gain_c": (dm * normalised_c).sum(axis=1),
            "b_c": dm.sum(axis=1),
        }
