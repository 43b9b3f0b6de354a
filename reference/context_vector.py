"""Context vectors, which an encoder makes of all its states."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import tanh
from rnnspec.reference.call import Admitted, Computed
from rnnspec.reference.registry import computes
from rnnspec.spec.arrays import Array


@computes("context_vector")
def _context_vector(call: Admitted) -> Computed:
    states, valid, source = call.floats["h"], call.steps, call.attributes["source"]
    batch, steps, units = states.shape
    of_mean = source == "projected_mean"
    some = valid.sum(axis=1)[:, np.newaxis] > 0
    every = np.arange(batch)
    last = _last(valid)
    count = np.maximum(valid.sum(axis=1), 1).astype(states.dtype)[:, np.newaxis]

    if of_mean:
        seen = np.where(valid[:, :, np.newaxis], states, 0).sum(axis=1) / count
    elif steps:
        seen = np.where(some, states[every, last], 0)
    else:
        seen = np.zeros_like(states, shape=(batch, units))
    if source == "last":
        context = seen
    else:
        weights, bias = call.floats["W"], call.floats["b"]
        context = tanh(seen @ weights.T + bias)

    def vjp(dcontext: Array) -> dict[str, Array]:
        gradients: dict[str, Array] = {}
        dseen = dcontext
        if source != "last":
            da = tanh.back(dseen, context, context)
            gradients |= {"W": da.T @ seen, "b": da.sum(axis=0)}
            dseen = da @ weights
        dh = np.zeros_like(states)
        if of_mean:
            dh[...] = np.where(valid[:, :, np.newaxis], (dseen / count)[:, np.newaxis], 0)
        elif steps:
            dh[every, last] = np.where(some, dseen, 0)
        return {"h": dh, **gradients}

    # A copy, since the backward pass reads the context itself.
    return (context.copy(),), vjp


def _last(valid: Array) -> Array:
    """The last valid step of each sequence, ``(B,)``; 0 if there is none."""
    last: Array = np.where(valid, np.arange(valid.shape[1]), 0).max(axis=1, initial=0)
    return last
