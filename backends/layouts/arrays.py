"""The few array functions that laying out parameters takes, and NumPy's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Array = Any
"""An array of the namespace's own."""


class Shaping(Protocol):
    """Part of `rnnspec.backends.composed.arrays.Arrays`, which a framework gives: there is what the functions do."""

    def zeros(self, shape: Sequence[int], dtype: Any) -> Array: ...
    def shape(self, array: Array) -> tuple[int, ...]: ...
    def reshape(self, array: Array, shape: Sequence[int]) -> Array: ...
    def permute_dims(self, array: Array, axes: Sequence[int]) -> Array: ...
    def concat(self, arrays: Sequence[Array], axis: int = 0) -> Array: ...
    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array: ...


class NumpyShaping:
    """NumPy's, so that weights can be converted where no framework is installed."""

    def zeros(self, shape: Sequence[int], dtype: Any) -> Array:
        return np.zeros(tuple(shape), dtype)

    def shape(self, array: Array) -> tuple[int, ...]:
        return tuple(array.shape)

    def reshape(self, array: Array, shape: Sequence[int]) -> Array:
        return array.reshape(tuple(shape))

    def permute_dims(self, array: Array, axes: Sequence[int]) -> Array:
        return array.transpose(tuple(axes))

    def concat(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        return np.concatenate(list(arrays), axis)

    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        return np.stack(list(arrays), axis)
