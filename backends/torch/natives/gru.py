"""The GRU, by torch.nn.GRUCell and torch.nn.GRU.

Torch applies the reset gate after the product with R_n, which has a bias of its own, and its update gate keeps the
state before. Where a gate of 1 admits the candidate, the weights of that gate change sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.layouts.gates import Update
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Script, hidden
from rnnspec.backends.torch.arrays import Outputs
from rnnspec.backends.torch.natives.recurrent import (
    GateSource,
    Network,
    refusing_layer,
    run_cell,
    run_layer,
    second_bias,
)
from rnnspec.backends.torch.natives.recurrent_source import cell_source, layer_source
from rnnspec.backends.torch.weights import flat_weights


def _refuse(*, reset: str, activation: str, recurrent_activation: str, clip: float | None, **others: Any) -> None:
    if reset != "after":
        raise Unsupported("torch's GRU applies the reset gate after the product with R_n only")
    if (activation, recurrent_activation) != ("tanh", "logistic"):
        raise Unsupported("torch's GRU has no choice of activations: tanh, logistic")
    if clip is not None:
        raise Unsupported("torch's GRU does not clip")


def _gates(call: Call, W: str, R: str, b: str, place: str) -> GateSource:
    b_R = second_bias(call, b, place)
    b_rn = f'torch.nn.functional.pad(t["b_rn"]{place}, ({2 * hidden(call)}, 0))' if "b_rn" in call.inputs else ""
    if call.attributes["update"] == "keeps":
        return GateSource(W, R, f"{b}.flatten()", _total(call, f"{b_R}.flatten()", b_rn))
    sign = 'sign = torch.tensor([[1], [-1], [1]]).to(t["W"])  # torch\'s z keeps'
    bias_hh = _total(call, f"({b_R} * sign).flatten()", b_rn)
    return GateSource(f"({W} * sign[:, None])", f"({R} * sign[:, None])", f"({b} * sign).flatten()", bias_hh, (sign,))


def _total(call: Call, b_R: str, b_rn: str) -> str:
    """The recurrent bias of all gates: both of those that are there, or zeros."""
    if not b_rn:
        return b_R
    return f"{b_R} + {b_rn}" if "b_R" in call.inputs else b_rn


GRU: Final = Network("GRU", nn.GRU, ("h0",), _refuse, gates=_gates)


@native("torch.nn.GRUCell", _refuse)
def gru_cell(
    *,
    x: Tensor,
    h_prev: Tensor,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_rn: Tensor | None = None,
    b_R: Tensor | None = None,
    update: Update,
    **attributes: Any,
) -> Outputs:
    """Return h."""
    return run_cell(nn.GRUCell, x, (h_prev,), flat_weights(W, R, b, b_rn, b_R=b_R, update=update))


@native("torch.nn.GRU", refusing_layer(_refuse))
def gru(**arguments: Any) -> Outputs:
    """Return y and h_n."""
    return run_layer(GRU, **arguments)


NATIVES: Final[Mapping[str, Native]] = {"gru_cell": gru_cell, "gru": gru}
SCRIPTS: Final[Mapping[str, Script]] = {"gru_cell": cell_source(GRU), "gru": layer_source(GRU)}
