"""Keras 3's SimpleRNN, LSTM and GRU, and their cells, on a framework other than TensorFlow."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final

from rnnspec.backends.layouts.arrays import Shaping
from rnnspec.backends.layouts.keras import ACTIVATIONS, from_spec
from rnnspec.backends.taking import at_least, only

Tensor = Any
Many = tuple[Tensor, ...]

_WAYS: Final = {"forward", "reverse"}
_FUNCTIONS: Final = set(ACTIVATIONS) - {"softmax"}
_LSTMS: Final = {(gate, candidate, candidate) for gate in _FUNCTIONS for candidate in _FUNCTIONS}


def keras_on(framework: str) -> ModuleType:
    """Import Keras on a framework, which it takes one of for the whole process; ImportError if it has another."""
    os.environ.setdefault("KERAS_BACKEND", framework)
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = framework
    import keras

    if keras.backend.backend() != framework:
        raise ImportError(f"Keras runs on {keras.backend.backend()} in this process: expected {framework}")
    found: ModuleType = keras
    return found


class KerasLayers:
    """Keras's layers as functions of their weights: the methods of an adapter, on the arrays `xp` of its framework."""

    libraries: ClassVar[tuple[str, ...]] = ("keras",)
    by_default: ClassVar[bool] = False
    xp: ClassVar[Shaping]

    @classmethod
    def expected_failures(cls) -> Path | None:
        """The file of Keras's known faults."""
        return Path(__file__).with_name("keras.toml")

    @only(activation=_FUNCTIONS)
    def rnn_cell(self, x: Tensor, h_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, *, activation: str) -> Many:
        """Return h."""
        cell = _built("SimpleRNNCell", R.shape[1], x, activation=ACTIVATIONS[activation])
        return _after(cell, from_spec(self.xp, "rnn", W, R, b), x, [h_prev])

    @only(activations=_LSTMS)
    def lstm_cell(
        self, x: Tensor, h_prev: Tensor, c_prev: Tensor, W: Tensor, R: Tensor, b: Tensor, *, activations: Any
    ) -> Many:
        """Return h and c."""
        cell = _built("LSTMCell", R.shape[1], x, **_of_lstm(activations))
        return _after(cell, from_spec(self.xp, "lstm", W, R, b), x, [h_prev, c_prev])

    @only(update="keeps", activation=_FUNCTIONS, recurrent_activation=_FUNCTIONS)
    def gru_cell(self, x, h_prev, W, R, b, b_rn=None, b_R=None, *, reset, activation, recurrent_activation):  # type: ignore[no-untyped-def]
        """Return h."""
        cell = _built("GRUCell", R.shape[1], x, **_of_gru(reset, activation, recurrent_activation))
        return _after(cell, from_spec(self.xp, "gru", W, R, b, b_rn, b_R, reset=reset), x, [h_prev])

    @only(activation=_FUNCTIONS, direction=_WAYS, T=at_least(1))
    def rnn(self, x, W, R, b, h0, *, mask=None, activation, direction):  # type: ignore[no-untyped-def]
        """Return y and h_n."""
        layer = _layer("SimpleRNN", R.shape[1], x, direction, activation=ACTIVATIONS[activation])
        return _sequence(layer, from_spec(self.xp, "rnn", W, R, b), x, [h0], mask, direction)

    @only(activations=_LSTMS, direction=_WAYS, T=at_least(1))
    def lstm(self, x, W, R, b, h0, c0, *, mask=None, activations, direction):  # type: ignore[no-untyped-def]
        """Return y, h_n and c_n."""
        layer = _layer("LSTM", R.shape[1], x, direction, **_of_lstm(activations))
        return _sequence(layer, from_spec(self.xp, "lstm", W, R, b), x, [h0, c0], mask, direction)

    @only(update="keeps", activation=_FUNCTIONS, recurrent_activation=_FUNCTIONS, direction=_WAYS, T=at_least(1))
    def gru(  # type: ignore[no-untyped-def]
        self, x, W, R, b, h0, b_rn=None, b_R=None, *, mask=None, reset, activation, recurrent_activation, direction
    ):
        """Return y and h_n."""
        layer = _layer("GRU", R.shape[1], x, direction, **_of_gru(reset, activation, recurrent_activation))
        return _sequence(layer, from_spec(self.xp, "gru", W, R, b, b_rn, b_R, reset=reset), x, [h0], mask, direction)


def _of_lstm(activations: tuple[str, str, str]) -> dict[str, Any]:
    gate, candidate, _ = activations
    return {"recurrent_activation": ACTIVATIONS[gate], "activation": ACTIVATIONS[candidate], "unit_forget_bias": False}


def _of_gru(reset: str, activation: str, recurrent_activation: str) -> dict[str, Any]:
    functions = {"activation": ACTIVATIONS[activation], "recurrent_activation": ACTIVATIONS[recurrent_activation]}
    return {**functions, "reset_after": reset == "after"}


def _layer(kind: str, units: int, x: Tensor, direction: str, **options: Any) -> Any:
    ways = {"return_sequences": True, "return_state": True, "zero_output_for_mask": True}
    return _built(kind, units, x, go_backwards=direction == "reverse", **ways, **options)


def _built(kind: str, units: int, x: Tensor, **options: Any) -> Any:
    dtype = str(x.dtype).removeprefix("torch.")
    return _made(kind, units, (None,) * (len(x.shape) - 1) + (x.shape[-1],), dtype, **options)


@lru_cache(maxsize=512)
def _made(kind: str, units: int, shape: tuple[Any, ...], dtype: str, **options: Any) -> Any:
    """A layer of keras.layers, built for an input of that shape; its own weights are never used."""
    import keras

    zeros = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
    layer = getattr(keras.layers, kind)(units, dtype=dtype, **zeros, **options)
    layer.build(shape)
    return layer


def _called(layer: Any, weights: dict[str, Tensor], *arguments: Any, **more: Any) -> Any:
    others = [variable.value for variable in layer.non_trainable_variables]
    return layer.stateless_call(list(weights.values()), others, *arguments, **more)[0]


def _after(cell: Any, weights: dict[str, Tensor], x: Tensor, states: list[Tensor]) -> Many:
    return tuple(_called(cell, weights, x, states)[1])


def _sequence(
    layer: Any, weights: dict[str, Tensor], x: Tensor, states: list[Tensor], mask: Tensor, direction: str
) -> Many:
    """Outputs, which Keras gives in the order of its reading, and final states."""
    import keras

    y, *after = _called(layer, weights, x, initial_state=states, mask=mask)
    return (keras.ops.flip(y, 1) if direction == "reverse" else y, *after)
