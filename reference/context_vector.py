"""What an encoder hands on of all its states (`context_vector`), with its gradient."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rnnspec.reference.activations import tanh
from rnnspec.reference.call import Vjp, admit, widened
from rnnspec.reference.unroll import Array

Source = Literal["last", "projected_last", "projected_mean"]


def context_vector(
    h: Array,
    W: Array | None = None,
    b: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    source: Source = "last",
) -> tuple[Array]:
    """Make one vector of an encoder's states.

    Parameters
    ----------
    h
        The encoder's state after each step, ``(B, T, H)``. All arrays but `lengths` and `mask` have one type: float16,
        bfloat16, float32 or float64; the first two are computed in float32 and rounded once, at the end.
    W, b
        Weights ``(K, H)`` and bias ``(K,)`` of the projection; with a projected source only.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands.
    source
        ``"last"``: the state after the last valid step, as it is. ``"projected_last"``: ``tanh(W @ last + b)``.
        ``"projected_mean"``: ``tanh(W @ mean + b)``, of the mean of the states over the valid steps. Where no step is
        valid, last and mean are zero, and so the projected ones ``tanh(b)``.

    Returns
    -------
    context
        ``(B, H)`` for the last state, ``(B, K)`` projected; of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Sutskever, Vinyals & Le (2014), arXiv:1409.3215 (last); Cho et al. (2014), arXiv:1406.1078
    (projected last); Sennrich et al. (2017), Nematus, arXiv:1703.04357 (projected mean).
    """
    outputs, _ = context_vector_vjp(h, W, b, lengths=lengths, mask=mask, source=source)
    return outputs


def context_vector_vjp(
    h: Array,
    W: Array | None = None,
    b: Array | None = None,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    source: Source = "last",
) -> tuple[tuple[Array], Vjp]:
    """Make the vector as `context_vector` does, and return it and its vector-Jacobian product.

    ``vjp(dcontext)`` gives the gradient of every float input that was given, by name. The inputs must not change before
    it is called; it may be called again.

    References
    ----------
    As of `context_vector`.
    """
    inputs = {"h": h, "W": W, "b": b, "lengths": lengths, "mask": mask}
    call = admit("context_vector", inputs, {"source": source})
    assert call.valid is not None  # it has steps
    states, valid = call.floats["h"], call.valid
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
        dseen = widened(dcontext)
        if source != "last":
            da = tanh.back(dseen, context, context)
            gradients |= {"W": da.T @ seen, "b": da.sum(axis=0)}
            dseen = da @ weights
        dh = np.zeros_like(states)
        if of_mean:
            dh[...] = np.where(valid[:, :, np.newaxis], (dseen / count)[:, np.newaxis], 0)
        elif steps:
            dh[every, last] = np.where(some, dseen, 0)
        return call.gradients({"h": dh, **gradients})

    # A copy: the way back reads the context itself.
    return (call.rounded(context.copy()),), vjp


def _last(valid: Array) -> Array:
    """The last valid step of each sequence, ``(B,)``; 0 where there is none."""
    last: Array = np.where(valid, np.arange(valid.shape[1]), 0).max(axis=1, initial=0)
    return last
