"""The namespace of array functions that the composed operations are written in.

The names are those of the Python array API standard where it has them. A framework becomes a backend by implementing
this protocol on its own arrays, which must also have the arithmetic operators, comparisons, ``@``, ``.shape``,
``.dtype`` and indexing by whole numbers, slices, None and Ellipsis. Every function is differentiable by the framework
where its mathematics is. Shapes are known when a function is traced; values are not, so nothing here may ask for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Array = Any
"""An array of the framework's own."""

Many = tuple[Array, ...]
Step = Callable[[Many, Many], tuple[Many, Many]]
"""One step of a recurrence: from (carry, what enters) to (carry, what leaves)."""


class Arrays(Protocol):
    """The functions of a framework. `dtype` is always one of the framework's own types, as ``array.dtype`` has it."""

    float32: Any
    float64: Any
    int64: Any
    boolean: Any

    # Making

    def zeros(self, shape: Sequence[int], dtype: Any) -> Array:
        """Zeros, on the backend's device."""

    def full(self, shape: Sequence[int], value: float, dtype: Any) -> Array:
        """One number everywhere."""

    def arange(self, stop: int) -> Array:
        """0, 1, …, stop - 1 in int64."""

    def astype(self, array: Array, dtype: Any) -> Array:
        """Another type; the same array if it has it already."""

    def widened(self, array: Array) -> Array:
        """In float32 what has a floating-point type of 16 bits; everything else as it is."""

    def one_hot(self, ids: Array, size: int, dtype: Any) -> Array:
        """1 at the id and 0 elsewhere, on a new last axis of `size`."""

    # Shape

    def shape(self, array: Array) -> tuple[int, ...]:
        """The shape as whole numbers."""

    def reshape(self, array: Array, shape: Sequence[int]) -> Array:
        """Another shape."""

    def permute_dims(self, array: Array, axes: Sequence[int]) -> Array:
        """Axes in another order."""

    def broadcast_to(self, array: Array, shape: Sequence[int]) -> Array:
        """Repeated along axes of length 1, and along new ones in front."""

    def concat(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        """One after another along an axis."""

    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        """Side by side along a new axis."""

    def unstack(self, array: Array, axis: int = 0) -> Sequence[Array]:
        """The entries along an axis."""

    def split(self, array: Array, sizes: Sequence[int], axis: int = -1) -> Sequence[Array]:
        """Taken apart along an axis into blocks of these sizes, which add up to the axis's."""

    def flip(self, array: Array, axis: int) -> Array:
        """The other way round along an axis."""

    # Elementwise

    def exp(self, array: Array) -> Array: ...
    def log(self, array: Array) -> Array: ...
    def sqrt(self, array: Array) -> Array: ...
    def abs(self, array: Array) -> Array: ...
    def tanh(self, array: Array) -> Array: ...
    def logistic(self, array: Array) -> Array: ...
    def relu(self, array: Array) -> Array: ...
    def log_logistic(self, array: Array) -> Array:
        """log(logistic(a)), without overflow."""

    def maximum(self, a: Array, b: Array | float) -> Array: ...
    def minimum(self, a: Array, b: Array | float) -> Array: ...
    def where(self, condition: Array, yes: Array | float, no: Array | float) -> Array:
        """Entries of `yes` where the condition holds, of `no` elsewhere; one of them at least is an array.

        As everywhere, NaN or infinity in the branch not taken spoils the gradient of that branch: make it finite first.
        """

    def lerp(self, a: Array, b: Array, weight: Array) -> Array:
        """(1 - weight) a + weight b."""

    def isfinite(self, array: Array) -> Array: ...
    def logical_not(self, array: Array) -> Array: ...
    def logical_and(self, a: Array, b: Array) -> Array: ...
    def logical_or(self, a: Array, b: Array) -> Array: ...

    # Along axes

    def sum(self, array: Array, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Array: ...
    def max(self, array: Array, axis: int, keepdims: bool = False) -> Array: ...
    def any(self, array: Array, axis: int, keepdims: bool = False) -> Array: ...
    def all(self, array: Array, axis: int, keepdims: bool = False) -> Array: ...
    def argmax(self, array: Array, axis: int) -> Array:
        """Place of the greatest in int64; the lowest where several are."""

    def cumulative_sum(self, array: Array, axis: int) -> Array: ...
    def sort(self, array: Array, axis: int = -1) -> Array:
        """In ascending order."""

    def top_k(self, array: Array, k: int) -> tuple[Array, Array]:
        """The k greatest along the last axis in descending order, and their places in int64; ties to the lowest."""

    def softmax(self, array: Array, axis: int = -1) -> Array: ...
    def log_softmax(self, array: Array, axis: int = -1) -> Array: ...
    def log_sum_exp(self, array: Array, axis: int, keepdims: bool = False) -> Array: ...

    def layer_norm(self, array: Array, epsilon: float) -> Array:
        """(a - mean) / √(variance + ε) along the last axis, computed in float32 at least."""

    # Places

    def take(self, array: Array, ids: Array, axis: int = 0) -> Array:
        """Entries along an axis at ids of any shape, whose axes take the place of that one."""

    def take_along_axis(self, array: Array, ids: Array, axis: int) -> Array:
        """Entries at ids of the array's own rank, as NumPy's."""

    # Linear algebra

    def matmul(self, a: Array, b: Array) -> Array:
        """Matrix product; leading axes broadcast."""

    def add_matmul(self, a: Array, b: Array, c: Array) -> Array:
        """The sum a + b @ c for two matrices b and c; a is broadcast."""

    def einsum(self, subscripts: str, *arrays: Array) -> Array:
        """Einstein's sum."""

    def singular_values(self, array: Array) -> Array:
        """Of the last two axes, in descending order."""

    # Differentiation and recurrence

    def stop_gradient(self, array: Array) -> Array:
        """The same numbers, as a constant."""

    def batch_jacobian(self, function: Callable[[Array], Array], argument: Array) -> Array:
        """Jacobian of a function that maps rows to rows one by one, (B, P) to (B, Q): (B, Q, P)."""

    def branch(self, condition: Array, yes: Callable[[], Many], no: Callable[[], Many]) -> Many:
        """Result of one of two functions, by a condition of shape (); both give arrays of the same shapes and types.

        Only the one that is chosen runs. To be used sparingly: a framework that runs what it is given step by step has
        to wait for the condition.
        """

    def scan(self, step: Step, carry: Many, entering: Many, length: int) -> tuple[Many, Many]:
        """Run a recurrence.

        Parameters
        ----------
        step
            From the carry before and what enters at a step (the entries along axis 0) to the carry after and what
            leaves. Called in order; a framework that traces may call it once.
        carry
            The first carry. Shapes and types stay the same from step to step.
        entering
            Arrays whose axis 0 is the steps; may be empty.
        length
            The number of steps, at least 1.

        Returns
        -------
        tuple
            The last carry, and what left, stacked along axis 0.
        """
