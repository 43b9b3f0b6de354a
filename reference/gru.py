"""The gated recurrent unit: one step (`gru_cell`) and a sequence (`gru`), each with its gradient."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import logistic, tanh
from rnnspec.reference.call import Vjp, run_cell, run_layer
from rnnspec.reference.gates import outer, rows, stacked, total
from rnnspec.reference.unroll import Array, Arrays


class GRU:
    """The cell on columns: the update gate z mixes the state before with a candidate n, which r lets see that state."""

    def __init__(self, W: Array, R: Array, b: Array, b_rn: Array | None = None, *, reset: str, update: str) -> None:
        self.W, self.R, self.b = stacked(W), stacked(R), stacked(b)
        self.units = R.shape[1]
        self.state_sizes = (self.units,)
        self.b_rn = b_rn.reshape(self.units, 1) if reset == "after" and b_rn is not None else None
        self.keeps = update == "keeps"
        self.r, self.z, self.n = (rows(k, self.units) for k in range(3))
        self.rz = slice(self.r.start, self.z.stop)
        self.R_rz, self.R_n = self.R[self.rz], self.R[self.n]

    def step(self, x: Array, h_prev: Array) -> tuple[Arrays, Arrays]:
        """From the state before to the state after."""
        a = self.W @ x
        a += self.b
        a_rz, a_n = a[self.rz], a[self.n]
        if self.b_rn is None:  # r resets the state
            a_rz += self.R_rz @ h_prev
            logistic(a_rz, out=a_rz)
            reset = a[self.r] * h_prev
            a_n += self.R_n @ reset
        else:  # r resets the product
            p = self.R @ h_prev
            a_rz += p[self.rz]
            logistic(a_rz, out=a_rz)
            reset = p[self.n] + self.b_rn
            a_n += a[self.r] * reset
        n, z = tanh(a_n, out=a_n), a[self.z]
        if self.keeps:
            h = (1 - z) * n
            h += z * h_prev
        else:
            h = (1 - z) * h_prev
            h += z * n
        return (h,), (a, h_prev, reset)

    def back(self, known: Arrays, dh: Array) -> tuple[Arrays, Arrays]:
        """From the gradient of the state after to that of the state before."""
        v, h_prev, reset = known
        r, z, n = v[self.r], v[self.z], v[self.n]
        if self.keeps:
            dz, dn, dh_kept = dh * (h_prev - n), dh * (1 - z), dh * z
        else:
            dz, dn, dh_kept = dh * (n - h_prev), dh * z, dh * (1 - z)
        da = np.empty_like(v)
        da[self.z] = logistic.back(dz, z, z)
        da[self.n] = da_n = tanh.back(dn, n, n)
        if self.b_rn is None:
            ds = self.R_n.T @ da_n
            da[self.r] = logistic.back(ds * h_prev, r, r)
            return (dh_kept + self.R_rz.T @ da[self.rz] + ds * r,), (da, h_prev, reset)
        da[self.r] = logistic.back(da_n * reset, r, r)
        dp = da.copy()
        dp[self.n] = da_n * r
        return (dh_kept + self.R.T @ dp,), (da, h_prev, dp)

    def gradients(self, x: Array, da: Array, h_prev: Array, known: Array) -> dict[str, Array]:
        """From the gradients of the gates' arguments to those of the input and the parameters."""
        gradients = {"x": self.W.T @ da, "W": outer(da, x, self.units), "b": total(da, self.units)}
        if self.b_rn is None:
            s = known
            dR_rz, dR_n = outer(da[self.rz], h_prev, self.units), outer(da[self.n], s, self.units)
            return gradients | {"R": np.concatenate((dR_rz, dR_n))}
        dp = known
        return gradients | {"R": outer(dp, h_prev, self.units), "b_rn": dp[self.n].sum(axis=1)}


def gru_cell(
    x: Array,
    h_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    b_rn: Array | None = None,
    *,
    reset: str = "after",
    update: str = "keeps",
) -> tuple[Array]:
    """Take one step of a gated recurrent unit.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    h_prev
        State before, ``(B, H)``.
    W, R, b
        Input weights ``(3, H, D)``, recurrent weights ``(3, H, H)`` and bias ``(3, H)`` of the gates r, z, n.
    b_rn
        The candidate's recurrent bias, ``(H,)``, inside the reset; with ``reset="after"`` only.
    reset
        Where the reset gate stands: ``"before"`` the candidate's recurrent product, on the state, or ``"after"`` it.
    update
        What an update gate of 1 does: it ``"keeps"`` the state before, or ``"admits"`` the candidate.

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
    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078 (version 3: reset
    before; version 1: after); Chung et al. (2014), Empirical evaluation of gated recurrent networks, arXiv:1412.3555
    (update admits).
    """
    outputs, _ = gru_cell_vjp(x, h_prev, W, R, b, b_rn, reset=reset, update=update)
    return outputs


def gru_cell_vjp(
    x: Array,
    h_prev: Array,
    W: Array,
    R: Array,
    b: Array,
    b_rn: Array | None = None,
    *,
    reset: str = "after",
    update: str = "keeps",
) -> tuple[tuple[Array], Vjp]:
    """Take one step as `gru_cell` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dh)`` gives the gradient of every input that was given, by name, for the gradient ``dh`` of the output. The
    inputs must not change before it is called; it may be called again.

    References
    ----------
    As of `gru_cell`.
    """
    inputs = {"x": x, "h_prev": h_prev, "W": W, "R": R, "b": b, "b_rn": b_rn}
    (h,), vjp = run_cell("gru_cell", GRU, ("h_prev",), inputs, {"reset": reset, "update": update})
    return (h,), vjp


def gru(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    b_rn: Array | None = None,
    h0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    reset: str = "after",
    update: str = "keeps",
) -> tuple[Array, Array]:
    """Run a gated recurrent unit over a batch of sequences.

    Parameters
    ----------
    x
        Input sequences, ``(B, T, D)``. All float arrays have one type: float16, bfloat16, float32 or float64; the first
        two are computed in float32 and rounded once, at the end.
    W, R, b
        Input weights ``(3, H, D)``, recurrent weights ``(3, H, H)`` and bias ``(3, H)`` of the gates r, z, n.
    b_rn
        The candidate's recurrent bias, ``(H,)``, inside the reset; with ``reset="after"`` only.
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
    reset, update
        As in `gru_cell`.

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
    As of `gru_cell`.
    """
    inputs = {
        "x": x,
        "W": W,
        "R": R,
        "b": b,
        "b_rn": b_rn,
        "h0": h0,
        "recurrent_keep": recurrent_keep,
        "lengths": lengths,
        "mask": mask,
    }
    attributes = {
        "direction": direction,
        "truncate": truncate,
        "recurrent_dropout": recurrent_dropout,
        "reset": reset,
        "update": update,
    }
    (y, h_n), _ = run_layer("gru", GRU, ("h0",), inputs, attributes)
    return y, h_n


def gru_vjp(
    x: Array,
    W: Array,
    R: Array,
    b: Array,
    b_rn: Array | None = None,
    h0: Array | None = None,
    recurrent_keep: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    direction: str = "forward",
    truncate: int | None = None,
    recurrent_dropout: float | None = None,
    reset: str = "after",
    update: str = "keeps",
) -> tuple[tuple[Array, Array], Vjp]:
    """Run as `gru` does, and return its outputs and their vector-Jacobian product.

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
        "b_rn": b_rn,
        "h0": h0,
        "recurrent_keep": recurrent_keep,
        "lengths": lengths,
        "mask": mask,
    }
    attributes = {
        "direction": direction,
        "truncate": truncate,
        "recurrent_dropout": recurrent_dropout,
        "reset": reset,
        "update": update,
    }
    (y, h_n), vjp = run_layer("gru", GRU, ("h0",), inputs, attributes, record=True)
    return (y, h_n), vjp
