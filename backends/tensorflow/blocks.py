"""Keras's Dense, Embedding and Softmax, and TensorFlow's log_softmax and clipping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.native import Native
from rnnspec.backends.tensorflow.framework import Tensor, tf
from rnnspec.backends.tensorflow.keras_layers import FUNCTIONS, built, call, without_advice
from rnnspec.backends.tensorflow.sequences import valid_steps

Outputs = tuple[Tensor, ...]


def _dense(*, x: Tensor, W: Tensor, b: Tensor, activation: str) -> Outputs:
    units, features = W.shape
    layer = built(
        "Dense",
        (None, features),
        x.dtype.name,
        units=units,
        activation=FUNCTIONS[activation],
        kernel_initializer="zeros",
    )
    with without_advice():
        return (call(layer, [tf.transpose(W), b], x),)


def _embedding(*, ids: Tensor, E: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Keras's Embedding. It has no padding but by an id of its own: here that is 0, and its rows become 0 after it."""
    valid = valid_steps(ids.shape[1], lengths, mask)
    rows, features = E.shape
    layer = built(
        "Embedding",
        (None, None),
        E.dtype.name,
        input_dim=rows,
        output_dim=features,
        embeddings_initializer="zeros",
    )
    if valid is None:
        return (call(layer, [E], ids),)
    y = call(layer, [E], tf.where(valid, ids, 0))
    return (tf.where(valid[..., None], y, tf.zeros((), y.dtype)),)


def _softmax(*, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    valid = valid_steps(x.shape[1], lengths, mask)
    with without_advice():
        return (call(built("Softmax", (None, None), x.dtype.name), [], x, mask=valid),)


def _log_softmax(*, x: Tensor) -> Outputs:
    return (tf.nn.log_softmax(x),)


def _refuse_padding(*, lengths: Tensor | None = None, mask: Tensor | None = None, **others: Any) -> None:
    if lengths is not None or mask is not None:
        raise Unsupported("tf.nn.log_softmax has no mask")


def _clip_by_value(*, x: Tensor, threshold: float) -> Outputs:
    return (tf.clip_by_value(x, -threshold, threshold),)


def _clip_by_norm(*, x: Tensor, threshold: float, epsilon: float) -> Outputs:
    return (tf.clip_by_norm(x, threshold),)


def _clip_by_global_norm(*, x1: Tensor, x2: Tensor, x3: Tensor, threshold: float, epsilon: float) -> Outputs:
    clipped, norm = tf.clip_by_global_norm([x1, x2, x3], threshold)
    return *clipped, norm


def _refuse_epsilon(*, epsilon: float, **others: Any) -> None:
    if epsilon:
        raise Unsupported("TensorFlow's clipping adds nothing to the norm")


NATIVES: Final[Mapping[str, Native]] = {
    "dense": Native("keras.layers.Dense", _dense),
    "embedding": Native("keras.layers.Embedding", _embedding),
    "softmax": Native("keras.layers.Softmax", _softmax),
    "log_softmax": Native("tf.nn.log_softmax", _log_softmax, _refuse_padding),
    "clip_by_value": Native("tf.clip_by_value", _clip_by_value),
    "clip_by_norm": Native("tf.clip_by_norm", _clip_by_norm, _refuse_epsilon),
    "clip_by_global_norm": Native("tf.clip_by_global_norm", _clip_by_global_norm, _refuse_epsilon),
}
