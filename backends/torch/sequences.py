"""Run torch's layers over ragged and reversed batches.

Torch's layers read a padded batch to its end. A packed batch keeps them inside each sequence, but refuses sequences of
no steps. And no layer reads in reverse alone: the sequences are reversed before it, the outputs after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnspec.backends.contract import Unsupported

States = tuple[Tensor, ...]
Layer = Callable[[Tensor | PackedSequence, States | None], tuple[Tensor | PackedSequence, States]]
"""A layer: a batch (padded or packed) and states to the outputs and the states after. States are torch's, (layers and
directions, B, S); none where all are 0."""


def refuse_sequences(*, x: Tensor, mask: Tensor | None = None, **others: Any) -> None:
    """Refuse the batches that torch's layers cannot read."""
    if x.shape[1] == 0:
        raise Unsupported("torch's layers refuse sequences of no steps (T = 0)")
    if mask is not None and not torch.equal(mask, right_padded(mask.sum(1), mask.shape[1])):
        raise Unsupported("torch's packed sequences have their padding at the right: no left padding, no holes")


def right_padded(lengths: Tensor, steps: int) -> Tensor:
    """Mask (B, T) of the first so many steps of each sequence."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def run_ragged(
    layer: Layer, x: Tensor, states: States | None, lengths: Tensor | None, *, reverse: bool = False
) -> tuple[Tensor, States]:
    """Outputs (0 in the padding) and final states of a layer over the first `lengths` steps of a batch, or all."""
    if not reverse:
        return _run_forward(layer, x, states, lengths)
    if lengths is None:
        y, finals = _run_forward(layer, x.flip(1), states, None)
        return y.flip(1), finals
    order = _reversed_order(x, lengths)
    y, finals = _run_forward(layer, torch.take_along_dim(x, order, 1), states, lengths)
    return torch.take_along_dim(y, order, 1), finals


def _run_forward(layer: Layer, x: Tensor, states: States | None, lengths: Tensor | None) -> tuple[Tensor, States]:
    if lengths is None:
        return _padded(*layer(x, states), steps=x.shape[1])
    rows = lengths.nonzero()[:, 0]
    if len(rows) == len(lengths) > 0:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return _padded(*layer(packed, states), steps=x.shape[1])
    # The layer sees the sequences that have steps; the outputs of the others are 0, and their states pass through.
    some = None if states is None else tuple(state[:, rows] for state in states)
    y, finals = _run_forward(layer, x[rows], some, lengths[rows] if len(rows) else None)
    everywhere = y.new_zeros(len(lengths), *y.shape[1:]).index_copy(0, rows, y)
    if states is None:
        states = tuple(final.new_zeros(len(final), len(lengths), final.shape[2]) for final in finals)
    return everywhere, tuple(state.index_copy(1, rows, final) for state, final in zip(states, finals, strict=True))


def _padded(y: Tensor | PackedSequence, finals: States, steps: int) -> tuple[Tensor, States]:
    if isinstance(y, PackedSequence):
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=steps)
    return y, finals


def _reversed_order(x: Tensor, lengths: Tensor) -> Tensor:
    """For each step the one that takes its place (B, T, 1): n - 1 - t in the sequence, t itself in the padding."""
    step = torch.arange(x.shape[1], device=x.device)
    count = lengths[:, None]
    return torch.where(step < count, count - 1 - step, step)[:, :, None]
