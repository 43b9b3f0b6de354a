"""The plain recurrent network, by keras.layers.SimpleRNNCell and keras.layers.SimpleRNN."""

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


def _refuse(*, activation: str, clip: float | None, **others: Any) -> None:
    refuse_functions(activation)
    if clip is not None:
        raise Unsupported("Keras's SimpleRNN does not clip")


def _choices(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"activation": ACTIVATIONS[attributes["activation"]]}


RNN: Final = Network("rnn", "SimpleRNN", ("h0",), _choices, _refuse, cudnn=False)
NATIVES: Final[Mapping[str, Native]] = {"rnn_cell": cell_native(RNN), "rnn": layer_native(RNN)}
SCRIPTS: Final[Mapping[str, Script]] = {"rnn_cell": cell_source(RNN), "rnn": layer_source(RNN)}
