"""The namespace of array functions of the composed operations, in TensorFlow.

Eager or inside a graph, the functions are the same; only a recurrence differs: eager, its steps are a Python loop, and
in a graph, a while loop that is traced once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from typing import Any, Final

import numpy as np

from rnnspec.backends.composed.arrays import Many, Step
from rnnspec.backends.tensorflow.framework import Tensor, tf

_HALF: Final = (tf.float16, tf.bfloat16)


class TensorFlowArrays:
    """Functions on tensors, an `rnnspec.backends.composed.arrays.ArrayNamespace`; new tensors go on the current device.

    With `both_branches`, `branch` runs both and selects: XLA cannot differentiate a while loop inside a branch.
    """

    float32 = tf.float32
    float64 = tf.float64
    int64 = tf.int64
    boolean = tf.bool

    def __init__(self, *, both_branches: bool = False) -> None:
        self.both_branches = both_branches

    # Making

    def zeros(self, shape: Sequence[int], dtype: Any) -> Tensor:
        return tf.zeros(tuple(shape), dtype)

    def full(self, shape: Sequence[int], value: float, dtype: Any) -> Tensor:
        return tf.fill(tuple(shape), tf.constant(value, dtype))

    def arange(self, stop: int) -> Tensor:
        return tf.range(stop, dtype=tf.int64)

    def astype(self, array: Tensor, dtype: Any) -> Tensor:
        return tf.cast(array, dtype)

    def widened(self, array: Tensor) -> Tensor:
        return tf.cast(array, tf.float32) if array.dtype in _HALF else array

    def one_hot(self, ids: Tensor, size: int, dtype: Any) -> Tensor:
        return tf.one_hot(ids, size, dtype=dtype)

    # Shape

    def shape(self, array: Tensor) -> tuple[int, ...]:
        return tuple(array.shape)

    def reshape(self, array: Tensor, shape: Sequence[int]) -> Tensor:
        return tf.reshape(array, _integers(*shape))

    def permute_dims(self, array: Tensor, axes: Sequence[int]) -> Tensor:
        return tf.transpose(array, _integers(*axes))

    def broadcast_to(self, array: Tensor, shape: Sequence[int]) -> Tensor:
        return tf.broadcast_to(array, _integers(*shape))

    def concat(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        return tf.concat(list(arrays), axis)

    def stack(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        return tf.stack(list(arrays), axis)

    def unstack(self, array: Tensor, axis: int = 0) -> Sequence[Tensor]:
        return tuple(tf.unstack(array, axis=axis))

    def split(self, array: Tensor, sizes: Sequence[int], axis: int = -1) -> Sequence[Tensor]:
        alike = len(set(sizes)) == 1
        return tuple(tf.split(array, len(sizes) if alike else list(sizes), axis))  # a number takes half the time

    def flip(self, array: Tensor, axis: int) -> Tensor:
        return tf.reverse(array, [axis])

    # Elementwise

    exp = staticmethod(tf.exp)
    log = staticmethod(tf.math.log)
    sqrt = staticmethod(tf.sqrt)
    abs = staticmethod(tf.abs)
    tanh = staticmethod(tf.tanh)
    logistic = staticmethod(tf.sigmoid)
    relu = staticmethod(tf.nn.relu)
    log_logistic = staticmethod(tf.math.log_sigmoid)
    maximum = staticmethod(tf.maximum)
    minimum = staticmethod(tf.minimum)
    isfinite = staticmethod(tf.math.is_finite)
    logical_not = staticmethod(tf.logical_not)
    logical_and = staticmethod(tf.logical_and)
    logical_or = staticmethod(tf.logical_or)

    def where(self, condition: Tensor, yes: Tensor | float, no: Tensor | float) -> Tensor:
        # In a graph, a number that stands before a tensor would become a float32.
        tensor: Tensor = yes if tf.is_tensor(yes) else no
        dtype = tensor.dtype
        return tf.where(condition, tf.convert_to_tensor(yes, dtype), tf.convert_to_tensor(no, dtype))

    def lerp(self, a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
        return a + weight * (b - a)

    # Along axes

    def sum(self, array: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        return tf.reduce_sum(array, axis, keepdims)

    def max(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return tf.reduce_max(array, axis, keepdims)

    def any(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return tf.reduce_any(array, axis, keepdims)

    def all(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return tf.reduce_all(array, axis, keepdims)

    def argmax(self, array: Tensor, axis: int) -> Tensor:
        # tf.argmax leaves open which of equals it finds; tf.math.top_k does not.
        _, places = self.top_k(_moved(array, axis, -1), 1)
        return places[..., 0]

    def cumulative_sum(self, array: Tensor, axis: int) -> Tensor:
        return tf.cumsum(array, axis)

    def sort(self, array: Tensor, axis: int = -1) -> Tensor:
        return tf.sort(array, axis)

    def top_k(self, array: Tensor, k: int) -> tuple[Tensor, Tensor]:
        # Places in int64 at once have no gradient, and in bfloat16 XLA does not compile them.
        values, places = tf.math.top_k(array, k)
        return values, tf.cast(places, tf.int64)

    def softmax(self, array: Tensor, axis: int = -1) -> Tensor:
        return tf.nn.softmax(array, axis)

    def log_softmax(self, array: Tensor, axis: int = -1) -> Tensor:
        return tf.nn.log_softmax(array, axis)

    def log_sum_exp(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return tf.reduce_logsumexp(array, axis, keepdims)

    def layer_norm(self, array: Tensor, epsilon: float) -> Tensor:
        wide = self.widened(array)
        deviation = wide - tf.reduce_mean(wide, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(deviation), -1, keepdims=True)
        return tf.cast(deviation * tf.math.rsqrt(variance + epsilon), array.dtype)

    # Places

    def take(self, array: Tensor, ids: Tensor, axis: int = 0) -> Tensor:
        return tf.gather(array, ids, axis=axis)

    def take_along_axis(self, array: Tensor, ids: Tensor, axis: int) -> Tensor:
        rows, columns = _moved(array, axis, -1), _moved(ids, axis, -1)
        batch, size = np.broadcast_shapes(tuple(rows.shape[:-1]), tuple(columns.shape[:-1])), rows.shape[-1]
        if rows.shape[:-1] != batch:
            rows = self.broadcast_to(rows, (*batch, size))
        # Out of one long row: XLA does not compile the second derivative of tf.gather with batch_dims in a while loop.
        starts = size * np.arange(prod(batch)).reshape(*batch, 1)
        return _moved(tf.gather(tf.reshape(rows, (-1,)), columns + tf.constant(starts, columns.dtype)), -1, axis)

    # Linear algebra

    matmul = staticmethod(tf.matmul)

    def add_matmul(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return a + tf.matmul(b, c)

    einsum = staticmethod(tf.einsum)

    def singular_values(self, array: Tensor) -> Tensor:
        # There is no kernel for the 16-bit types. That of float32 takes singular values that lie close together for
        # each other: of a matrix (18, 18) with 4.63781, 4.63648, 4.63648 it says 4.63858, 4.63781, 4.63648.
        return tf.cast(tf.linalg.svd(tf.cast(array, tf.float64), compute_uv=False), array.dtype)

    # Differentiation and recurrence

    def stop_gradient(self, array: Tensor) -> Tensor:
        return tf.stop_gradient(array)

    def batch_jacobian(self, function: Callable[[Tensor], Tensor], argument: Tensor) -> Tensor:
        """Each row is given as often as the function has outputs, and each copy differentiates one of those."""
        rows, parameters = argument.shape
        outputs = function(tf.zeros((1, parameters), argument.dtype)).shape[1]
        copies = tf.repeat(argument, outputs, axis=0)
        with tf.GradientTape() as tape:
            tape.watch(copies)
            values = function(copies)
        each = tf.tile(tf.eye(outputs, dtype=argument.dtype), (rows, 1))
        unconnected = tf.UnconnectedGradients.ZERO
        jacobian = tape.gradient(values, copies, output_gradients=each, unconnected_gradients=unconnected)
        return tf.reshape(jacobian, (rows, outputs, parameters))

    def branch(self, condition: Tensor, yes: Callable[[], Many], no: Callable[[], Many]) -> Many:
        if self.both_branches:
            return tuple(tf.where(condition, first, second) for first, second in zip(yes(), no(), strict=True))
        return tuple(tf.cond(condition, lambda: tuple(yes()), lambda: tuple(no())))

    def scan(self, step: Step, carry: Many, entering: Many, length: int) -> tuple[Many, Many]:
        run = _while_loop if tf.inside_function() else _python_loop
        return run(step, tuple(carry), tuple(entering), length)


@cache
def _integers(*numbers: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """A shape or axes: TensorFlow takes an array several times as fast as a tuple."""
    array = np.array(numbers, np.int32)
    array.flags.writeable = False
    return array


def _moved(array: Tensor, source: int, target: int) -> Tensor:
    """The array with one axis moved to another place."""
    rank = len(array.shape)
    axes = [axis for axis in range(rank) if axis != source % rank]
    axes.insert(target % rank, source % rank)
    return array if axes == list(range(rank)) else tf.transpose(array, _integers(*axes))


def _python_loop(step: Step, carry: Many, entering: Many, length: int) -> tuple[Many, Many]:
    columns = [tf.unstack(array, length) for array in entering]
    left: list[Many] = []
    for t in range(length):
        carry, leaving = step(carry, tuple(column[t] for column in columns))
        left.append(leaving)
    return tuple(carry), tuple(tf.stack(column) for column in zip(*left, strict=True))


def _while_loop(step: Step, carry: Many, entering: Many, length: int) -> tuple[Many, Many]:
    """The first step stands before the loop: from it are known the types and shapes of what leaves."""
    carry, first = step(carry, tuple(array[0] for array in entering))
    if length == 1:
        return tuple(carry), tuple(left[None] for left in first)
    sources = [_filled(array, length) for array in entering]
    sinks = [
        tf.TensorArray(left.dtype, length, element_shape=left.shape, clear_after_read=False).write(0, left)
        for left in first
    ]

    def body(t: Tensor, carry: Many, sinks: list[Tensor]) -> tuple[Tensor, Many, list[Tensor]]:
        carry, leaving = step(carry, tuple(source.read(t) for source in sources))
        return t + 1, tuple(carry), [sink.write(t, left) for sink, left in zip(sinks, leaving, strict=True)]

    _, carry, sinks = tf.while_loop(
        lambda t, carry, sinks: t < length, body, (1, tuple(carry), sinks), maximum_iterations=length - 1
    )
    return tuple(carry), tuple(_stacked(sink, left, length) for sink, left in zip(sinks, first, strict=True))


def _filled(array: Tensor, length: int) -> Tensor:
    return tf.TensorArray(array.dtype, length, element_shape=array.shape[1:], clear_after_read=False).unstack(array)


def _stacked(sink: Tensor, first: Tensor, length: int) -> Tensor:
    """The outputs of the steps, along axis 0; the shape, which a TensorArray forgets, is given again."""
    return tf.ensure_shape(sink.stack(), (length, *first.shape))
