"""Weights to Keras and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from rnnspec.backends import Call
from rnnspec.backends.layouts.gates import GATES, Family, LayoutError
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.backends.tensorflow import from_spec, to_spec
from rnnspec.backends.tensorflow.framework import keras, tf
from rnnspec.spec import operation

B, T, D, H = 3, 4, 2, 5
KINDS: dict[str, tuple[Family, dict[str, Any], str, dict[str, Any]]] = {
    "rnn": ("rnn", {}, "SimpleRNN", {}),
    "lstm": ("lstm", {}, "LSTM", {}),
    "gru before": ("gru", {"reset": "before"}, "GRU", {"reset_after": False}),
    "gru after": ("gru", {"reset": "after"}, "GRU", {}),
    "gru after, admits": ("gru", {"reset": "after", "update": "admits"}, "GRU", {}),
}


def parameters(kind: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    family, attributes, _, _ = KINDS[kind]
    gates = GATES[family]
    shapes: dict[str, tuple[int, ...]] = {"W": (gates, H, D), "R": (gates, H, H), "b": (gates, H)}
    if attributes.get("reset") == "after":
        shapes["b_rn"] = (H,)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_keras_layer_with_these_weights_is_the_specification_s(kind: str) -> None:
    family, attributes, layer_name, options = KINDS[kind]
    arrays, x = parameters(kind), np.random.default_rng(1).normal(size=(B, T, D))
    tensors = {name: tf.constant(array) for name, array in arrays.items()}
    weights = from_spec(family, **tensors, update=attributes.get("update", "keeps"))
    layer = getattr(keras.layers, layer_name)(H, return_sequences=True, dtype="float64", **options)
    layer.build((None, None, D))
    assert [variable.name for variable in layer.trainable_variables] == list(weights)
    layer.set_weights([weight.numpy() for weight in weights.values()])
    call = Call(family, {"x": x, **arrays}, {**operation(family).defaults(), **attributes})
    np.testing.assert_allclose(layer(x).numpy(), NumpyBackend().run(call)[0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind: str) -> None:
    family, attributes, _, _ = KINDS[kind]
    update = attributes.get("update", "keeps")
    arrays = parameters(kind)
    weights = from_spec(family, **{name: tf.constant(array) for name, array in arrays.items()}, update=update)
    back = to_spec(family, weights, update=update)
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name].numpy(), array)


def test_gradients_flow_through() -> None:
    tensors = {name: tf.constant(array) for name, array in parameters("gru after, admits").items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        total = sum(tf.reduce_sum(weight) for weight in from_spec("gru", **tensors, update="admits").values())
    gradients = tape.gradient(total, tensors)
    np.testing.assert_array_equal(gradients["b"].numpy(), [[1] * H, [-1] * H, [1] * H])
    np.testing.assert_array_equal(gradients["b_rn"].numpy(), [1] * H)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LayoutError, match=r"R: expected shape"):
        from_spec("rnn", tf.zeros((1, H, D)), tf.zeros((1, H, H + 1)), tf.zeros((1, H)))
