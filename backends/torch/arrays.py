"""The namespace of array functions of the composed operations, in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from rnnspec.backends.composed.arrays import Many, Step

Outputs = tuple[Tensor, ...]

_HALF: Final = (torch.float16, torch.bfloat16)


class TorchArrays:
    """Functions on tensors of one device; see `rnnspec.backends.composed.arrays.ArrayNamespace`."""

    float32 = torch.float32
    float64 = torch.float64
    int64 = torch.int64
    boolean = torch.bool

    def __init__(self, device: str) -> None:
        self.device = device

    # Making

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.zeros(tuple(shape), dtype=dtype, device=self.device)

    def full(self, shape: Sequence[int], value: float, dtype: torch.dtype) -> Tensor:
        return torch.full(tuple(shape), value, dtype=dtype, device=self.device)

    def arange(self, stop: int) -> Tensor:
        return torch.arange(stop, device=self.device)

    def astype(self, array: Tensor, dtype: torch.dtype) -> Tensor:
        return array.to(dtype)

    def widened(self, array: Tensor) -> Tensor:
        return array.float() if array.dtype in _HALF else array

    def one_hot(self, ids: Tensor, size: int, dtype: torch.dtype) -> Tensor:
        return (ids[..., None] == torch.arange(size, device=ids.device)).to(dtype)

    # Shape

    def shape(self, array: Tensor) -> tuple[int, ...]:
        return tuple(array.shape)

    def reshape(self, array: Tensor, shape: Sequence[int]) -> Tensor:
        return array.reshape(tuple(shape))

    def permute_dims(self, array: Tensor, axes: Sequence[int]) -> Tensor:
        return array.permute(tuple(axes))

    def broadcast_to(self, array: Tensor, shape: Sequence[int]) -> Tensor:
        return array.expand(tuple(shape))

    def concat(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        return torch.cat(tuple(arrays), axis)

    def stack(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        return torch.stack(tuple(arrays), axis)

    def unstack(self, array: Tensor, axis: int = 0) -> Sequence[Tensor]:
        return array.unbind(axis)

    def split(self, array: Tensor, sizes: Sequence[int], axis: int = -1) -> Sequence[Tensor]:
        return array.split_with_sizes(tuple(sizes), axis)

    def flip(self, array: Tensor, axis: int) -> Tensor:
        return array.flip(axis)

    # Elementwise

    exp = staticmethod(torch.exp)
    log = staticmethod(torch.log)
    sqrt = staticmethod(torch.sqrt)
    abs = staticmethod(torch.abs)
    tanh = staticmethod(torch.tanh)
    logistic = staticmethod(torch.sigmoid)
    relu = staticmethod(torch.relu)
    log_logistic = staticmethod(functional.logsigmoid)
    isfinite = staticmethod(torch.isfinite)
    logical_not = staticmethod(torch.logical_not)
    logical_and = staticmethod(torch.logical_and)
    logical_or = staticmethod(torch.logical_or)

    def where(self, condition: Tensor, yes: Tensor | float, no: Tensor | float) -> Tensor:
        return torch.where(condition, yes, no)

    def maximum(self, a: Tensor, b: Tensor | float) -> Tensor:
        return torch.maximum(a, b) if isinstance(b, Tensor) else a.clamp(min=b)

    def minimum(self, a: Tensor, b: Tensor | float) -> Tensor:
        return torch.minimum(a, b) if isinstance(b, Tensor) else a.clamp(max=b)

    def lerp(self, a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
        return torch.lerp(a, b, weight)

    # Along axes

    def sum(self, array: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        axes = tuple(range(array.dim())) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        return torch.sum(array, axes, keepdim=keepdims) if axes != () else array

    def max(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return array.amax(axis, keepdim=keepdims)

    def any(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return array.any(axis, keepdim=keepdims)

    def all(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return array.all(axis, keepdim=keepdims)

    def argmax(self, array: Tensor, axis: int) -> Tensor:
        return array.argmax(axis)

    def cumulative_sum(self, array: Tensor, axis: int) -> Tensor:
        return array.cumsum(axis)

    def sort(self, array: Tensor, axis: int = -1) -> Tensor:
        return torch.sort(array, dim=axis).values

    def top_k(self, array: Tensor, k: int) -> tuple[Tensor, Tensor]:
        # torch.topk leaves open which of equals comes first. A stable sort does not, and neither does argmax, which
        # is much the faster for a few.
        if k > array.shape[-1].bit_length() or not array.is_floating_point():
            values, places = torch.sort(array, dim=-1, descending=True, stable=True)
            return values[..., :k], places[..., :k]
        # An entry that is taken becomes -inf, and one that was -inf is kept above it.
        left = array.detach().clamp(min=torch.finfo(array.dtype).min)
        taken: list[Tensor] = []
        for _ in range(k):
            taken.append(left.argmax(-1, keepdim=True))
            left.scatter_(-1, taken[-1], -torch.inf)
        places = torch.cat(taken, -1)
        return array.gather(-1, places), places

    def softmax(self, array: Tensor, axis: int = -1) -> Tensor:
        return torch.softmax(array, axis)

    def log_softmax(self, array: Tensor, axis: int = -1) -> Tensor:
        return torch.log_softmax(array, axis)

    def log_sum_exp(self, array: Tensor, axis: int, keepdims: bool = False) -> Tensor:
        return torch.logsumexp(array, axis, keepdim=keepdims)

    def layer_norm(self, array: Tensor, epsilon: float) -> Tensor:
        # The backward pass of functional.layer_norm multiplies by the numbers, not by how far they are from their mean,
        # and so loses the digits of numbers that are nearly equal. In 16 bits even equal ones differ from their mean.
        wide = self.widened(array)
        apart = wide - wide.mean(-1, keepdim=True)
        variance = (apart * apart).mean(-1, keepdim=True)
        return (apart * torch.rsqrt(variance + epsilon)).to(array.dtype)

    # Places

    def take(self, array: Tensor, ids: Tensor, axis: int = 0) -> Tensor:
        axis %= array.dim()
        taken = array.index_select(axis, ids.reshape(-1))
        return taken.reshape(*array.shape[:axis], *ids.shape, *array.shape[axis + 1 :])

    def take_along_axis(self, array: Tensor, ids: Tensor, axis: int) -> Tensor:
        return torch.take_along_dim(array, ids, axis)

    # Linear algebra

    matmul = staticmethod(torch.matmul)

    def add_matmul(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return torch.addmm(a, b, c)

    einsum = staticmethod(torch.einsum)

    def singular_values(self, array: Tensor) -> Tensor:
        if array.dtype in _HALF:  # LAPACK has no 16-bit types
            return self.singular_values(array.float()).to(array.dtype)
        # LAPACK ends in an error where a number is not finite.
        finite = array.isfinite().all(-1).all(-1)[..., None]
        values: Tensor = torch.linalg.svdvals(array.where(finite[..., None], 0))
        return values.where(finite, torch.nan)

    # Differentiation and recurrence

    def stop_gradient(self, array: Tensor) -> Tensor:
        return array.detach()

    def batch_jacobian(self, function: Callable[[Tensor], Tensor], argument: Tensor) -> Tensor:
        def row(one: Tensor) -> Tensor:
            return function(one[None])[0]

        jacobian: Tensor = torch.func.vmap(torch.func.jacrev(row))(argument)
        return jacobian

    def branch(self, condition: Tensor, yes: Callable[[], Many], no: Callable[[], Many]) -> Many:
        # torch.compile breaks the graph here and compiles the branches apart. Its own torch.cond has no gradient where
        # the branches' gradients differ in their strides.
        return yes() if condition else no()

    def scan(self, step: Step, carry: Many, entering: Many, length: int) -> tuple[Many, Many]:
        columns = [array.unbind(0) for array in entering]
        left: list[Many] = []
        for t in range(length):
            carry, leaving = step(carry, tuple(column[t] for column in columns))
            left.append(leaving)
        return carry, tuple(torch.stack(column) for column in zip(*left, strict=True))
