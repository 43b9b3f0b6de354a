"""NumPy reference: how to compute it, with exact gradients.

Every operation stands here beside its vector-Jacobian product, `lstm` beside `lstm_vjp`, under its name in the
specification. Arrays are batch first and keep their type; the code is shaped like the equations.
"""

from rnnspec.reference.gru import gru, gru_cell, gru_cell_vjp, gru_vjp
from rnnspec.reference.lstm import lstm, lstm_cell, lstm_cell_vjp, lstm_vjp
from rnnspec.reference.rnn import rnn, rnn_cell, rnn_cell_vjp, rnn_vjp

__all__ = [
    "gru",
    "gru_cell",
    "gru_cell_vjp",
    "gru_vjp",
    "lstm",
    "lstm_cell",
    "lstm_cell_vjp",
    "lstm_vjp",
    "rnn",
    "rnn_cell",
    "rnn_cell_vjp",
    "rnn_vjp",
]
