"""The GRU, by keras.layers.GRUCell and keras.layers.GRU.

Keras has both places of the reset gate. Its update gate stands first and keeps the state before; where a gate of 1
admits the candidate, the weights of that gate change sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.layouts.keras import ACTIVATIONS
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Script
from rnnspec.backends.tensorflow.keras_layers import refuse_functions
from rnnspec.backends.tensorflow.natives.recurrent import Network, cell_native, layer_native
from rnnspec.backends.tensorflow.natives.recurrent_source import cell_source, layer_source


def _refuse(*, update: str, activation: str, recurrent_activation: str, clip: float | None, **others: Any) -> None:
    refuse_functions(activation, recurrent_activation)
    if update == "admits" and recurrent_activation != "logistic":
        raise Unsupported("Keras's update gate keeps the state; with weights negated it admits it, if it is logistic")
    if clip is not None:
        raise Unsupported("Keras's GRU does not clip")


def _choices(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "activation": ACTIVATIONS[attributes["activation"]],
        "recurrent_activation": ACTIVATIONS[attributes["recurrent_activation"]],
        "reset_after": attributes["reset"] == "after",
    }


def _gates(call: Call) -> str:
    z = "-W[1]" if call.attributes["update"] == "admits" else "W[1]"
    return f"tf.stack([{z}, W[0], W[2]])"


GRU: Final = Network("gru", "GRU", ("h0",), _choices, _refuse, gates=_gates)
NATIVES: Final[Mapping[str, Native]] = {"gru_cell": cell_native(GRU), "gru": layer_native(GRU)}
SCRIPTS: Final[Mapping[str, Script]] = {"gru_cell": cell_source(GRU), "gru": layer_source(GRU)}
