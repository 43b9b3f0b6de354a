"""The namespace of array functions of the composed operations, in JAX.

Eager or traced, the functions are the same; only a recurrence and a branch differ. Eager, its steps are a Python loop,
of whose small functions each is compiled once for its shapes; traced, they are a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp
from jax import lax

from rnnspec.backends.composed.arrays import Many, Step, Tensor

_HALF: Final = (jnp.float16, jnp.bfloat16)


class JaxArrays:
    """Functions on JAX's arrays, an `rnnspec.backends.composed.arrays.ArrayNamespace`.

    With `traced`, all runs under `jax.jit`; without, one function after another.
    """

    float32 = jnp.dtype("float32")
    float64 = jnp.dtype("float64")
    int64 = jnp.dtype("int64")
    boolean = jnp.dtype("bool")

    def __init__(self, *, traced: bool = False) -> None:
        self.traced = traced

    # Making

    def zeros(self, shape: Sequence[int], dtype: Any) -> Tensor:
        return jnp.zeros(tuple(shape), dtype)

    def full(self, shape: Sequence[int], value: float, dtype: Any) -> Tensor:
        return jnp.full(tuple(shape), value, dtype)

    def arange(self, stop: int) -> Tensor:
        return jnp.arange(stop, dtype=jnp.int64)

    def astype(self, array: Tensor, dtype: Any) -> Tensor:
        return array.astype(dtype)

    def widened(self, array: Tensor) -> Tensor:
        return array.astype(jnp.float32) if array.dtype in _HALF else array

    def one_hot(self, ids: Tensor, size: int, dtype: Any) -> Tensor:
        return jax.nn.one_hot(ids, size, dtype=dtype)

    # Shape

    def shape(self, array: Tensor) -> tuple[int, ...]:
        return tuple(array.shape)

    def reshape(self, array: Tensor, shape: Sequence[int]) -> Tensor:
        return jnp.reshape(array, tuple(shape))

    def permute_dims(self, array: Tensor, axes: Sequence[int]) -> Tensor:
        return jnp.transpose(array, tuple(axes))

    def broadcast_to(self, array: Tensor, shape: Sequence[int]) -> Tensor:
        return jnp.broadcast_to(array, tuple(shape))

    def concat(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        return jnp.concatenate(tuple(arrays), axis)

    def stack(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        return jnp.stack(tuple(arrays), axis)

    def unstack(self, array: Tensor, axis: int = 0) -> Sequence[Tensor]:
        return tuple(jnp.unstack(array, axis=axis))

    def split(self, array: Tensor, sizes: Sequence[int], axis: int = -1) -> Sequence[Tensor]:
        return tuple(lax.split(array, tuple(sizes), axis % array.ndim))

    def flip(self, array: Tensor, axis: int) -> Tensor:
        return jnp.flip(array, axis)

    # Elementwise

    exp = staticmethod(jnp.exp)
    log = staticmethod(jnp.log)
    sqrt = staticmethod(jnp.sqrt)
    tanh = staticmethod(jnp.tanh)
    logistic = staticmethod(jax.nn.sigmoid)
    relu = staticmethod(jax.nn.relu)
    log_logistic = staticmethod(jax.nn.log_sigmoid)
    maximum = staticmethod(jnp.maximum)
    minimum = staticmethod(jnp.minimum)
    isfinite = staticmethod(jnp.isfinite)
    logical_not = staticmethod(jnp.logical_not)
    logical_and = staticmethod(jnp.logical_and)
    logical_or = staticmethod(jnp.logical_or)

    def abs(self, array: Tensor) -> Tensor:
        return array * lax.stop_gradient(jnp.sign(array))  # the slope of jnp.abs at 0 is 1

    def where(self, condition: Tensor, yes: Tensor | float, no: Tensor | float) -> Tensor:
        return jnp.where(condition, yes, no)

    def lerp(self, a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
        return a + weight * (b - a)

    # Along axes

    def sum(self, array: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        axes = axis if axis is None or isinstance(axis, int) else tuple(axis)
        return jnp.sum(array, axes, keepdims=keepdims)

    def max(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return jnp.max(array, axis, keepdims=keepdims)

    def any(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return jnp.any(array, axis, keepdims=keepdims)

    def all(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return jnp.all(array, axis, keepdims=keepdims)

    def argmax(self, array: Tensor, axis: int) -> Tensor:
        return jnp.argmax(array, axis).astype(jnp.int64)

    def cumulative_sum(self, array: Tensor, axis: int) -> Tensor:
        return jnp.cumsum(array, axis)

    def sort(self, array: Tensor, axis: int = -1) -> Tensor:
        return jnp.sort(array, axis)

    def top_k(self, array: Tensor, k: int) -> tuple[Tensor, Tensor]:
        values, places = lax.top_k(array, k)
        return values, places.astype(jnp.int64)

    def softmax(self, array: Tensor, axis: int = -1) -> Tensor:
        return jax.nn.softmax(array, axis)

    def log_softmax(self, array: Tensor, axis: int = -1) -> Tensor:
        return jax.nn.log_softmax(array, axis)

    def log_sum_exp(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return jax.nn.logsumexp(array, axis, keepdims=keepdims)

    def layer_norm(self, array: Tensor, epsilon: float) -> Tensor:
        # jax.nn.standardize has the variance from E[a²] - E[a]², which cancels where numbers are nearly equal.
        wide = self.widened(array)
        apart = wide - jnp.mean(wide, -1, keepdims=True)
        variance = jnp.mean(apart * apart, -1, keepdims=True)
        return (apart * lax.rsqrt(variance + epsilon)).astype(array.dtype)

    # Places

    def take(self, array: Tensor, ids: Tensor, axis: int = 0) -> Tensor:
        return jnp.take(array, ids, axis, mode="clip")

    def take_along_axis(self, array: Tensor, ids: Tensor, axis: int) -> Tensor:
        return jnp.take_along_axis(array, ids, axis, mode="clip")

    # Linear algebra

    matmul = staticmethod(jnp.matmul)
    einsum = staticmethod(jnp.einsum)

    def add_matmul(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return a + jnp.matmul(b, c)

    def singular_values(self, array: Tensor) -> Tensor:
        if array.dtype in _HALF:  # LAPACK has no 16-bit types
            return self.singular_values(array.astype(jnp.float32)).astype(array.dtype)
        finite = jnp.isfinite(array).all((-2, -1))[..., None]
        values = jnp.linalg.svd(jnp.where(finite[..., None], array, 0), compute_uv=False)
        return jnp.where(finite, values, jnp.nan)

    # Differentiation and recurrence

    def stop_gradient(self, array: Tensor) -> Tensor:
        return lax.stop_gradient(array)

    def batch_jacobian(self, function: Callable[[Tensor], Tensor], argument: Tensor) -> Tensor:
        return jax.vmap(jax.jacrev(lambda row: function(row[None])[0]))(argument)

    def branch(self, condition: Tensor, yes: Callable[[], Many], no: Callable[[], Many]) -> Many:
        if not self.traced:
            return yes() if condition else no()
        return tuple(lax.cond(condition, lambda: tuple(yes()), lambda: tuple(no())))

    def scan(self, step: Step, carry: Many, entering: Many, length: int) -> tuple[Many, Many]:
        if self.traced:
            carry, left = lax.scan(lambda before, now: step(before, now or ()), tuple(carry), tuple(entering), length)
            return tuple(carry), tuple(left)
        columns = [jnp.unstack(array) for array in entering]
        leaving: list[Many] = []
        for t in range(length):
            carry, out = step(carry, tuple(column[t] for column in columns))
            leaving.append(out)
        return tuple(carry), tuple(jnp.stack(column) for column in zip(*leaving, strict=True))
