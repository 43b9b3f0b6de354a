"""The LSTM, by keras.layers.LSTMCell and keras.layers.LSTM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.layouts.keras import ACTIVATIONS
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Script
from rnnspec.backends.tensorflow.keras_layers import refuse_functions
from rnnspec.backends.tensorflow.natives.recurrent import Network, cell_native, layer_native
from rnnspec.backends.tensorflow.natives.recurrent_source import cell_source, layer_source


def _refuse(
    *,
    activations: Any,
    clip: float | None,
    coupled: bool,
    forget_bias: float | None,
    projection: bool = False,
    gradient: str,
    **others: Any,
) -> None:
    refuse_functions(*activations)
    if activations[1] != activations[2]:
        raise Unsupported("Keras's LSTM has one activation for the candidate and the output")
    if clip is not None:
        raise Unsupported("Keras's LSTM does not clip")
    if coupled:
        raise Unsupported("Keras's LSTM has no coupled gates")
    if forget_bias is not None:
        raise Unsupported("Keras's LSTM has no constant beside its bias: unit_forget_bias is a first value of it")
    if projection:
        raise Unsupported("Keras's LSTM has no projection")
    if gradient != "full":
        raise Unsupported("Keras's LSTM has no gradient but the full one")


def _choices(attributes: Mapping[str, Any]) -> dict[str, Any]:
    gate, candidate, _ = attributes["activations"]
    return {
        "recurrent_activation": ACTIVATIONS[gate],
        "activation": ACTIVATIONS[candidate],
        "unit_forget_bias": False,
    }


LSTM: Final = Network("lstm", "LSTM", ("h0", "c0"), _choices, _refuse)
NATIVES: Final[Mapping[str, Native]] = {"lstm_cell": cell_native(LSTM), "lstm": layer_native(LSTM)}
SCRIPTS: Final[Mapping[str, Script]] = {"lstm_cell": cell_source(LSTM), "lstm": layer_source(LSTM)}
