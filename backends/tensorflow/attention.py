"""Keras's attention: the scores of its layers, and the softmax with a mask that makes weights of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.native import Native
from rnnspec.backends.tensorflow.framework import Tensor, keras, tf
from rnnspec.backends.tensorflow.keras_layers import built, call, without_advice
from rnnspec.backends.tensorflow.sequences import valid_steps

Outputs = tuple[Tensor, ...]


def _refuse(*, score: str, **others: Any) -> None:
    if score in ("scaled_dot", "general", "concat"):
        raise Unsupported(f"Keras has no layer that gives the score {score} with these parameters")


def _scores(
    *,
    q: Tensor,
    k: Tensor,
    W_q: Tensor | None = None,
    W_k: Tensor | None = None,
    b_a: Tensor | None = None,
    v_a: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    score: str,
) -> Outputs:
    valid = valid_steps(k.shape[1], lengths, mask)
    if valid is not None:  # none of these layers masks its scores; and of a vector of zeros there is no cosine
        k = tf.where(valid[..., None], k, tf.ones((), k.dtype))
    if score == "additive":
        scores = _additive(_projected(q, W_q, b_a), _projected(k, W_k), v_a)
    else:
        layer = built("Dot", _unknown(q, k), q.dtype.name, axes=2, normalize=score == "cosine")
        scores = call(layer, [], [q, k])
    if valid is not None:
        scores = tf.where(valid[:, None, :], scores, tf.zeros((), scores.dtype))
    return (scores,)


def _additive(queries: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """Scores inside AdditiveAttention: what the layer itself gives is their softmax, or the context."""
    layer = built("AdditiveAttention", _unknown(queries, keys), queries.dtype.name)
    with keras.StatelessScope(state_mapping=[(layer.scale, v)]):
        return layer._calculate_scores(queries, keys)


def _projected(x: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
    """Dense layer before the attention, as AdditiveAttention has no weights but v."""
    units, features = W.shape
    layer = built(
        "Dense",
        (None, None, features),
        x.dtype.name,
        units=units,
        use_bias=b is not None,
        kernel_initializer="zeros",
    )
    return call(layer, [tf.transpose(W), *(() if b is None else (b,))], x)


def _unknown(*inputs: Tensor) -> tuple[tuple[None, None, int], ...]:
    """Shapes of the inputs but for batch and steps."""
    return tuple((None, None, tensor.shape[2]) for tensor in inputs)


def _weights(*, scores: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    valid = valid_steps(scores.shape[2], lengths, mask)
    layer = built("Softmax", (None, None, None), scores.dtype.name)
    with without_advice():
        return (call(layer, [], scores, mask=None if valid is None else valid[:, None, :]),)


NATIVES: Final[Mapping[str, Native]] = {
    "attention_scores": Native("keras.layers.Dot and keras.layers.AdditiveAttention", _scores, _refuse),
    "attention_weights": Native("keras.layers.Softmax", _weights),
}
