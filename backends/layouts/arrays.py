"""The few array functions that laying out parameters takes, and NumPy's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Tensor = Any
"""An array of the namespace's own."""


class Shaping(Protocol):
    """Part of `rnnspec.backends.composed.arrays.ArrayNamespace`, which says what the functions do."""

    def zeros(self, shape: Sequence[int], dtype: Any) -> Tensor: ...
    def shape(self, array: Tensor) -> tuple[int, ...]: ...
    def reshape(self, array: Tensor, shape: Sequence[int]) -> Tensor: ...
    def permute_dims(self, array: Tensor, axes: Sequence[int]) -> Tensor: ...
    def concat(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor: ...
    def stack(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor: ...


class NumpyShaping:
    """NumPy's, so that weights can be converted where no framework is installed."""

    def zeros(self, shape: Sequence[int], dtype: Any) -> Tensor:
        return np.zeros(tuple(shape), dtype)

    def shape(self, array: Tensor) -> tuple[int, ...]:
        return tuple(array.shape)

    def reshape(self, array: Tensor, shape: Sequence[int]) -> Tensor:
        return array.reshape(tuple(shape))

    def permute_dims(self, array: Tensor, axes: Sequence[int]) -> Tensor:
        return array.transpose(tuple(axes))

    def concat(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        return np.concatenate(list(arrays), axis)

    def stack(self, arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
        return np.stack(list(arrays), axis)
