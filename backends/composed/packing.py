"""Sequences with their valid steps in front, so that a recurrence need not pass any by."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.backends.composed.arrays import ArrayNamespace, Tensor
from rnnspec.backends.composed.steps import zeroed


class Packing:
    """Moves the valid steps of each sequence to the front, in order, and back.

    Without lengths and mask nothing moves, and nothing is computed. With lengths the steps are in front already.
    """

    def __init__(
        self, xp: ArrayNamespace, shape: Sequence[int], lengths: Tensor | None = None, mask: Tensor | None = None
    ):
        """Pack sequences of `shape` (B, T), T > 0, with lengths (B,) or a mask (B, T)."""
        self.xp, self.batch, self.steps, self.mask = xp, shape[0], shape[1], mask
        self.lengths = lengths if mask is None else xp.sum(xp.astype(mask, xp.int64), 1)
        """The number of valid steps, (B,); None if all are."""
        self.valid = None if self.lengths is None else xp.arange(self.steps) < self.lengths[:, None]
        """Whether a step is valid, once they are in front, (B, T); None if all are."""

    def pack(self, array: Tensor) -> Tensor:
        """An array (B, T, …) with its valid steps in front and 0 behind."""
        if self.mask is not None:
            # Ties go to the lowest place, so those that are valid come first and stay in order.
            _, places = self.xp.top_k(self.xp.astype(self.mask, self.xp.int64), self.steps)
            array = self._taken(array, places)
        return self.zeroed(array)

    def zeroed(self, array: Tensor) -> Tensor:
        """A packed array with 0 behind the valid steps."""
        return self._where(self.valid, array)

    def unpack(self, array: Tensor) -> Tensor:
        """The way back, with 0 at the steps that are not valid."""
        if self.mask is None:
            return self.zeroed(array)
        counted = self.xp.cumulative_sum(self.xp.astype(self.mask, self.xp.int64), 1)
        return self._where(self.mask, self._taken(array, self.xp.maximum(counted - 1, 0)))

    def reverse(self, array: Tensor) -> Tensor:
        """The valid steps of a packed array (B, T, …) the other way round; those behind stay where they are."""
        if self.lengths is None:
            return self.xp.flip(array, 1)
        steps = self.xp.arange(self.steps)[None]
        return self._taken(array, self.xp.where(self.valid, self.lengths[:, None] - 1 - steps, steps))

    def last(self) -> Tensor:
        """Whether a step is the last valid one of a packed sequence, (B, T), or (1, T) if all sequences are alike."""
        steps = self.xp.arange(self.steps)[None]
        return steps == (self.steps - 1 if self.lengths is None else self.lengths[:, None] - 1)

    def _taken(self, array: Tensor, places: Tensor) -> Tensor:
        """Steps of each sequence at places (B, T)."""
        rest = self.xp.shape(array)[2:]
        rows = self.xp.reshape(array, (self.batch * self.steps, *rest))
        return self.xp.take(rows, places + self.xp.arange(self.batch)[:, None] * self.steps)

    def _where(self, valid: Tensor | None, array: Tensor) -> Tensor:
        if valid is not None and array.dtype == self.xp.int64:
            rest = (None,) * (len(self.xp.shape(array)) - 2)
            return self.xp.where(valid[(..., *rest)], array, 0)
        return zeroed(self.xp, array, valid)
