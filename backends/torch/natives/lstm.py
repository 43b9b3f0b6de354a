"""The LSTM, by torch.nn.LSTMCell and torch.nn.LSTM; the projection is torch's proj_size, which the cell has not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from torch import Tensor, nn

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Script
from rnnspec.backends.torch.arrays import Outputs
from rnnspec.backends.torch.natives.recurrent import Network, refusing_layer, run_cell, run_layer
from rnnspec.backends.torch.natives.recurrent_source import cell_source, layer_source
from rnnspec.backends.torch.weights import flat_weights


def _refuse(
    *,
    activations: Sequence[str],
    clip: float | None,
    coupled: bool,
    forget_bias: float | None,
    gradient: str,
    P: Tensor | None = None,
    **others: Any,
) -> None:
    if tuple(activations) != ("logistic", "tanh", "tanh"):
        raise Unsupported("torch's LSTM has no choice of activations: logistic, tanh, tanh")
    if clip is not None:
        raise Unsupported("torch's LSTM does not clip")
    if coupled:
        raise Unsupported("torch's LSTM has no coupled gates")
    if forget_bias is not None:
        raise Unsupported("torch's LSTM has no constant beside its biases")
    if gradient != "full":
        raise Unsupported("torch's LSTM has no gradient but the full one")
    if P is not None and P.shape[-2] >= P.shape[-1]:
        raise Unsupported("torch's proj_size must be smaller than hidden_size")


def _refuse_cell(*, projection: bool, **arguments: Any) -> None:
    if projection:
        raise Unsupported("torch.nn.LSTMCell has no projection")
    _refuse(**arguments)


def _options(*, P: Tensor | None = None, **others: Any) -> dict[str, Any]:
    return {} if P is None else {"proj_size": P.shape[-2]}


LSTM: Final = Network("LSTM", nn.LSTM, ("h0", "c0"), _refuse, _options)


@native("torch.nn.LSTMCell", _refuse_cell)
def lstm_cell(
    *,
    x: Tensor,
    h_prev: Tensor,
    c_prev: Tensor,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_R: Tensor | None = None,
    **attributes: Any,
) -> Outputs:
    """Return h and c."""
    return run_cell(nn.LSTMCell, x, (h_prev, c_prev), flat_weights(W, R, b, b_R=b_R))


@native("torch.nn.LSTM", refusing_layer(_refuse))
def lstm(**arguments: Any) -> Outputs:
    """Return y, h_n and c_n."""
    return run_layer(LSTM, **arguments)


NATIVES: Final[Mapping[str, Native]] = {"lstm_cell": lstm_cell, "lstm": lstm}
SCRIPTS: Final[Mapping[str, Script]] = {"lstm_cell": cell_source(LSTM), "lstm": layer_source(LSTM)}
