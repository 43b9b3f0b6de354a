"""Faults of gradient clipping, of the spectrum of recurrent weights, and of Jacobians through time."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec.conformance.faults.blocks import valid_steps
from rnnspec.conformance.faults.fault import Result, plant
from rnnspec.reference import clip_by_global_norm_vjp, clip_by_norm_vjp, clip_by_value_vjp, state_jacobian
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array
from rnnspec.spec.composition import states_of


def _norm(x: Array) -> Array:
    """The Euclidean norm, in the type of x."""
    return np.asarray(np.sqrt((x * x).sum(dtype=x.dtype)))


def _scaled(x: Array, scale: Any) -> Array:
    return np.asarray(x * x.dtype.type(scale))


# clip_by_value


@plant("clip_by_value")
def from_above_only(x: Array, threshold: float) -> Result:
    """Large negative numbers are left as they are."""
    limit = x.dtype.type(threshold)
    return (np.minimum(x, limit),), lambda dy: {"x": np.where(x <= limit, dy, dy.dtype.type(0))}


@plant("clip_by_value")
def gradient_passed_whole(x: Array, threshold: float) -> Result:
    """What was clipped hands its gradient on as if it had not been; only gradients are wrong."""
    outputs, _ = clip_by_value_vjp(x, threshold=threshold)
    return outputs, lambda dy: {"x": dy}


@plant("clip_by_value")
def large_ones_dropped(x: Array, threshold: float) -> Result:
    """A number beyond the threshold becomes 0 in place of the threshold."""
    outputs, vjp = clip_by_value_vjp(x, threshold=threshold)
    return (np.where(np.abs(x) <= threshold, outputs[0], x.dtype.type(0)),), vjp


@plant("clip_by_value")
def sign_lost(x: Array, threshold: float) -> Result:
    """A number below -threshold becomes +threshold."""
    (y,), vjp = clip_by_value_vjp(x, threshold=threshold)
    return (np.where(np.abs(x) > threshold, x.dtype.type(threshold), y),), vjp


# clip_by_norm


@plant("clip_by_norm")
def threshold_on_the_squared_norm(x: Array, threshold: float, epsilon: float) -> Result:
    """The norm's square root is left out: the squared norm is held against the threshold, and divides it."""
    squared = float((x * x).sum()) + epsilon
    if squared <= threshold:
        return (x.copy(),), lambda dy: {"x": dy}

    def back(dy: Array) -> dict[str, Array]:
        return {"x": _scaled(dy - 2 * x * (x * dy).sum() / x.dtype.type(squared), threshold / squared)}

    return (_scaled(x, threshold / squared),), back


@plant("clip_by_norm")
def small_ones_enlarged(x: Array, threshold: float, epsilon: float) -> Result:
    """Every gradient is brought to the threshold, short ones too."""
    norm = _norm(x)
    scale = threshold / (float(norm) + epsilon) if norm > 0 else 0.0

    def back(dy: Array) -> dict[str, Array]:
        along = (x * dy).sum() / (norm * (norm + x.dtype.type(epsilon))) if norm > 0 else x.dtype.type(0)
        return {"x": _scaled(dy - x * along, scale)}

    return (_scaled(x, scale),), back


@plant("clip_by_norm")
def gradient_of_the_norm_ignored(x: Array, threshold: float, epsilon: float) -> Result:
    """The factor is taken for a constant; only gradients are wrong."""
    outputs, _ = clip_by_norm_vjp(x, threshold=threshold, epsilon=epsilon)
    length = float(_norm(x)) + epsilon
    return outputs, lambda dy: {"x": _scaled(dy, min(1.0, threshold / length) if length > 0 else 1.0)}


@plant("clip_by_norm")
def epsilon_ignored(x: Array, threshold: float, epsilon: float) -> Result:
    """Nothing is added to the norm."""
    return clip_by_norm_vjp(x, threshold=threshold, epsilon=0.0)


@plant("clip_by_norm")
def by_the_greatest_magnitude(x: Array, threshold: float, epsilon: float) -> Result:
    """The greatest magnitude is taken for the norm; its place is taken for a constant in the gradient."""
    scale = min(1.0, threshold / max(float(np.abs(x).max()) + epsilon, 1e-30))
    return (_scaled(x, scale),), lambda dy: {"x": _scaled(dy, scale)}


# clip_by_global_norm


@plant("clip_by_global_norm")
def each_by_its_own_norm(x1: Array, x2: Array, x3: Array, threshold: float, epsilon: float) -> Result:
    """Each array is clipped by its own norm; the norm that is given is that of all."""
    (*_, norm), vjp = clip_by_global_norm_vjp(x1, x2, x3, threshold=threshold, epsilon=epsilon)
    results = [clip_by_norm_vjp(x, threshold=threshold, epsilon=epsilon) for x in (x1, x2, x3)]

    def back(dy1: Array, dy2: Array, dy3: Array, dnorm: Array) -> dict[str, Array]:
        of_norm = vjp(np.zeros_like(dy1), np.zeros_like(dy2), np.zeros_like(dy3), dnorm)
        own = (one(dy)["x"] for (_, one), dy in zip(results, (dy1, dy2, dy3), strict=True))
        return {name: of_norm[name] + d for name, d in zip(("x1", "x2", "x3"), own, strict=True)}

    return (*(y for (y,), _ in results), norm), back


@plant("clip_by_global_norm")
def norm_after_clipping(x1: Array, x2: Array, x3: Array, threshold: float, epsilon: float) -> Result:
    """The norm that is given is that of the clipped gradients; its gradient is left as it is."""
    outputs, vjp = clip_by_global_norm_vjp(x1, x2, x3, threshold=threshold, epsilon=epsilon)
    after = _norm(np.concatenate(outputs[:3]))
    return (*outputs[:3], after), vjp


@plant("clip_by_global_norm")
def last_array_left_out_of_the_norm(x1: Array, x2: Array, x3: Array, threshold: float, epsilon: float) -> Result:
    """The third array does not count in the norm, by which it is clipped nevertheless."""
    without = np.zeros_like(x3)
    (y1, y2, _, norm), vjp = clip_by_global_norm_vjp(x1, x2, without, threshold=threshold, epsilon=epsilon)
    length = float(norm) + epsilon
    scale = min(1.0, threshold / length) if length > 0 else 1.0
    return (y1, y2, _scaled(x3, scale), norm), lambda *d: {**vjp(*d), "x3": _scaled(d[2], scale)}


@plant("clip_by_global_norm")
def gradient_of_the_common_norm_ignored(x1: Array, x2: Array, x3: Array, threshold: float, epsilon: float) -> Result:
    """The factor and the norm are taken for constants; only gradients are wrong."""
    outputs, _ = clip_by_global_norm_vjp(x1, x2, x3, threshold=threshold, epsilon=epsilon)
    length = float(outputs[3]) + epsilon
    scale = min(1.0, threshold / length) if length > 0 else 1.0
    return outputs, lambda *d: {name: _scaled(dy, scale) for name, dy in zip(("x1", "x2", "x3"), d[:3], strict=True)}


@plant("clip_by_global_norm")
def never_clipped(x1: Array, x2: Array, x3: Array, threshold: float, epsilon: float) -> Result:
    """The norm is found, and nothing done about it."""
    return clip_by_global_norm_vjp(x1, x2, x3, threshold=float(np.finfo(np.float32).max) / 4, epsilon=epsilon)


# recurrent_power_spectrum


def _spectrum(powers: list[Array]) -> tuple[Array, Array]:
    stacked = np.stack(powers)
    return np.sort(stacked.reshape(len(powers), -1), axis=1), np.linalg.svd(stacked, compute_uv=False)


def _no_gradient(*cotangents: Array) -> dict[str, Array]:
    return {}


@plant("recurrent_power_spectrum")
def entries_raised_to_the_power(R: Array, powers: int) -> Result:
    """Each entry is raised to the power, not the matrix."""
    return _spectrum([R ** R.dtype.type(k + 1) for k in range(powers)]), _no_gradient


@plant("recurrent_power_spectrum")
def powers_from_0(R: Array, powers: int) -> Result:
    """The first power is the identity, and the last asked for is missing."""
    return _spectrum([np.linalg.matrix_power(R, k) for k in range(powers)]), _no_gradient


@plant("recurrent_power_spectrum")
def eigenvalues_for_singular_values(R: Array, powers: int) -> Result:
    """The magnitudes of the eigenvalues are given in place of the singular values."""
    kth = [np.linalg.matrix_power(R, k + 1) for k in range(powers)]
    entries, _ = _spectrum(kth)
    magnitudes = np.stack([np.sort(np.abs(np.linalg.eigvals(power)))[::-1] for power in kth])
    return (entries, magnitudes.astype(R.dtype)), _no_gradient


# state_jacobian


@plant("state_jacobian")
def jacobian_transposed(since: int, **call: Any) -> Result:
    """Rows stand for the state before, columns for the state after."""
    jacobian, norm = state_jacobian(since=since, **call)
    return (np.ascontiguousarray(jacobian.swapaxes(2, 3)), norm), _no_gradient


@plant("state_jacobian")
def product_in_the_wrong_order(since: int, **call: Any) -> Result:
    """The Jacobian of each step is multiplied from the right, as if it came before those of the earlier steps."""
    right, _ = state_jacobian(since=since, **call)
    valid = valid_steps(call["x"].shape, call)
    place = np.cumsum(valid, axis=1) - 1
    product = np.zeros_like(right)
    for t in range(right.shape[1]):
        of_step, _ = state_jacobian(since=t, **call)
        for b, at in np.argwhere(valid & (place == t) & (place >= since)):
            before = np.flatnonzero(valid[b, :at])[-1:]
            so_far = product[b, before[0]] if t > since else np.eye(right.shape[2], dtype=right.dtype)
            product[b, at] = so_far @ of_step[b, at]
    return (product, _spectral_norm(product)), _no_gradient


@plant("state_jacobian")
def frobenius_norm(since: int, **call: Any) -> Result:
    """The norm is the root of the sum of all squares, not the greatest singular value."""
    jacobian, _ = state_jacobian(since=since, **call)
    return (jacobian, np.sqrt((jacobian**2).sum(axis=(2, 3)))), _no_gradient


@plant("state_jacobian")
def since_counted_from_1(since: int, **call: Any) -> Result:
    """The product begins one step late."""
    return state_jacobian(since=since + 1, **call), _no_gradient


@plant("state_jacobian")
def memory_before_state(since: int, **call: Any) -> Result:
    """The whole state is [c; h], where there is a memory."""
    jacobian, norm = state_jacobian(since=since, **call)
    if states_of(operation("state_jacobian"), call).get("c", True):  # there is no memory, or there are several
        return (jacobian, norm), _no_gradient
    order = np.roll(np.arange(jacobian.shape[2]), call["R"].shape[1])
    return (jacobian[:, :, order][..., order], norm), _no_gradient


def _spectral_norm(matrices: Array) -> Array:
    finite = np.asarray(np.isfinite(matrices).all(axis=(2, 3), keepdims=True))
    values = np.linalg.svd(np.where(finite, matrices, 0), compute_uv=False)
    return np.where(finite[:, :, 0, 0], values[:, :, 0], np.inf).astype(matrices.dtype)
