"""Keras's recurrent cells and layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.layouts.gates import Family
from rnnspec.backends.native import Native
from rnnspec.backends.tensorflow.framework import Tensor, tf
from rnnspec.backends.tensorflow.keras_layers import FUNCTIONS, built, call, cudnn
from rnnspec.backends.tensorflow.sequences import valid_steps
from rnnspec.backends.tensorflow.weights import from_spec

Outputs = tuple[Tensor, ...]

LAYERS: Final[Mapping[Family, str]] = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
"""Keras's name of each family's layer."""


def refuse_options(
    *,
    activations: Any = ("logistic", "tanh", "tanh"),
    clip: float | None = None,
    coupled: bool = False,
    projection: bool = False,
    gradient: str = "full",
    **others: Any,
) -> None:
    """Unsupported for what Keras's cells have not."""
    if activations[1] != activations[2]:
        raise Unsupported("Keras's LSTM has one activation for the candidate and the output")
    if clip is not None:
        raise Unsupported("Keras's LSTM does not clip")
    if coupled:
        raise Unsupported("Keras's LSTM has no coupled gates")
    if projection:
        raise Unsupported("Keras's LSTM has no projection")
    if gradient != "full":
        raise Unsupported("Keras's LSTM has no gradient but the full one")


def refuse_layer(
    *, x: Tensor, truncate: int | None = None, recurrent_dropout: float | None = None, **attributes: Any
) -> None:
    """Unsupported for what Keras's layers have not."""
    refuse_options(**attributes)
    if truncate is not None:
        raise Unsupported("Keras's layers do not truncate the gradient within a sequence")
    if recurrent_dropout is not None:
        raise Unsupported("Keras's layers draw the mask of their recurrent dropout themselves")
    if x.shape[1] == 0:
        raise Unsupported("Keras's layers refuse sequences of no steps (T = 0)")


def options(family: Family, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a Keras cell or layer for attributes of the specification."""
    # What a layer would begin with is never used: zeros cost least.
    chosen: dict[str, Any] = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
    if family == "rnn":
        return {**chosen, "activation": FUNCTIONS[attributes["activation"]]}
    if family == "gru":
        return {**chosen, "reset_after": attributes["reset"] == "after"}
    gate, candidate, _ = attributes["activations"]
    return {
        **chosen,
        "recurrent_activation": FUNCTIONS[gate],
        "activation": FUNCTIONS[candidate],
        "unit_forget_bias": False,
    }


def keras_weights(
    family: Family, W: Tensor, R: Tensor, b: Tensor, b_rn: Tensor | None, attributes: Mapping[str, Any]
) -> list[Tensor]:
    """Keras's weights, in the order in which its layers list them."""
    return list(from_spec(family, W, R, b, b_rn, update=attributes.get("update", "keeps")).values())


def layer_options(family: Family, mask: Tensor | None, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a Keras layer that gives all its outputs, 0 at masked steps, and its states."""
    on_gpu = {} if family == "rnn" else {"use_cudnn": cudnn(mask)}
    return {
        **options(family, attributes),
        **on_gpu,
        "return_sequences": True,
        "return_state": True,
        "zero_output_for_mask": True,
    }


def initial_state(family: Family, x: Tensor, units: int, h0: Tensor | None, c0: Tensor | None) -> list[Tensor]:
    """States before the first step, as Keras takes them."""
    given = (h0, c0) if family == "lstm" else (h0,)
    return [tf.zeros((x.shape[0], units), x.dtype) if state is None else state for state in given]


def run_layer(
    family: Family,
    x: Tensor,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_rn: Tensor | None,
    states: list[Tensor],
    mask: Tensor | None,
    *,
    reverse: bool,
    attributes: Mapping[str, Any],
) -> Outputs:
    """Outputs and final states of Keras's layer.

    Keras gives the outputs of a layer that goes backwards in the order of its reading.
    """
    layer = built(
        LAYERS[family],
        (None, None, x.shape[2]),
        x.dtype.name,
        units=W.shape[1],
        go_backwards=reverse,
        **layer_options(family, mask, attributes),
    )
    y, *after = call(layer, keras_weights(family, W, R, b, b_rn, attributes), x, initial_state=states, mask=mask)
    return (tf.reverse(y, [1]) if reverse else y, *after)


def _cell(family: Family) -> Native:
    def cell(
        *,
        x: Tensor,
        h_prev: Tensor,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        b_rn: Tensor | None = None,
        c_prev: Tensor | None = None,
        **attributes: Any,
    ) -> Outputs:
        states = [h_prev] if c_prev is None else [h_prev, c_prev]
        shape, units = (None, x.shape[1]), W.shape[1]
        one = built(f"{LAYERS[family]}Cell", shape, x.dtype.name, units=units, **options(family, attributes))
        _, after = call(one, keras_weights(family, W, R, b, b_rn, attributes), x, states)
        return tuple(after)

    return Native(f"keras.layers.{LAYERS[family]}Cell", cell, refuse_options)


def _layer(family: Family) -> Native:
    def layer(
        *,
        x: Tensor,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        b_rn: Tensor | None = None,
        h0: Tensor | None = None,
        c0: Tensor | None = None,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        direction: str,
        **attributes: Any,
    ) -> Outputs:
        states = initial_state(family, x, W.shape[1], h0, c0)
        valid = valid_steps(x.shape[1], lengths, mask)
        return run_layer(family, x, W, R, b, b_rn, states, valid, reverse=direction == "reverse", attributes=attributes)

    return Native(f"keras.layers.{LAYERS[family]}", layer, refuse_layer)


NATIVES: Final[Mapping[str, Native]] = {
    **{f"{family}_cell": _cell(family) for family in LAYERS},
    **{family: _layer(family) for family in LAYERS},
}
