"""The Jacobian of a layer's state through time."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cells import make_cell
from rnnspec.backends.composed.steps import valid_steps, zeroed


def state_jacobian(
    xp: ArrayNamespace,
    *,
    x: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    layer: str,
    since: int,
    truncate: int | None,
    **arguments: Any,
) -> Many:
    """Products of the Jacobians of single steps, which are computed for all steps and sequences at once."""
    cell = make_cell(xp, layer, arguments)
    batch, steps = xp.shape(x)[:2]
    carry = cell.first(batch, h=h0, c=c0)
    widths = [xp.shape(state)[1] for state in carry]
    size = sum(widths)
    if steps == 0:
        return xp.zeros((batch, 0, size, size), x.dtype), xp.zeros((batch, 0), x.dtype)
    valid = valid_steps(xp, steps, lengths, mask)
    x = xp.permute_dims(zeroed(xp, x, valid), (1, 0, 2))
    if valid is None:
        valid = xp.full((batch, steps), True, xp.boolean)
    there = xp.permute_dims(valid, (1, 0))[..., None]

    def move(held: Many, entering: Many) -> tuple[Many, Many]:
        *entered, is_there = entering
        after = cell.step(tuple(entered), held)
        return tuple(xp.where(is_there, new, old) for new, old in zip(after, held, strict=True)), held

    _, before = xp.scan(move, carry, (*cell.enter(x), there), steps)

    def step(row: Tensor) -> Tensor:
        x_row, *states = xp.split(row, [xp.shape(x)[2], *widths], -1)
        return xp.concat(cell.step(cell.enter(x_row), tuple(states)), -1)

    rows = xp.concat([x, *before], -1)
    jacobians = xp.batch_jacobian(step, xp.reshape(rows, (steps * batch, xp.shape(rows)[2])))[..., xp.shape(x)[2] :]
    handed = xp.reshape(jacobians, (steps, batch, size, size))
    count = xp.cumulative_sum(xp.astype(there, xp.int64), 0)[..., None] - 1
    if truncate is not None:
        handed = xp.where(xp.logical_and(count > 0, count % truncate == 0), 0.0, handed)
    counted = xp.logical_and(there[..., None], count >= since)

    def multiply(held: Many, entering: Many) -> tuple[Many, Many]:
        (product,), (one_step, is_counted) = held, entering
        product = xp.where(is_counted, xp.matmul(one_step, product), product)
        return (product,), (product,)

    identity = xp.one_hot(xp.arange(size), size, x.dtype)
    _, (jacobian,) = xp.scan(multiply, (xp.broadcast_to(identity, (batch, size, size)),), (handed, counted), steps)
    jacobian = xp.permute_dims(xp.where(counted, jacobian, 0.0), (1, 0, 2, 3))
    return jacobian, xp.singular_values(jacobian)[..., 0]
