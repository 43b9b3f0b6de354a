"""One step by torch.nn's cells."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.layouts.gates import Update
from rnnspec.backends.native import native
from rnnspec.backends.torch.kinds import refuse_gru, refuse_lstm, refuse_rnn
from rnnspec.backends.torch.modules import run_cell
from rnnspec.backends.torch.weights import flat_weights

Outputs = tuple[Tensor, ...]


def _refuse_lstm_cell(*, projection: bool, **arguments: Any) -> None:
    if projection:
        raise Unsupported("torch.nn.LSTMCell has no projection")
    refuse_lstm(**arguments)


@native("torch.nn.RNNCell", refuse_rnn)
def rnn_cell(*, x: Tensor, h_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, activation: str) -> Outputs:
    """Return h."""
    return run_cell("rnn", x, (h_prev,), flat_weights(W, R, b), nonlinearity=activation)


@native("torch.nn.LSTMCell", _refuse_lstm_cell)
def lstm_cell(
    *, x: Tensor, h_prev: Tensor, c_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, **attributes: Any
) -> Outputs:
    """Return h and c."""
    return run_cell("lstm", x, (h_prev, c_prev), flat_weights(W, R, b))


@native("torch.nn.GRUCell", refuse_gru)
def gru_cell(
    *, x: Tensor, h_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, b_rn: Tensor, update: Update, **attributes: Any
) -> Outputs:
    """Return h."""
    return run_cell("gru", x, (h_prev,), flat_weights(W, R, b, b_rn, update=update))
