"""A sequence by torch.nn's layers; ragged batches are packed sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from rnnspec.backends.layouts.gates import Update
from rnnspec.backends.native import native
from rnnspec.backends.torch.kinds import refuse_gru, refuse_lstm, refuse_rnn, refuse_unrolling
from rnnspec.backends.torch.modules import run_module
from rnnspec.backends.torch.sequences import refuse_sequences

Outputs = tuple[Tensor, ...]


def _refusing(kind: Callable[..., None]) -> Callable[..., None]:
    def refuse(**arguments: Any) -> None:
        kind(**arguments)
        refuse_unrolling(**arguments)
        refuse_sequences(**arguments)

    return refuse


@native("torch.nn.RNN", _refusing(refuse_rnn))
def rnn(*, activation: str, **arguments: Any) -> Outputs:
    """Return y and h_n."""
    return _run_layer("rnn", ("h0",), nonlinearity=activation, **arguments)


@native("torch.nn.LSTM", _refusing(refuse_lstm))
def lstm(*, activations: Any, clip: Any, coupled: bool, projection: bool, gradient: str, **arguments: Any) -> Outputs:
    """Return y, h_n and c_n; the projection is torch's proj_size."""
    return _run_layer("lstm", ("h0", "c0"), **arguments)


@native("torch.nn.GRU", _refusing(refuse_gru))
def gru(*, reset: str, update: Update, **arguments: Any) -> Outputs:
    """Return y and h_n."""
    return _run_layer("gru", ("h0",), update=update, **arguments)


def _run_layer(
    kind: str,
    states: tuple[str, ...],
    *,
    x: Tensor,
    direction: str,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    truncate: None = None,
    recurrent_dropout: None = None,
    update: Update = "keeps",
    nonlinearity: str | None = None,
    **tensors: Tensor,
) -> Outputs:
    options = {} if nonlinearity is None else {"nonlinearity": nonlinearity}
    before = [tensors.pop(name, None) for name in states]
    y, finals = run_module(
        kind,
        x,
        [tensors],
        [None if state is None else state[:, None] for state in before],
        lengths if mask is None else mask.sum(1),
        update=update,
        reverse=direction == "reverse",
        **options,
    )
    return (y, *(final[0] for final in finals))
