"""Layers built of layers: one input that runs for many steps, both directions, and stacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cell import Cell
from rnnspec.backends.composed.cells import make_both, make_cell, make_cells, parameters_of
from rnnspec.backends.composed.layers import run_layer
from rnnspec.backends.composed.lstm import LSTM, NoOutputGateLSTM
from rnnspec.backends.composed.steps import dropout_factors, valid_steps


def one_to_many(
    xp: ArrayNamespace,
    *,
    x: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    layer: str,
    feed: str,
    steps: int,
    truncate: int | None,
    **arguments: Any,
) -> Many:
    """A layer that reads one vector, at its first step or at every step."""
    batch, size = xp.shape(x)
    fed = xp.broadcast_to(x[:, None], (batch, steps, size))
    if feed == "first":
        fed = xp.concat([x[:, None], xp.zeros((batch, steps - 1, size), x.dtype)], 1)
    cell = make_cell(xp, layer, arguments)
    y, carry = run_layer(xp, cell, fed, cell.first(batch, h=h0, c=c0), truncate=truncate)
    return y, *cell.states(carry)


def bidirectional(
    xp: ArrayNamespace,
    *,
    x: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    layer: str,
    merge: str,
    truncate: int | None,
    **arguments: Any,
) -> Many:
    """Two layers read the same sequence, the second in reverse; their outputs are merged step by step."""
    valid = valid_steps(xp, xp.shape(x)[1], lengths, mask)
    cells = make_both(xp, layer, arguments)
    merged, states = _both_ways(xp, cells, x, first_carries(xp, cells, x, h0, c0), valid, merge, truncate)
    return *merged, *states


def bidirectional_stack(
    xp: ArrayNamespace,
    *,
    x: Tensor,
    W: Tensor,
    W_above: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    keep: Tensor | None = None,
    layer: str,
    merge: str,
    dropout: float | None,
    truncate: int | None,
    **arguments: Any,
) -> Many:
    """Every layer reads the merged outputs of the one below, in both directions."""
    valid = valid_steps(xp, xp.shape(x)[1], lengths, mask)
    shared = {name: xp.unstack(arguments.pop(name)) for name in parameters_of(layer) if name in arguments}
    kept = dropout_factors(xp, keep, dropout, x.dtype)
    finals = []
    for place, inward in enumerate([W, *xp.unstack(W_above)]):
        if place > 0 and kept is not None:
            x = x * kept[:, place - 1]
        own = {name: layers[place] for name, layers in shared.items()}
        cells = make_both(xp, layer, {**arguments, **own, "W": inward})
        h, c = (None if state is None else state[:, place] for state in (h0, c0))
        (x,), states = _both_ways(xp, cells, x, first_carries(xp, cells, x, h, c), valid, merge, truncate)
        finals.append(states)
    return x, *side_by_side(xp, finals)


def _both_ways(
    xp: ArrayNamespace,
    cells: Sequence[Cell],
    x: Tensor,
    carries: Sequence[Many],
    valid: Tensor | None,
    merge: str,
    truncate: int | None,
) -> tuple[Many, Many]:
    """Run one cell forward and one in reverse; return the merged outputs and the states (B, 2, …)."""
    ys, finals = [], []
    for cell, carry, reverse in zip(cells, carries, (False, True), strict=True):
        y, carry = run_layer(xp, cell, x, carry, valid=valid, reverse=reverse, truncate=truncate)
        ys.append(y)
        finals.append(cell.states(carry))
    forward, backward = ys
    match merge:
        case "concat":
            merged: Many = (xp.concat([forward, backward], -1),)
        case "sum":
            merged = (forward + backward,)
        case "mul":
            merged = (forward * backward,)
        case "ave":
            merged = ((forward + backward) / 2,)
        case _:
            merged = (forward, backward)
    return merged, side_by_side(xp, finals)


def stacked(xp: ArrayNamespace, **arguments: Any) -> Many:
    """Every layer reads the outputs of the one below."""
    return _stack(xp, alternating=False, **arguments)


def alternating_stack(xp: ArrayNamespace, **arguments: Any) -> Many:
    """Every layer reads the outputs of the one below, every second one in reverse."""
    return _stack(xp, alternating=True, **arguments)


def _stack(
    xp: ArrayNamespace,
    *,
    x: Tensor,
    W: Tensor,
    W_above: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    keep: Tensor | None = None,
    layer: str,
    dropout: float | None,
    truncate: int | None,
    alternating: bool,
    **arguments: Any,
) -> Many:
    cells = make_cells(xp, layer, arguments, W=[W, *xp.unstack(W_above)])
    kept = dropout_factors(xp, keep, dropout, x.dtype)
    return run_stack(
        xp, cells, x=x, h0=h0, c0=c0, lengths=lengths, mask=mask, kept=kept, truncate=truncate, alternating=alternating
    )


def gate_once_stack(
    xp: ArrayNamespace,
    *,
    W: Tensor,
    W_above: Tensor,
    R: Tensor,
    b: Tensor,
    W_o: Tensor,
    R_o: Tensor,
    b_o: Tensor,
    **arguments: Any,
) -> Many:
    """A stack of which the layers below the top have no output gate."""
    *below, (W_top, R_top, b_top) = zip([W, *xp.unstack(W_above)], xp.unstack(R), xp.unstack(b), strict=True)
    cells: list[Cell] = [NoOutputGateLSTM(xp, W=W_l, R=R_l, b=b_l) for W_l, R_l, b_l in below]
    pairs = (W_top, W_o), (R_top, R_o), (b_top, b_o)
    W_top, R_top, b_top = (xp.concat([gates, output[None]]) for gates, output in pairs)
    cells.append(LSTM(xp, W=W_top, R=R_top, b=b_top))
    return run_stack(xp, cells, **arguments)


def run_stack(
    xp: ArrayNamespace,
    cells: Sequence[Cell],
    *,
    x: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    kept: Tensor | None = None,
    truncate: int | None = None,
    alternating: bool = False,
) -> Many:
    """Run layers one upon the other; `kept` (B, L - 1, T, S) multiplies the outputs of each layer but the last."""
    valid = valid_steps(xp, xp.shape(x)[1], lengths, mask)
    finals = []
    for place, (cell, carry) in enumerate(zip(cells, first_carries(xp, cells, x, h0, c0), strict=True)):
        if place > 0 and kept is not None:
            x = x * kept[:, place - 1]
        reverse = alternating and place % 2 == 1
        x, carry = run_layer(xp, cell, x, carry, valid=valid, reverse=reverse, truncate=truncate)
        finals.append(cell.states(carry))
    return x, *side_by_side(xp, finals)


def first_carries(
    xp: ArrayNamespace, cells: Sequence[Cell], x: Tensor, h0: Tensor | None, c0: Tensor | None
) -> list[Many]:
    """Carry of each layer before the first step, from initial states (B, L, …)."""
    hs, cs = ([None] * len(cells) if state is None else xp.unstack(state, 1) for state in (h0, c0))
    batch = xp.shape(x)[0]
    return [cell.first(batch, h=h, c=c) for cell, h, c in zip(cells, hs, cs, strict=True)]


def side_by_side(xp: ArrayNamespace, finals: Sequence[Many]) -> Many:
    """Join the states of all layers, (B, L, …) each."""
    return tuple(xp.stack(states, 1) for states in zip(*finals, strict=True))
