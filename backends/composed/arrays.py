"""The namespace of array functions that the composed operations are written in.

The names are those of the Python array API standard where it has them. A framework becomes a backend by implementing
this protocol on its own arrays, which must also have the arithmetic operators, comparisons, ``@``, ``.shape``,
``.dtype`` and indexing by whole numbers, slices, None and Ellipsis. Every function is differentiable by the framework
where its mathematics is. Shapes are known when a function is traced; values are not, so nothing here may ask for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Tensor = Any
"""An array of the framework's own."""

Many = tuple[Tensor, ...]
Step = Callable[[Many, Many], tuple[Many, Many]]
"""One step of a recurrence: from (carry, inputs of the step) to (carry, outputs of the step)."""


class ArrayNamespace(Protocol):
    """The functions of a framework. `dtype` is always one of the framework's own types, as ``array.dtype`` has it."""

    float32: Any
    float64: Any
    int64: Any
    boolean: Any

    # Making

    def zeros(self, shape: Sequence[int], dtype: Any) -> Tensor:
        """Zeros, on the backend's device."""

    def full(self, shape: Sequence[int], value: float, dtype: Any) -> Tensor:
        """One number everywhere."""

    def arange(self, stop: int) -> Tensor:
        """0, 1, …, stop - 1 in int64."""

    def astype(self, array: Tensor, dtype: Any) -> Tensor:
        """Another type; the same array if it has it already."""

    def widened(self, array: Tensor) -> Tensor:
        """In float32 what has a floating-point type of 16 bits; everything else as it is."""

    def one_hot(self, ids: Tensor, size: int, dtype: Any) -> Tensor:
        """1 at the id and 0 elsewhere, on a new last axis of `size`."""

    # Shape

    def shape(self, array: Tensor) -> tuple[int, ...]:
        """The shape as whole numbers."""

    def reshape(self, array: Tensor, shape: Sequence[int]) -> Tensor:
        """Another shape."""

    def permute_dims(self, array: Tensor, axes: Sequence[int]) -> Tensor:
        """Axes in another order."""

    def broadcast_to(self, array: Tensor, shape: Sequence[int]) -> Tensor:
        """Repeated along axes of length 1, and along new ones in front."""

    def concat(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        """One after another along an axis."""

    def stack(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        """Side by side along a new axis."""

    def unstack(self, array: Tensor, axis: int = 0) -> Sequence[Tensor]:
        """The entries along an axis."""

    def split(self, array: Tensor, sizes: Sequence[int], axis: int = -1) -> Sequence[Tensor]:
        """Taken apart along an axis into blocks of these sizes, which add up to the axis's."""

    def flip(self, array: Tensor, axis: int) -> Tensor:
        """The other way round along an axis."""

    # Elementwise

    def exp(self, array: Tensor) -> Tensor: ...
    def log(self, array: Tensor) -> Tensor: ...
    def sqrt(self, array: Tensor) -> Tensor: ...
    def abs(self, array: Tensor) -> Tensor: ...
    def tanh(self, array: Tensor) -> Tensor: ...
    def logistic(self, array: Tensor) -> Tensor: ...
    def relu(self, array: Tensor) -> Tensor: ...
    def log_logistic(self, array: Tensor) -> Tensor:
        """log(logistic(a)), without overflow."""

    def maximum(self, a: Tensor, b: Tensor | float) -> Tensor: ...
    def minimum(self, a: Tensor, b: Tensor | float) -> Tensor: ...
    def where(self, condition: Tensor, yes: Tensor | float, no: Tensor | float) -> Tensor:
        """Entries of `yes` where the condition holds, of `no` elsewhere; one of them at least is an array.

        As everywhere, NaN or infinity in the branch not taken spoils the gradient of that branch: make it finite first.
        """

    def lerp(self, a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
        """(1 - weight) a + weight b."""

    def isfinite(self, array: Tensor) -> Tensor: ...
    def logical_not(self, array: Tensor) -> Tensor: ...
    def logical_and(self, a: Tensor, b: Tensor) -> Tensor: ...
    def logical_or(self, a: Tensor, b: Tensor) -> Tensor: ...

    # Along axes

    def sum(self, array: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor: ...
    def max(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor: ...
    def any(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor: ...
    def all(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor: ...
    def argmax(self, array: Tensor, axis: int) -> Tensor:
        """Place of the greatest in int64; the lowest where several are."""

    def cumulative_sum(self, array: Tensor, axis: int) -> Tensor: ...
    def sort(self, array: Tensor, axis: int = -1) -> Tensor:
        """In ascending order."""

    def top_k(self, array: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k greatest along the last axis in descending order, and their places in int64; ties to the lowest."""

    def softmax(self, array: Tensor, axis: int = -1) -> Tensor: ...
    def log_softmax(self, array: Tensor, axis: int = -1) -> Tensor: ...
    def log_sum_exp(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor: ...

    def layer_norm(self, array: Tensor, epsilon: float) -> Tensor:
        """(a - mean) / √(variance + ε) along the last axis, computed in float32 at least."""

    # Places

    def take(self, array: Tensor, ids: Tensor, axis: int = 0) -> Tensor:
        """Entries along an axis at ids of any shape, whose axes take the place of that one."""

    def take_along_axis(self, array: Tensor, ids: Tensor, axis: int) -> Tensor:
        """Entries at ids of the array's own rank, as NumPy's."""

    # Linear algebra

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        """Matrix product; leading axes broadcast."""

    def add_matmul(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """The sum a + b @ c for two matrices b and c; a is broadcast."""

    def einsum(self, subscripts: str, *arrays: Tensor) -> Tensor:
        """Einstein's sum."""

    def singular_values(self, array: Tensor) -> Tensor:
        """The singular values of the last two axes, in descending order."""

    # Differentiation and recurrence

    def stop_gradient(self, array: Tensor) -> Tensor:
        """The same numbers, as a constant."""

    def batch_jacobian(self, function: Callable[[Tensor], Tensor], argument: Tensor) -> Tensor:
        """Jacobian of a function that maps rows to rows one by one, (B, P) to (B, Q): (B, Q, P)."""

    def branch(self, condition: Tensor, yes: Callable[[], Many], no: Callable[[], Many]) -> Many:
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
            The last carry, and the outputs of all steps, stacked along axis 0.
        """
