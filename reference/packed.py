"""A batch of sequences without the steps that were taken out: what is left stands together, time first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.spec.arrays import Array, Mask


class Packed:
    """Where the valid steps of a batch stand once the others are gone: each sequence begins at step 0.

    Packed arrays are ``(n, B, …)``, n the valid steps of the longest sequence, and 0 after the end of a shorter one.

    Attributes
    ----------
    present
        Which packed steps there are, ``(n, B)``.
    lengths
        Valid steps of each sequence, ``(B,)``.
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
        """Which packed steps begin a sequence, ``(n, B)``."""
        first: Mask = self.present & (np.arange(len(self.present)) == 0)[:, np.newaxis]
        return first

    @property
    def last(self) -> Mask:
        """Which packed steps end a sequence, ``(n, B)``."""
        last: Mask = np.arange(len(self.present))[:, np.newaxis] == self.lengths - 1
        return last

    def pack(self, array: Array) -> Array:
        """From ``(B, T, …)`` to ``(n, B, …)``, in memory of its own."""
        return self._where_present(array[self._places])

    def unpack(self, array: Array) -> Array:
        """From ``(n, B, …)`` to ``(B, T, …)``, 0 at steps taken out."""
        spread = np.zeros_like(array, shape=(array.shape[1], self._steps, *array.shape[2:]))
        spread[self._places] = self._where_present(array)
        return spread

    def in_place(self, gradients: dict[str, Array]) -> dict[str, Array]:
        """Gradients of an operation's inputs: those of the emissions back in their places."""
        return {**gradients, "emissions": self.unpack(gradients["emissions"])}

    def _where_present(self, array: Array) -> Array:
        present: NDArray[Any] = self.present.reshape(*self.present.shape, *(1,) * (array.ndim - 2))
        return np.where(present, array, 0)
