"""Run torch's layers over ragged and reversed batches.

Torch's layers read a padded batch to its end; what keeps them inside each sequence is a packed batch, which refuses
sequences of no steps. And no layer reads in reverse alone: the sequences are reversed before it, the outputs after it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.torch.checks import expect_shape

Layer = Callable[[Tensor | PackedSequence, tuple[Tensor, ...]], tuple[Tensor | PackedSequence, tuple[Tensor, ...]]]
"""A layer: a batch (padded or packed) and states (B, H) to the outputs and the states after."""


def valid_lengths(x: Tensor, lengths: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """Steps in each sequence of `x` from one of `lengths` and `mask`; None if all are full."""
    batch, steps = x.shape[:2]
    if lengths is not None and mask is not None:
        raise ValueError("expected lengths or mask, got both")
    if lengths is not None:
        expect_shape("lengths", lengths, (batch,))
        if lengths.dtype != torch.int64:
            raise ValueError(f"lengths: expected torch.int64, got {lengths.dtype}")
        wrong = lengths[(lengths < 0) | (lengths > steps)]
        if len(wrong):
            raise ValueError(f"lengths: expected values from 0 to T = {steps}, got {wrong.tolist()}")
        return lengths
    if mask is None:
        return None
    expect_shape("mask", mask, (batch, steps))
    if mask.dtype != torch.bool:
        raise ValueError(f"mask: expected torch.bool, got {mask.dtype}")
    counted = mask.sum(1)
    if not torch.equal(mask, torch.arange(steps, device=x.device) < counted[:, None]):
        raise Unsupported("torch's packed sequences have their padding at the right: no left padding, no holes")
    return counted


def run_layer(
    layer: Layer, x: Tensor, states: tuple[Tensor, ...], lengths: Tensor | None, *, reverse: bool
) -> tuple[Tensor, ...]:
    """Outputs (0 in the padding) and final states of a layer over the valid steps of a batch."""
    if x.shape[1] == 0:
        raise Unsupported("torch's layers refuse sequences of no steps (T = 0)")
    if reverse:
        order = _reversed_order(x, lengths)
        x = torch.take_along_dim(x, order, 1)
    y, finals = _run_forward(layer, x, states, lengths)
    return (torch.take_along_dim(y, order, 1) if reverse else y, *finals)


def _run_forward(
    layer: Layer, x: Tensor, states: tuple[Tensor, ...], lengths: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    if lengths is None:
        return _padded(*layer(x, states), steps=x.shape[1])
    rows = lengths.nonzero()[:, 0]
    if len(rows) == len(lengths) > 0:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return _padded(*layer(packed, states), steps=x.shape[1])
    # The layer sees the sequences that have steps; the outputs of the others are 0, and their states pass through.
    some = tuple(state[rows] for state in states)
    y, finals = _run_forward(layer, x[rows], some, lengths[rows] if len(rows) else None)
    everywhere = y.new_zeros(len(lengths), *y.shape[1:]).index_copy(0, rows, y)
    return everywhere, tuple(state.index_copy(0, rows, final) for state, final in zip(states, finals, strict=True))


def _padded(y: Tensor | PackedSequence, finals: tuple[Tensor, ...], steps: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    if isinstance(y, PackedSequence):
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=steps)
    return y, finals


def _reversed_order(x: Tensor, lengths: Tensor | None) -> Tensor:
    """For each step the one that takes its place (B, T, 1): n - 1 - t in the sequence, t itself in the padding."""
    batch, steps = x.shape[:2]
    step = torch.arange(steps, device=x.device)
    if lengths is None:
        return step.flip(0)[None, :, None].expand(batch, -1, -1)
    count = lengths[:, None]
    return torch.where(step < count, count - 1 - step, step)[:, :, None]
