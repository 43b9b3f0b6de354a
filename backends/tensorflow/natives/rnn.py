"""The plain recurrent network, by keras.layers.SimpleRNNCell and keras.layers.SimpleRNN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.layouts.keras import ACTIVATIONS
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Script
from rnnspec.backends.tensorflow.framework import Outputs, Tensor
from rnnspec.backends.tensorflow.keras_layers import refuse_functions
from rnnspec.backends.tensorflow.natives.recurrent import (
    Network,
    cell_native,
    layer_native,
    refuse_padded,
    refusing_layer,
    run_drawing,
)
from rnnspec.backends.tensorflow.natives.recurrent_source import cell_source, layer_source


def _refuse(*, activation: str, clip: float | None, **others: Any) -> None:
    refuse_functions(activation)
    if clip is not None:
        raise Unsupported("Keras's SimpleRNN does not clip")


def _choices(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"activation": ACTIVATIONS[attributes["activation"]]}


RNN: Final = Network("rnn", "SimpleRNN", ("h0",), _choices, _refuse, cudnn=False)


def _refuse_drawing(**arguments: Any) -> None:
    refuse_padded(**arguments)
    refusing_layer(_refuse)(**arguments)


def _drawn(
    *,
    x: Tensor,
    h0: Tensor | None = None,
    direction: str,
    rate: float,
    training: bool,
    seed: int | None,
    **arguments: Any,
) -> Outputs:
    return run_drawing(
        RNN,
        x,
        arguments,
        RNN.initial(x, arguments["W"].shape[1], h0),
        training=training,
        seed=seed,
        reverse=direction == "reverse",
        recurrent_dropout=rate,
    )


NATIVES: Final[Mapping[str, Native]] = {"rnn_cell": cell_native(RNN), "rnn": layer_native(RNN)}
DRAWING: Final[Mapping[str, Native]] = {
    "rnn": Native("keras.layers.SimpleRNN (recurrent_dropout=rate)", _drawn, _refuse_drawing)
}
"""Keras's LSTM and GRU have a mask of the state for each gate, and not one for all."""
SCRIPTS: Final[Mapping[str, Script]] = {"rnn_cell": cell_source(RNN), "rnn": layer_source(RNN)}
