"""The kinds of recurrent layer, for the operations that are built of any of them."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.reference.call import Build
from rnnspec.reference.forget_only_lstm import ForgetOnlyLSTM
from rnnspec.reference.gru import GRU
from rnnspec.reference.layer_norm_lstm import LayerNormLSTM
from rnnspec.reference.lstm import LSTM
from rnnspec.reference.lstm_1997 import LSTM1997
from rnnspec.reference.nested_lstm import NestedLSTM
from rnnspec.reference.peephole_lstm import PeepholeLSTM
from rnnspec.reference.rnn import RNN


@dataclass(frozen=True)
class Kind:
    """How to build the cell (from its parameters and its attributes, as keywords), and the names of its states."""

    build: Build
    states: tuple[str, ...]


KINDS: dict[str, Kind] = {
    "rnn": Kind(RNN, ("h",)),
    "lstm": Kind(LSTM, ("h", "c")),
    "lstm_1997": Kind(LSTM1997, ("h", "c")),
    "forget_only_lstm": Kind(ForgetOnlyLSTM, ("h",)),
    "peephole_lstm": Kind(PeepholeLSTM, ("h", "c")),
    "layer_norm_lstm": Kind(LayerNormLSTM, ("h", "c")),
    "gru": Kind(GRU, ("h",)),
    "nested_lstm": Kind(NestedLSTM, ("h", "c")),
}
"""By the layer's name; the cell's is the same with ``_cell``."""
