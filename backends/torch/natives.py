"""What torch has itself, by the operation's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnnspec.backends.native import Native
from rnnspec.backends.torch.native_blocks import (
    attention_weights,
    dense,
    embedding,
    log_softmax,
    output_projection,
    softmax,
)
from rnnspec.backends.torch.native_cells import gru_cell, lstm_cell, rnn_cell
from rnnspec.backends.torch.native_clipping import clip_by_global_norm, clip_by_norm, clip_by_value
from rnnspec.backends.torch.native_layers import gru, lstm, rnn
from rnnspec.backends.torch.native_losses import (
    binary_cross_entropy,
    cross_entropy,
    mean_absolute_error,
    mean_squared_error,
)
from rnnspec.backends.torch.native_stacks import alternating_stack, bidirectional, one_to_many, stacked

NATIVES: Final[Mapping[str, Native]] = {
    "dense": dense,
    "embedding": embedding,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
    "binary_cross_entropy": binary_cross_entropy,
    "cross_entropy": cross_entropy,
    "rnn_cell": rnn_cell,
    "rnn": rnn,
    "lstm_cell": lstm_cell,
    "lstm": lstm,
    "gru_cell": gru_cell,
    "gru": gru,
    "output_projection": output_projection,
    "one_to_many": one_to_many,
    "bidirectional": bidirectional,
    "stacked": stacked,
    "alternating_stack": alternating_stack,
    "clip_by_value": clip_by_value,
    "clip_by_norm": clip_by_norm,
    "clip_by_global_norm": clip_by_global_norm,
    "attention_weights": attention_weights,
}
