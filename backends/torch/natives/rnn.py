"""The plain recurrent network, by torch.nn.RNNCell and torch.nn.RNN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Script
from rnnspec.backends.torch.arrays import Outputs
from rnnspec.backends.torch.natives.recurrent import Network, refusing_layer, run_cell, run_layer
from rnnspec.backends.torch.natives.recurrent_source import cell_source, layer_source
from rnnspec.backends.torch.weights import flat_weights


def _refuse(*, activation: str, clip: float | None, **others: Any) -> None:
    if activation not in ("tanh", "relu"):
        raise Unsupported("torch's RNN has no nonlinearity but tanh and relu")
    if clip is not None:
        raise Unsupported("torch's RNN does not clip")


def _options(*, activation: str, **others: Any) -> dict[str, Any]:
    return {} if activation == "tanh" else {"nonlinearity": activation}


RNN: Final = Network("RNN", nn.RNN, ("h0",), _refuse, _options)


@native("torch.nn.RNNCell", _refuse)
def rnn_cell(
    *,
    x: Tensor,
    h_prev: Tensor,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_R: Tensor | None = None,
    activation: str,
    **attributes: Any,
) -> Outputs:
    """Return h."""
    return run_cell(nn.RNNCell, x, (h_prev,), flat_weights(W, R, b, b_R=b_R), nonlinearity=activation)


@native("torch.nn.RNN", refusing_layer(_refuse))
def rnn(**arguments: Any) -> Outputs:
    """Return y and h_n."""
    return run_layer(RNN, **arguments)


NATIVES: Final[Mapping[str, Native]] = {"rnn_cell": rnn_cell, "rnn": rnn}
SCRIPTS: Final[Mapping[str, Script]] = {"rnn_cell": cell_source(RNN), "rnn": layer_source(RNN)}
