"""What torch's three kinds of recurrent network cannot be, cells and layers alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from torch import Tensor

from rnnspec.backends.contract import Unsupported


def refuse_rnn(*, activation: str, **others: Any) -> None:
    """Refuse what torch's RNN has not."""
    if activation not in ("tanh", "relu"):
        raise Unsupported("torch's RNN has no nonlinearity but tanh and relu")


def refuse_lstm(
    *,
    activations: Sequence[str],
    clip: float | None,
    coupled: bool,
    gradient: str,
    P: Tensor | None = None,
    **others: Any,
) -> None:
    """Refuse what torch's LSTM has not."""
    if tuple(activations) != ("logistic", "tanh", "tanh"):
        raise Unsupported("torch's LSTM has no choice of activations: logistic, tanh, tanh")
    if clip is not None:
        raise Unsupported("torch's LSTM does not clip")
    if coupled:
        raise Unsupported("torch's LSTM has no coupled gates")
    if gradient != "full":
        raise Unsupported("torch's LSTM has no gradient but the full one")
    if P is not None and P.shape[-2] >= P.shape[-1]:
        raise Unsupported("torch's proj_size must be smaller than hidden_size")


def refuse_gru(*, reset: str, **others: Any) -> None:
    """Refuse what torch's GRU has not."""
    if reset != "after":
        raise Unsupported("torch's GRU applies the reset gate after the product with R_n only")


REFUSE: Final[Mapping[str, Callable[..., None]]] = {"rnn": refuse_rnn, "lstm": refuse_lstm, "gru": refuse_gru}


def refuse_kind(*, layer: str, **arguments: Any) -> None:
    """Refuse the layers that torch has not, and what its own have not."""
    if layer not in REFUSE:
        raise Unsupported("torch has no layer but the RNN, the LSTM and the GRU")
    REFUSE[layer](**arguments)


def refuse_unrolling(*, truncate: int | None, recurrent_dropout: float | None = None, **others: Any) -> None:
    """Refuse what torch's layers do not do between the steps."""
    if truncate is not None:
        raise Unsupported("torch's layers do not truncate the gradient within a sequence")
    if recurrent_dropout is not None:
        raise Unsupported("torch's layers have no dropout between the steps")
