"""Layers: a cell run over the steps of a padded batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import Cell
from rnnspec.backends.composed.cells import make_cell
from rnnspec.backends.composed.steps import dropout_factors, valid_steps, zeroed


class Ran(NamedTuple):
    """A layer: the state h after each step (B, T, S), or what else of the outputs is asked for, and the last carry."""

    y: Tensor
    carry: Many


def run_layer(
    xp: ArrayNamespace,
    cell: Cell,
    x: Tensor,
    carry: Many,
    *,
    valid: Tensor | None = None,
    reverse: bool = False,
    truncate: int | None = None,
    keep: Tensor | None = None,
    output: str = "sequence",
) -> Ran:
    """Run a cell over the steps of x (B, T, D).

    Parameters
    ----------
    xp, cell, x
        The framework, the cell with its parameters, and the inputs.
    carry
        That before the first step: ``cell.first(batch, h=…, c=…)``.
    valid
        Which steps are there, (B, T); None: all.
    reverse
        Whether the steps are read from the last to the first; y stands in the order of x either way.
    truncate
        If a number k, no gradient flows from step t + 1 to step t where (t + 1) % k == 0, valid steps counted.
    keep
        What the state h is multiplied by before every step sees it, (B, S).
    output
        The layer's attribute: whether y is the sequence with 0 at steps taken out, held there, or the last (B, S).
    """
    batch, steps = xp.shape(x)[:2]
    if steps == 0:
        none = () if output == "last" else (0,)
        return Ran(xp.zeros((batch, *none, *xp.shape(carry[0])[1:]), x.dtype), carry)
    x = xp.permute_dims(zeroed(xp, x, valid), (1, 0, 2))
    there = None if valid is None else xp.permute_dims(valid, (1, 0))[..., None]
    if reverse:
        x, there = xp.flip(x, 0), None if there is None else xp.flip(there, 0)
    cut = None if truncate is None else cuts(xp, steps, there, truncate)
    entered = cell.enter(x)
    entering = (*entered, *(flags for flags in (there, cut) if flags is not None))

    def step(held: Many, arrays: Many) -> tuple[Many, Many]:
        flags = iter(arrays[len(entered) :])
        is_there = None if there is None else next(flags)
        before = held
        if cut is not None:
            is_cut = next(flags)
            before = tuple(xp.where(is_cut, xp.stop_gradient(state), state) for state in before)
        if keep is not None:
            before = (before[0] * keep, *before[1:])
        after = cell.step(arrays[: len(entered)], before)
        if is_there is not None:
            after = tuple(xp.where(is_there, new, old) for new, old in zip(after, held, strict=True))
        return after, (after[0],)

    carry, (y,) = xp.scan(step, carry, entering, steps)
    y = xp.permute_dims(xp.flip(y, 0) if reverse else y, (1, 0, 2))
    return Ran(_shown(xp, output, y, carry[0], valid, reverse), carry)


def _shown(xp: ArrayNamespace, output: str, y: Tensor, last: Tensor, valid: Tensor | None, reverse: bool) -> Tensor:
    """The outputs that `output` selects from the states after each step, y (B, T, S), and after the last one.

    A step taken out keeps the state. Before any step is read, the state is the initial one, and the output 0.
    """
    if valid is None:
        return last if output == "last" else y
    if output == "last":
        return xp.where(xp.any(valid, 1, keepdims=True), last, 0.0)
    if output == "sequence":
        return zeroed(xp, y, valid)
    read = xp.cumulative_sum(xp.astype(xp.flip(valid, 1) if reverse else valid, xp.int64), 1)
    return zeroed(xp, y, (xp.flip(read, 1) if reverse else read) > 0)


def cuts(xp: ArrayNamespace, steps: int, there: Tensor | None, truncate: int) -> Tensor:
    """Whether what is handed to each step is a constant to it, (T, 1, 1), or (T, B, 1) where steps are taken out."""
    count = xp.arange(steps)[:, None, None] if there is None else xp.cumulative_sum(xp.astype(there, xp.int64), 0) - 1
    return xp.logical_and(count > 0, count % truncate == 0)


def layer_operation(name: str) -> Callable[..., Many]:
    """Return the operation that is this layer."""

    def layer(
        xp: ArrayNamespace,
        *,
        x: Tensor,
        h0: Tensor | None = None,
        c0: Tensor | None = None,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        recurrent_keep: Tensor | None = None,
        recurrent_dropout: float | None,
        direction: str,
        truncate: int | None,
        output: str,
        **arguments: Any,
    ) -> Many:
        cell = make_cell(xp, name, arguments)
        batch, steps = xp.shape(x)[:2]
        keep = dropout_factors(xp, recurrent_keep, recurrent_dropout, x.dtype)
        y, carry = run_layer(
            xp,
            cell,
            x,
            cell.first(batch, h=h0, c=c0),
            valid=valid_steps(xp, steps, lengths, mask),
            reverse=direction == "reverse",
            truncate=truncate,
            keep=keep,
            output=output,
        )
        return y, *cell.states(carry)

    return layer
