"""Packed batches: sequences without their invalid steps, time first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.spec.arrays import Array, Mask


class Packed:
    """Places of a batch's valid steps after packing, where each sequence begins at step 0.

    Packed arrays are ``(n, B, …)``. n is the largest number of valid steps; shorter sequences end in zeros.

    Attributes
    ----------
    present
        Whether each packed step exists, ``(n, B)``.
    lengths
        Number of valid steps of each sequence, ``(B,)``.
    """

    def __init__(self, valid: Mask) -> None:
        batch, self._steps = valid.shape
        self.lengths: NDArray[np.int64] = valid.sum(axis=1)
        longest = int(self.lengths.max(initial=0))
        order = np.argsort(~valid, axis=1, kind="stable")[:, :longest]
        self._places = (np.arange(batch), order.T)
        self.present: Mask = np.arange(longest)[:, np.newaxis] < self.lengths

    @property
    def first(self) -> Mask:
        """Whether each packed step begins a sequence, ``(n, B)``."""
        first: Mask = self.present & (np.arange(len(self.present)) == 0)[:, np.newaxis]
        return first

    @property
    def last(self) -> Mask:
        """Whether each packed step ends a sequence, ``(n, B)``."""
        last: Mask = np.arange(len(self.present))[:, np.newaxis] == self.lengths - 1
        return last

    def pack(self, array: Array) -> Array:
        """Return an array ``(B, T, …)`` as ``(n, B, …)``, in memory of its own."""
        return self._where_present(array[self._places])

    def unpack(self, array: Array) -> Array:
        """Return an array ``(n, B, …)`` as ``(B, T, …)``, with 0 at invalid steps."""
        spread = np.zeros_like(array, shape=(array.shape[1], self._steps, *array.shape[2:]))
        spread[self._places] = self._where_present(array)
        return spread

    def in_place(self, gradients: dict[str, Array]) -> dict[str, Array]:
        """Return gradients of an operation's inputs, with the emissions' unpacked."""
        return {**gradients, "emissions": self.unpack(gradients["emissions"])}

    def _where_present(self, array: Array) -> Array:
        present: NDArray[Any] = self.present.reshape(*self.present.shape, *(1,) * (array.ndim - 2))
        return np.where(present, array, 0)
