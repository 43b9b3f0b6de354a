"""Building blocks: a dense layer, embeddings, the softmax over a sequence, dropout, zoneout."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import Elementwise, activation
from rnnspec.reference.call import Admitted, Computed, dropout_scale
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array, Mask


@computes("dense")
def _dense(call: Admitted) -> Computed:
    x, W, b = (call.floats[name] for name in ("x", "W", "b"))
    name = call.attributes["activation"]
    f = _SOFTMAX if name == "softmax" else activation(name)
    a = x @ W.T + b
    y = f(a)

    def vjp(dy: Array) -> dict[str, Array]:
        da = f.back(dy, a, y)
        return {"x": da @ W, "W": da.T @ x, "b": da.sum(axis=0)}

    return (y,), vjp


@computes("embedding")
def _embedding(call: Admitted) -> Computed:
    table, valid = call.floats["E"], call.steps
    rows = np.where(valid, call.inputs["ids"], 0)

    def vjp(dy: Array) -> dict[str, Array]:
        dE = np.zeros_like(table)
        b, t = np.nonzero(valid)
        np.add.at(dE, rows[b, t], dy[b, t])
        return {"E": dE}

    return (np.where(valid[:, :, np.newaxis], table[rows], 0),), vjp


@computes("softmax")
def _softmax(call: Admitted) -> Computed:
    valid = call.steps
    _, exponentials, total = _shifted(call.floats["x"], valid)
    y = np.where(valid, exponentials / total, 0)  # an invalid entry is 0 even if another is NaN
    return (y,), lambda dy: {"x": _softmax_back(np.where(valid, dy, 0), y, y)}


@computes("log_softmax")
def _log_softmax(call: Admitted) -> Computed:
    valid = call.steps
    shifted, exponentials, total = _shifted(call.floats["x"], valid)

    def vjp(dy: Array) -> dict[str, Array]:
        d = np.where(valid, dy, 0)
        return {"x": d - exponentials / total * d.sum(axis=1)[:, np.newaxis]}

    return (np.where(valid, shifted - np.log(total), 0),), vjp


@computes("dropout")
def _dropout(call: Admitted) -> Computed:
    x, valid, keep = call.floats["x"], call.steps[:, :, np.newaxis], call.inputs["keep"]
    of_steps = keep if call.attributes["shared_over"] == "none" else keep[:, np.newaxis]
    scale = dropout_scale(x, of_steps, call.attributes["p"])

    def scaled(array: Array) -> Array:
        product: Array = np.where(valid, array, 0) * scale
        return product

    return (scaled(x),), lambda dy: {"x": scaled(dy)}


@computes("zoneout")
def _zoneout(call: Admitted) -> Computed:
    h, h_prev, p = call.floats["h"], call.floats["h_prev"], call.attributes["p"]
    if p is not None:
        # (1 - p) h + p h_prev, in the form that rounds more where both nearly cancel: libraries have either.
        return (h + p * (h_prev - h),), lambda dy: {"h": dy * (1 - p), "h_prev": dy * p}
    renewed = call.inputs["renewed"]
    return (np.where(renewed, h, h_prev),), lambda dy: {
        "h": np.where(renewed, dy, 0),
        "h_prev": np.where(renewed, 0, dy),
    }


def _shifted(x: Array, valid: Mask) -> tuple[Array, Array, Array]:
    """Each row minus its greatest valid entry, its exponentials, and their sum; 0, 0 and 1 without a valid entry.

    The shift changes no weight. It prevents overflow of the exponentials, and a sum of 0.
    """
    some = valid.any(axis=1)
    if not some.any():
        return np.zeros_like(x), np.zeros_like(x), np.ones_like(x, shape=(x.shape[0], 1))
    greatest = np.where(some, np.where(valid, x, -np.inf).max(axis=1), 0)[:, np.newaxis]
    shifted = np.where(valid, x, greatest) - greatest
    exponentials = np.where(valid, np.exp(shifted), 0)
    return shifted, exponentials, np.where(some, exponentials.sum(axis=1), 1)[:, np.newaxis]


def _softmax_value(a: Array, out: Array | None) -> Array:
    """Softmax over the last of two axes."""
    exponentials = np.exp(a - a.max(axis=1)[:, np.newaxis])
    y: Array = exponentials / exponentials.sum(axis=1)[:, np.newaxis]
    return y


def _softmax_back(dy: Array, a: Array, y: Array) -> Array:
    da: Array = y * (dy - (y * dy).sum(axis=1)[:, np.newaxis])
    return da


_SOFTMAX = Elementwise(_softmax_value, _softmax_back, reads_argument=False)
