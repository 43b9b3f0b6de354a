"""Keras's attention: the scores of its layers, and the softmax with a mask that makes weights of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.tensorflow.framework import Outputs, Tensor, keras, tf
from rnnspec.backends.tensorflow.keras_layers import built, call, without_advice
from rnnspec.backends.tensorflow.sequences import mask_source, valid_steps


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
    """Scores inside AdditiveAttention: the layer itself gives their softmax, or the context."""
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


def _scores_source(call: Call) -> Lines:
    mask, make = mask_source(call, 't["k"].shape[1]'), []
    lines = ['k = t["k"]']
    if mask is not None:
        lines = [f"valid = {mask}[..., None]", 'k = tf.where(valid, t["k"], tf.ones((), t["k"].dtype))']
    if call.attributes["score"] == "additive":
        make = ["layer = keras.layers.AdditiveAttention(dtype=dtype)"]
        units = call.inputs["W_q"].shape[0]
        make.append(f"layer.build([(None, None, {units})] * 2)")
        queries = 'keras.ops.matmul(t["q"], tf.transpose(t["W_q"]))'
        lines += [
            f'queries = keras.ops.add({queries}, t["b_a"])' if "b_a" in call.inputs else f"queries = {queries}",
            'keys = keras.ops.matmul(k, tf.transpose(t["W_k"]))',
            'with keras.StatelessScope(state_mapping=[(layer.scale, t["v_a"])]):',
            "    scores = layer._calculate_scores(queries, keys)",
        ]
    else:
        normalize = call.attributes["score"] == "cosine"
        lines.append(f'scores = keras.layers.Dot(axes=2, normalize={normalize}, dtype=dtype)([t["q"], k])')
    if mask is not None:
        lines.append("scores = tf.where(tf.transpose(valid, [0, 2, 1]), scores, tf.zeros((), scores.dtype))")
    return Lines([*lines, "results = [scores]"], tuple(make))


def _weights_source(call: Call) -> Lines:
    mask = mask_source(call, 't["scores"].shape[2]')
    given = None if mask is None else f"{mask}[:, None, :]"
    return Lines([f"mask = {given}", 'results = [keras.layers.Softmax(dtype=dtype)(t["scores"], mask=mask)]'])


NATIVES: Final[Mapping[str, Native]] = {
    "attention_scores": Native("keras.layers.Dot and keras.layers.AdditiveAttention", _scores, _refuse),
    "attention_weights": Native("keras.layers.Softmax", _weights),
}
SCRIPTS: Final[Mapping[str, Script]] = {
    "attention_scores": _scores_source,
    "attention_weights": _weights_source,
}
