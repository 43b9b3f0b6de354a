"""The valid steps of a padded batch, and the numbers in the place of all others."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Tensor


def valid_steps(
    xp: ArrayNamespace, steps: int, lengths: Tensor | None = None, mask: Tensor | None = None
) -> Tensor | None:
    """Whether each step is valid, (B, T); None, which costs nothing, if neither lengths nor a mask are given."""
    if mask is not None or lengths is None:
        return mask
    return xp.arange(steps) < lengths[:, None]


def zeroed(xp: ArrayNamespace, array: Tensor, valid: Tensor | None) -> Tensor:
    """The array (B, T, …) with 0 at the steps that are not valid."""
    if valid is None:
        return array
    shape = xp.shape(array)
    return xp.where(xp.reshape(valid, (*shape[:2], *(1 for _ in shape[2:]))), array, 0.0)


def dropout_factors(xp: ArrayNamespace, keep: Tensor | None, p: float | None, dtype: Any) -> Tensor | None:
    """The factors ``keep / (1 - p)`` of dropout; None where there is none."""
    return None if p is None else xp.astype(keep, dtype) / (1 - p)


def last_valid(xp: ArrayNamespace, array: Tensor, valid: Tensor | None) -> Tensor:
    """The entry (B, …) of an array (B, T, …) at the last valid step of each sequence; 0 where there is none."""
    batch, steps, *rest = xp.shape(array)
    if steps == 0:
        return xp.zeros((batch, *rest), array.dtype)
    if valid is None:
        return array[:, -1]
    counted = xp.cumulative_sum(xp.astype(valid, xp.int64), 1)
    return xp.sum(zeroed(xp, array, xp.logical_and(valid, counted == counted[:, -1:])), 1)
