"""The gates of a cell, stacked: one product with all weights gives every gate's argument as a block of rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rnnspec.reference.activations import activation as named
from rnnspec.spec.arrays import Array, Arrays


def stacked(parameter: Array) -> Array:
    """Lay ``W (G, H, D)`` out as ``(G·H, D)``, or ``b (G, H)`` as one column ``(G·H, 1)``."""
    gates, units = parameter.shape[:2]
    return parameter.reshape(gates * units, -1)


def rows(gate: int, units: int) -> slice:
    """Return the rows of the gate at this place in the stack."""
    return slice(gate * units, (gate + 1) * units)


def outer(da: Array, x: Array, units: int) -> Array:
    """Return ``outer(da, x)``, summed over the columns and split by gate: the gradient of W or R, ``(G, H, D)``."""
    return (da @ x.T).reshape(-1, units, x.shape[0])


def total(da: Array, units: int) -> Array:
    """Return ``da``, summed over the columns and split by gate: the gradient of b, ``(G, H)``."""
    db: Array = da.sum(axis=1)
    return db.reshape(-1, units)


class Gated:
    """The base of cells whose gates' arguments are ``W @ x + R @ h_prev + b``, on columns, plus b_R if it is there."""

    def __init__(
        self, W: Array, R: Array, b: Array, b_R: Array | None = None, *, memories: int = 0, gradient: str = "full"
    ) -> None:
        self.W, self.R, self.b = stacked(W), stacked(R), stacked(b)
        self.b_R = None if b_R is None else stacked(b_R)
        self.through_state = gradient == "full"
        self.units = R.shape[1]
        self.state_sizes = (R.shape[2], *(self.units,) * memories)

    def add_to_bias(self, gate: slice, constant: float) -> None:
        """Add a number to the bias of a gate."""
        self.b = np.concatenate((self.b[: gate.start], self.b[gate] + constant, self.b[gate.stop :]))

    def arguments(self, x: Array, h_prev: Array) -> Array:
        """Return the arguments of all gates."""
        a: Array = self.W @ x
        a += self.R @ h_prev
        a += self.b
        if self.b_R is not None:
            a += self.b_R
        return a

    def state_back(self, da: Array, h_prev: Array) -> Array:
        """Return the gradient of the state before, or zeros if gradients flow through the memory alone."""
        return self.R.T @ da if self.through_state else np.zeros_like(h_prev)

    def gradients(self, x: Array, da: Array, h_prev: Array) -> dict[str, Array]:
        """Return the gradients of the input and the parameters from those of the gates' arguments."""
        gradients = {
            "x": self.W.T @ da,
            "W": outer(da, x, self.units),
            "R": outer(da, h_prev, self.units),
            "b": total(da, self.units),
        }
        return gradients if self.b_R is None else gradients | {"b_R": gradients["b"].copy()}


class Resetting(Gated):
    """A cell whose candidate n, the last gate, sees the state before through a gate r; a gate z mixes both.

    They may be one gate; `places` are theirs.
    """

    places: ClassVar[tuple[int, int]]

    def __init__(
        self,
        W: Array,
        R: Array,
        b: Array,
        b_rn: Array | None = None,
        b_R: Array | None = None,
        *,
        reset: str,
        update: str,
        activation: str = "tanh",
        recurrent_activation: str = "logistic",
        clip: float | None = None,
    ) -> None:
        super().__init__(W, R, b, b_R)
        self.candidate, self.gate = named(activation, clip), named(recurrent_activation, clip)
        self.keeps_arguments = self.candidate.reads_argument or self.gate.reads_argument
        self.after = reset == "after"
        self.b_rn = None if b_rn is None else b_rn.reshape(self.units, 1)
        self.keeps = update == "keeps"
        self.r, self.z, self.n = (rows(k, self.units) for k in (*self.places, len(W) - 1))
        self.gates = slice(0, self.n.start)
        self.R_gates, self.R_n = self.R[self.gates], self.R[self.n]

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        """Return the state after the step, and the arrays that `back` needs."""
        a = self.W @ x
        a += self.b
        v = np.empty_like(a) if self.keeps_arguments else a
        a_gates, a_n = a[self.gates], a[self.n]
        if self.after:  # r resets the product
            p = self.R @ h_prev
            if self.b_R is not None:
                p += self.b_R
            a_gates += p[self.gates]
            self.gate(a_gates, out=v[self.gates])
            reset = p[self.n] if self.b_rn is None else p[self.n] + self.b_rn
            a_n += v[self.r] * reset
        else:  # r resets the state
            a_gates += self.R_gates @ h_prev
            if self.b_R is not None:
                a_gates += self.b_R[self.gates]
                a_n += self.b_R[self.n]
            self.gate(a_gates, out=v[self.gates])
            reset = v[self.r] * h_prev
            a_n += self.R_n @ reset
        n = self.candidate(a_n, out=v[self.n])
        return (self.mixed(v[self.z], n, h_prev),), (a, v, h_prev, reset)

    def mixed(self, z: Array, n: Array, h_prev: Array) -> Array:
        """Return the state after the step."""
        if self.keeps:
            h = (1 - z) * n
            h += z * h_prev
        else:
            h = (1 - z) * h_prev
            h += z * n
        return h

    def mixed_back(self, dh: Array, z: Array, n: Array, h_prev: Array) -> tuple[Array, Array, Array]:
        """Return the gradients of the gate, of the candidate and, as far as it is kept, of the state before."""
        if self.keeps:
            return dh * (h_prev - n), dh * (1 - z), dh * z
        return dh * (n - h_prev), dh * z, dh * (1 - z)

    def gradients(self, x: Array, da: Array, h_prev: Array, *known: Array) -> dict[str, Array]:
        """Return the gradients of the input and the parameters from those of the gates' arguments.

        Last comes the state that n sees or, if the product is reset, the gradients of the products with the state.
        """
        gradients = {"x": self.W.T @ da, "W": outer(da, x, self.units), "b": total(da, self.units)}
        if self.after:
            (dp,) = known
            gradients["R"] = outer(dp, h_prev, self.units)
            if self.b_rn is not None:
                gradients["b_rn"] = dp[self.n].sum(axis=1)
        else:
            dp, (s,) = da, known
            dR, dR_n = outer(da[self.gates], h_prev, self.units), outer(da[self.n], s, self.units)
            gradients["R"] = np.concatenate((dR, dR_n))
        return gradients if self.b_R is None else gradients | {"b_R": total(dp, self.units)}
