"""Clipping of gradients: by value, by norm, and by the norm of all together; each with its own gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnspec.reference.call import Vjp, admit, widened
from rnnspec.reference.unroll import Array


def clip_by_value(x: Array, *, threshold: float = 1.0) -> tuple[Array]:
    """Bring each number to the nearer end of ``-threshold .. threshold`` where it lies outside.

    Parameters
    ----------
    x
        A gradient as one vector, ``(N,)``, of float16, bfloat16, float32 or float64.
    threshold
        The largest magnitude that is left as it is.

    Returns
    -------
    y
        The gradient, clipped, ``(N,)``, of the type of x.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Mikolov (2012), Statistical language models based on neural networks, PhD thesis, Brno University of Technology.
    """
    outputs, _ = clip_by_value_vjp(x, threshold=threshold)
    return outputs


def clip_by_value_vjp(x: Array, *, threshold: float = 1.0) -> tuple[tuple[Array], Vjp]:
    """Clip as `clip_by_value` does, and return its output and its vector-Jacobian product.

    ``vjp(dy)`` gives the gradient of x: what was clipped has none.

    References
    ----------
    As of `clip_by_value`.
    """
    call = admit("clip_by_value", {"x": x}, {"threshold": threshold})
    wide = call.floats["x"]

    def vjp(dy: Array) -> dict[str, Array]:
        return call.gradients({"x": np.where(np.abs(wide) <= threshold, widened(dy), 0)})

    y = np.where(wide > threshold, threshold, np.where(wide < -threshold, -threshold, wide))
    return (call.rounded(y),), vjp


def clip_by_norm(x: Array, *, threshold: float = 1.0, epsilon: float = 0.0) -> tuple[Array]:
    """Make a gradient as long as the threshold where it is longer: ``x * min(1, threshold / (norm(x) + epsilon))``.

    Parameters
    ----------
    x
        A gradient as one vector, ``(N,)``, of float16, bfloat16, float32 or float64; the first two are computed in
        float32 and rounded once, at the end. Its squares may be too large or too small for the type.
    threshold
        The largest norm that is left as it is.
    epsilon
        What is added to the norm: 0, as in TensorFlow, or 1e-6, as in torch.

    Returns
    -------
    y
        The gradient, clipped, ``(N,)``, of the type of x.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, ICML, algorithm 1.
    """
    outputs, _ = clip_by_norm_vjp(x, threshold=threshold, epsilon=epsilon)
    return outputs


def clip_by_norm_vjp(x: Array, *, threshold: float = 1.0, epsilon: float = 0.0) -> tuple[tuple[Array], Vjp]:
    """Clip as `clip_by_norm` does, and return its output and its vector-Jacobian product.

    ``vjp(dy)`` gives the gradient of x, the norm's own included: of a gradient that was clipped, the part of dy along x
    is lost (but for epsilon).

    References
    ----------
    As of `clip_by_norm`.
    """
    call = admit("clip_by_norm", {"x": x}, {"threshold": threshold, "epsilon": epsilon})
    y, _, back = _clipped(call.floats["x"], threshold, epsilon)

    def vjp(dy: Array) -> dict[str, Array]:
        return call.gradients({"x": back(widened(dy), None)})

    return (call.rounded(y),), vjp


def clip_by_global_norm(
    x1: Array, x2: Array, x3: Array, *, threshold: float = 1.0, epsilon: float = 0.0
) -> tuple[Array, Array, Array, Array]:
    """Clip three gradients (they stand for any number) by the norm of all together, as `clip_by_norm` does one.

    Parameters
    ----------
    x1, x2, x3
        Gradients as vectors, ``(N,)``, ``(M,)`` and ``(K,)``, all of one type, as in `clip_by_norm`.
    threshold, epsilon
        As in `clip_by_norm`.

    Returns
    -------
    y1, y2, y3
        The gradients, clipped, of the same shapes and type.
    norm
        Norm of all of them before clipping, a scalar.

    Raises
    ------
    rnnspec.spec.CallError
        If an input or attribute is not as above; the message says what was expected.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, ICML, algorithm 1.
    """
    outputs, _ = clip_by_global_norm_vjp(x1, x2, x3, threshold=threshold, epsilon=epsilon)
    return outputs


def clip_by_global_norm_vjp(
    x1: Array, x2: Array, x3: Array, *, threshold: float = 1.0, epsilon: float = 0.0
) -> tuple[tuple[Array, Array, Array, Array], Vjp]:
    """Clip as `clip_by_global_norm` does, and return its outputs and their vector-Jacobian product.

    ``vjp(dy1, dy2, dy3, dnorm)`` gives the gradient of every input by name; that of the norm at 0 is taken as 0.

    References
    ----------
    As of `clip_by_global_norm`.
    """
    names = ("x1", "x2", "x3")
    attributes = {"threshold": threshold, "epsilon": epsilon}
    call = admit("clip_by_global_norm", dict(zip(names, (x1, x2, x3), strict=True)), attributes)
    parts = [call.floats[name] for name in names]
    y, norm, back = _clipped(np.concatenate(parts), threshold, epsilon)
    first, second = parts[0].shape[0], parts[0].shape[0] + parts[1].shape[0]

    def apart(array: Array) -> tuple[Array, Array, Array]:
        return array[:first].copy(), array[first:second].copy(), array[second:].copy()

    def vjp(dy1: Array, dy2: Array, dy3: Array, dnorm: Array) -> dict[str, Array]:
        dx = back(np.concatenate([widened(dy1), widened(dy2), widened(dy3)]), widened(dnorm))
        return call.gradients(dict(zip(names, apart(dx), strict=True)))

    y1, y2, y3 = (call.rounded(part) for part in apart(y))
    return (y1, y2, y3, call.rounded(norm.reshape(()))), vjp


def _clipped(x: Array, threshold: float, epsilon: float) -> tuple[Array, Array, Callable[[Array, Array | None], Array]]:
    """Clip a vector; return it, its norm before ``(1,)``, and the way back from the gradients of the two.

    The norm is ``m * r``: m the greatest magnitude, r the norm of ``u = x / m``, between 1 and √N. So no square
    overflows or underflows, and the clipped vector, ``threshold * u / (r + epsilon / m)``, is right even where the norm
    itself is too large for the type, or the factor that belongs to it is too small.
    """
    greatest = np.abs(x).max(axis=0, keepdims=True)
    zero = greatest == 0
    m = np.where(zero, 1, greatest)
    u = x / m
    r = np.sqrt((u * u).sum(axis=0, keepdims=True))
    with np.errstate(over="ignore"):
        norm = m * r
        total = norm + epsilon
        fits = total <= threshold
        # What follows is used where the vector does not fit, and then r + epsilon / m is not 0.
        length = np.where(fits, 1, r + epsilon / m)
    scale = threshold / np.where(fits, threshold, total)
    direction = u / length
    y = np.where(fits, x, direction * threshold)

    def back(dy: Array, dnorm: Array | None) -> Array:
        outward = u / np.where(zero, 1, r)
        along = (outward * dy).sum(axis=0, keepdims=True)
        dx = np.where(fits, dy, (dy - direction * along) * scale)
        return dx if dnorm is None else dx + outward * dnorm

    return y, norm, back
