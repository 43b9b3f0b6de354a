"""Building blocks, each with its gradient: a dense layer, embeddings, the softmax over a sequence, dropout."""

from __future__ import annotations

import numpy as np

from rnnspec.reference.activations import Activation
from rnnspec.reference.activations import activation as named
from rnnspec.reference.call import Vjp, admit, dropout_scale, widened
from rnnspec.reference.unroll import Array, Mask


def dense(x: Array, W: Array, b: Array, *, activation: str = "identity") -> tuple[Array]:
    """Compute ``f(W x + b)`` for every row of a batch.

    Parameters
    ----------
    x
        Input, ``(B, D)``. All arrays have one type: float16, bfloat16, float32 or float64; the first two are computed
        in float32 and rounded once, at the end.
    W, b
        Weights ``(H, D)`` and bias ``(H,)``.
    activation
        f: ``"identity"``, ``"tanh"``, ``"logistic"``, ``"relu"``, or ``"softmax"`` over the H units.

    Returns
    -------
    y
        Output, ``(B, H)``, of the inputs' type.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), Learning representations by back-propagating errors, Nature 323, 533-536.
    """
    outputs, _ = dense_vjp(x, W, b, activation=activation)
    return outputs


def dense_vjp(x: Array, W: Array, b: Array, *, activation: str = "identity") -> tuple[tuple[Array], Vjp]:
    """Compute what `dense` does, and return its output and its vector-Jacobian product.

    ``vjp(dy)`` gives the gradient of every input by name. The inputs must not change before it is called; it may be
    called again.

    References
    ----------
    As of `dense`.
    """
    call = admit("dense", {"x": x, "W": W, "b": b}, {"activation": activation})
    wide_x, wide_W, wide_b = (call.floats[name] for name in ("x", "W", "b"))
    f = _SOFTMAX if activation == "softmax" else named(activation)
    a = wide_x @ wide_W.T + wide_b
    y = f(a)

    def vjp(dy: Array) -> dict[str, Array]:
        da = f.back(widened(dy), a, y)
        return call.gradients({"x": da @ wide_W, "W": da.T @ wide_x, "b": da.sum(axis=0)})

    return (call.rounded(y),), vjp


def embedding(ids: Array, E: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[Array]:
    """Look up the row of a table for every id.

    Parameters
    ----------
    ids
        int64 ``(B, T)``, from 0 to below V; at steps that are not valid they may be anything.
    E
        Table, ``(V, D)``, of float16, bfloat16, float32 or float64.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands.

    Returns
    -------
    y
        The rows, ``(B, T, D)``, of the table's type; 0 at steps taken out.

    Raises
    ------
    rnnspec.spec.CallError
        If an input is not as above; the message says what was expected.

    References
    ----------
    Bengio, Ducharme, Vincent & Jauvin (2003), A neural probabilistic language model, JMLR 3, 1137-1155.
    """
    outputs, _ = embedding_vjp(ids, E, lengths=lengths, mask=mask)
    return outputs


def embedding_vjp(
    ids: Array, E: Array, *, lengths: Array | None = None, mask: Array | None = None
) -> tuple[tuple[Array], Vjp]:
    """Look up as `embedding` does, and return its output and its vector-Jacobian product.

    ``vjp(dy)`` gives the gradient of E: a row that was looked up several times gets the sum.

    References
    ----------
    As of `embedding`.
    """
    call = admit("embedding", {"ids": ids, "E": E, "lengths": lengths, "mask": mask}, {})
    table, valid = call.floats["E"], _steps(call.valid)
    named_rows = np.where(valid, ids, 0)
    y = np.where(valid[:, :, np.newaxis], table[named_rows], 0)

    def vjp(dy: Array) -> dict[str, Array]:
        dE = np.zeros_like(table)
        b, t = np.nonzero(valid)
        np.add.at(dE, named_rows[b, t], widened(dy)[b, t])
        return call.gradients({"E": dE})

    return (call.rounded(y),), vjp


def softmax(x: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[Array]:
    """Turn the numbers of each sequence into weights whose sum over the valid positions is 1.

    Parameters
    ----------
    x
        Numbers, ``(B, T)``, of float16, bfloat16, float32 or float64; the first two are computed in float32 and rounded
        once, at the end.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` positions and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a position whose mask is false is taken out, wherever it stands. Its
        number, NaN included, changes nothing and has gradient 0.

    Returns
    -------
    y
        Weights, ``(B, T)``, of the input's type; 0 at positions taken out, and so everywhere in a sequence without any.

    Raises
    ------
    rnnspec.spec.CallError
        If an input is not as above; the message says what was expected.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), Deep learning, section 4.1.
    """
    outputs, _ = softmax_vjp(x, lengths=lengths, mask=mask)
    return outputs


def softmax_vjp(x: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[tuple[Array], Vjp]:
    """Compute what `softmax` does, and return its output and its vector-Jacobian product.

    ``vjp(dy)`` gives the gradient of x.

    References
    ----------
    As of `softmax`.
    """
    call = admit("softmax", {"x": x, "lengths": lengths, "mask": mask}, {})
    valid = _steps(call.valid)
    _, exponentials, total = _shifted(call.floats["x"], valid)
    y = np.where(valid, exponentials / total, 0)  # where another entry is NaN, one that is taken out is 0 still

    def vjp(dy: Array) -> dict[str, Array]:
        return call.gradients({"x": _softmax_back(np.where(valid, widened(dy), 0), y, y)})

    return (call.rounded(y),), vjp


def log_softmax(x: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[Array]:
    """Compute the logarithms of the weights that `softmax` gives, exactly even where those are too small to hold.

    Parameters
    ----------
    x, lengths, mask
        As in `softmax`.

    Returns
    -------
    y
        Logarithms of the weights, ``(B, T)``, of the input's type; 0 at positions taken out.

    Raises
    ------
    rnnspec.spec.CallError
        If an input is not as above; the message says what was expected.

    References
    ----------
    Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions, IMA JNA 41(4).
    """
    outputs, _ = log_softmax_vjp(x, lengths=lengths, mask=mask)
    return outputs


def log_softmax_vjp(x: Array, *, lengths: Array | None = None, mask: Array | None = None) -> tuple[tuple[Array], Vjp]:
    """Compute what `log_softmax` does, and return its output and its vector-Jacobian product.

    ``vjp(dy)`` gives the gradient of x.

    References
    ----------
    As of `log_softmax`.
    """
    call = admit("log_softmax", {"x": x, "lengths": lengths, "mask": mask}, {})
    valid = _steps(call.valid)
    shifted, exponentials, total = _shifted(call.floats["x"], valid)
    y = np.where(valid, shifted - np.log(total), 0)

    def vjp(dy: Array) -> dict[str, Array]:
        d = np.where(valid, widened(dy), 0)
        return call.gradients({"x": d - exponentials / total * d.sum(axis=1)[:, np.newaxis]})

    return (call.rounded(y),), vjp


def dropout(
    x: Array,
    keep: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    p: float = 0.5,
    shared_over: str = "none",
) -> tuple[Array]:
    """Drop features, and scale up those that are kept: ``x * keep / (1 - p)``.

    Parameters
    ----------
    x
        Sequences, ``(B, T, D)``, of float16, bfloat16, float32 or float64; the first two are computed in float32 and
        rounded once, at the end.
    keep
        bool: true where a feature is kept. ``(B, T, D)``, or ``(B, D)`` with ``shared_over="time"``.
    lengths
        int64 ``(B,)``: sequence ``k`` has ``lengths[k]`` steps and padding after them; all `T` if absent.
    mask
        bool ``(B, T)``, in place of `lengths`: a step whose mask is false is taken out, wherever it stands. Its input,
        NaN included, changes nothing and has gradient 0.
    p
        Probability with which a feature is dropped, from 0 to below 1.
    shared_over
        ``"none"``: a choice for each step; ``"time"``: one for the whole sequence (spatial dropout).

    Returns
    -------
    y
        What is kept, ``(B, T, D)``, of the type of x; 0 at steps taken out.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov (2014), Dropout, JMLR 15, 1929-1958.
    """
    outputs, _ = dropout_vjp(x, keep, lengths=lengths, mask=mask, p=p, shared_over=shared_over)
    return outputs


def dropout_vjp(
    x: Array,
    keep: Array,
    *,
    lengths: Array | None = None,
    mask: Array | None = None,
    p: float = 0.5,
    shared_over: str = "none",
) -> tuple[tuple[Array], Vjp]:
    """Drop as `dropout` does, and return its output and its vector-Jacobian product.

    ``vjp(dy)`` gives the gradient of x.

    References
    ----------
    As of `dropout`.
    """
    inputs = {"x": x, "keep": keep, "lengths": lengths, "mask": mask}
    call = admit("dropout", inputs, {"p": p, "shared_over": shared_over})
    valid = _steps(call.valid)[:, :, np.newaxis]
    scale = dropout_scale(call.floats["x"], keep if shared_over == "none" else keep[:, np.newaxis], p)

    def scaled(array: Array) -> Array:
        product: Array = np.where(valid, array, 0) * scale
        return product

    def vjp(dy: Array) -> dict[str, Array]:
        return call.gradients({"x": scaled(widened(dy))})

    return (call.rounded(scaled(call.floats["x"])),), vjp


def _steps(valid: Mask | None) -> Mask:
    """Which steps are valid, of an operation that has steps."""
    assert valid is not None
    return valid


def _shifted(x: Array, valid: Mask) -> tuple[Array, Array, Array]:
    """Each row less its greatest valid entry, the exponentials of that, and their sum; 0, 0 and 1 where none is valid.

    The shift changes no weight, and keeps the exponentials from overflowing and their sum from being 0.
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


_SOFTMAX = Activation(_softmax_value, _softmax_back, reads_argument=False)
