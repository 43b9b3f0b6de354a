"""Keras's attention: its layers, the scores inside them, and the softmax with a mask that makes weights of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
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


def _refuse_nothing_seen(
    *,
    q: Tensor,
    k: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    causal: bool,
    **others: Any,
) -> None:
    if 0 in (*q.shape, *k.shape):
        raise Unsupported("Keras's attention is called with a query and a key at least")
    valid = valid_steps(k.shape[1], lengths, mask)
    if valid is not None and not bool(tf.reduce_all(tf.reduce_any(valid[:, :1] if causal else valid, 1))):
        raise Unsupported("Keras's attention gives a query that sees no key the mean of all values")


def _refuse_attention(*, score: str, scale: float | None, **arguments: Any) -> None:
    if score not in _LAYERS:
        raise Unsupported(f"Keras has no attention by the score {score} with these parameters")
    if score == "additive" and scale is not None:
        raise Unsupported("Keras's AdditiveAttention has no scale but its vector")
    _refuse_nothing_seen(**arguments)


_LAYERS: Final[Mapping[str, str]] = {"dot": "Attention", "scaled_dot": "Attention", "additive": "AdditiveAttention"}


def _attention(
    *,
    q: Tensor,
    k: Tensor,
    values: Tensor,
    W_q: Tensor | None = None,
    W_k: Tensor | None = None,
    b_a: Tensor | None = None,
    v_a: Tensor | None = None,
    query_mask: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    score: str,
    scale: float | None,
    causal: bool,
    **others: Any,
) -> Outputs:
    valid = valid_steps(k.shape[1], lengths, mask)
    k, values = _read(valid, k, values)
    if score == "additive":
        q, k, weights = _projected(q, W_q, b_a), _projected(k, W_k), [v_a]
    else:
        factor = _factor(score, scale, q.shape[2])
        weights = [] if factor is None else [tf.constant(factor, q.dtype)]
    layer = built(_LAYERS[score], _unknown(q, values, k), q.dtype.name, use_scale=bool(weights))
    masks = None if query_mask is None and valid is None else [query_mask, valid]
    context, shown = call(
        layer, weights, [q, values, k], mask=masks, return_attention_scores=True, use_causal_mask=causal
    )
    if query_mask is not None:  # of a query that is masked, the layer shows the weights that it would have
        shown = tf.where(query_mask[..., None], shown, tf.zeros((), shown.dtype))
    return context, shown


def _factor(score: str, scale: float | None, features: int) -> float | None:
    """The number that scores are multiplied by; None for none."""
    if score == "dot":
        return scale
    return float(features**-0.5 * (1.0 if scale is None else scale))


def _read(valid: Tensor | None, *arrays: Tensor) -> tuple[Tensor, ...]:
    """Keys and values, 0 where they are taken out: a weight of 0 does not remove a NaN."""
    if valid is None:
        return arrays
    return tuple(tf.where(valid[..., None], array, tf.zeros((), array.dtype)) for array in arrays)


def _multi_head_attention(
    *,
    q: Tensor,
    k: Tensor,
    values: Tensor,
    W_o: Tensor,
    b_o: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    causal: bool,
    averaged: bool,
    **arguments: Any,
) -> Outputs:
    valid = valid_steps(k.shape[1], lengths, mask)
    k, values = _read(valid, k, values)
    biases = [*(arguments.get(f"b_{name}") for name in "qkv"), b_o]
    has_bias = any(b is not None for b in biases)
    heads, units = arguments["W_q"].shape[:2]
    kernels = [*(tf.transpose(arguments[f"W_{name}"], (2, 0, 1)) for name in "qkv"), tf.transpose(W_o, (0, 2, 1))]
    weights: list[Tensor] = []
    for kernel, b in zip(kernels, biases, strict=True):
        weights.append(kernel)
        if has_bias:
            shape = kernel.shape[1:] if len(weights) < 7 else kernel.shape[2:]
            weights.append(tf.zeros(shape, kernel.dtype) if b is None else b)
    options = {"value_dim": arguments["W_v"].shape[1], "output_shape": W_o.shape[1], "use_bias": has_bias}
    layer = _heads(_unknown(q, values, k), q.dtype.name, num_heads=heads, key_dim=units, **options)
    y, shown = call(layer, weights, q, values, k, key_mask=valid, return_attention_scores=True, use_causal_mask=causal)
    return y, tf.reduce_mean(shown, 1) if averaged else shown


@lru_cache(maxsize=512)
def _heads(shapes: tuple[Any, ...], dtype: str, **options: Any) -> Any:
    """Return Keras's layer, built for a query, a value and a key of these shapes."""
    with tf.init_scope():
        layer = keras.layers.MultiHeadAttention(dtype=dtype, **options)
        layer.build(*shapes)
    return layer


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


def _attention_source(call: Call) -> Lines:
    score, (queries, keys) = call.attributes["score"], (call.inputs[name].shape[2] for name in ("q", "k"))
    lines, valid = _read_source(call)
    weights = "[]"
    if score == "additive":
        weights, queries, keys = '[t["v_a"]]', *(call.inputs[name].shape[0] for name in ("W_q", "W_k"))
        added = '+ t["b_a"]' if "b_a" in call.inputs else ""
        lines += [f'q = keras.ops.matmul(q, tf.transpose(t["W_q"])) {added}'.rstrip()]
        lines += ['k = keras.ops.matmul(k, tf.transpose(t["W_k"]))']
    elif (factor := _factor(score, call.attributes["scale"], queries)) is not None:
        weights = f"[tf.constant({factor!r}, q.dtype)]"
    masked = 'inputs["query_mask"]' if "query_mask" in call.inputs else None
    masks = f"[{masked}, {valid}]" if masked or valid else "None"
    lines += [
        f"weights = {weights}",
        f"options = dict(mask={masks}, return_attention_scores=True, use_causal_mask={call.attributes['causal']})",
        "(context, shown), _ = layer.stateless_call(weights, [], [q, values, k], **options)",
    ]
    if masked:
        lines.append('shown = tf.where(inputs["query_mask"][..., None], shown, tf.zeros((), shown.dtype))')
    shapes = f"[(None, None, {queries}), (None, None, {call.inputs['values'].shape[2]}), (None, None, {keys})]"
    make = f"layer = keras.layers.{_LAYERS[score]}(use_scale={weights != '[]'}, dtype=dtype)"
    return Lines([*lines, "results = [context, shown]"], (make, f"layer.build({shapes})"))


def _heads_source(call: Call) -> Lines:
    lines, valid = _read_source(call)
    heads, units, features = call.inputs["W_q"].shape
    size, read = call.inputs["W_v"].shape[1:]
    has_bias = any(f"b_{name}" in call.inputs for name in "qkvo")
    shapes = dict.fromkeys("qk", (heads, units)) | {"v": (heads, size), "o": (call.inputs["W_o"].shape[1],)}
    inward = [(2, 0, 1)] * 3
    lines.append("weights = []")
    for name, order in zip("qkvo", [*inward, (0, 2, 1)], strict=True):
        given = f't["b_{name}"]' if f"b_{name}" in call.inputs else f"tf.zeros({shapes[name]}, q.dtype)"
        with_bias = f", {given}" if has_bias else ""
        lines.append(f'weights += [tf.transpose(t["W_{name}"], {order}){with_bias}]')
    averaged = "tf.reduce_mean(shown, 1)" if call.attributes["averaged"] else "shown"
    lines += [
        f"options = dict(key_mask={valid}, return_attention_scores=True, use_causal_mask={call.attributes['causal']})",
        "(y, shown), _ = layer.stateless_call(weights, [], q, values, k, **options)",
        f"results = [y, {averaged}]",
    ]
    made = f"{heads}, {units}, {size}, output_shape={call.inputs['W_o'].shape[1]}, use_bias={has_bias}, dtype=dtype"
    each = ", ".join(f"(None, None, {size})" for size in (features, read, call.inputs["W_k"].shape[2]))
    return Lines(lines, (f"layer = keras.layers.MultiHeadAttention({made})", f"layer.build({each})"))


def _read_source(call: Call) -> tuple[list[str], str | None]:
    """Lines that read queries, keys and values, with 0 where keys are taken out, and the name of the mask, if any."""
    mask = mask_source(call, 't["k"].shape[1]')
    lines = ['q, k, values = t["q"], t["k"], t["values"]']
    if mask is not None:
        lines += [f"valid = {mask}"]
        lines += ["k, values = (tf.where(valid[..., None], a, tf.zeros((), a.dtype)) for a in (k, values))"]
    return lines, None if mask is None else "valid"


NATIVES: Final[Mapping[str, Native]] = {
    "attention_scores": Native("keras.layers.Dot and keras.layers.AdditiveAttention", _scores, _refuse),
    "attention_weights": Native("keras.layers.Softmax", _weights),
    "attention": Native("keras.layers.Attention and keras.layers.AdditiveAttention", _attention, _refuse_attention),
    "multi_head_attention": Native("keras.layers.MultiHeadAttention", _multi_head_attention, _refuse_nothing_seen),
}
SCRIPTS: Final[Mapping[str, Script]] = {
    "attention_scores": _scores_source,
    "attention_weights": _weights_source,
    "attention": _attention_source,
    "multi_head_attention": _heads_source,
}
