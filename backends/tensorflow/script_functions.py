"""Calls of Keras's layers without recurrence, of its losses and of TensorFlow's functions, as source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnnspec.backends.contract import Call
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.tensorflow.keras_layers import FUNCTIONS as ACTIVATIONS
from rnnspec.backends.tensorflow.losses import IGNORED, REDUCTIONS

_X: Final = 't["x"]'


def mask_of(call: Call, steps: str) -> str | None:
    """The mask (B, T) of the valid steps, in source; None if all are."""
    if "mask" in call.inputs:
        return 'inputs["mask"]'
    return f'tf.sequence_mask(inputs["lengths"], {steps})' if "lengths" in call.inputs else None


def _dense(call: Call) -> Lines:
    units, features = call.inputs["W"].shape
    return Lines(
        ['y, _ = layer.stateless_call([tf.transpose(t["W"]), t["b"]], [], t["x"])', "results = [y]"],
        (
            f"layer = keras.layers.Dense({units}, {ACTIVATIONS[call.attributes['activation']]!r}, dtype=dtype)",
            f"layer.build((None, {features}))",
        ),
    )


def _embedding(call: Call) -> Lines:
    rows, features = call.inputs["E"].shape
    make = (f"layer = keras.layers.Embedding({rows}, {features}, dtype=dtype)", "layer.build((None, None))")
    mask = mask_of(call, 'inputs["ids"].shape[1]')
    if mask is None:
        return Lines(['y, _ = layer.stateless_call([t["E"]], [], inputs["ids"])', "results = [y]"], make)
    return Lines(
        [
            f"valid = {mask}",
            'y, _ = layer.stateless_call([t["E"]], [], tf.where(valid, inputs["ids"], 0))',
            "results = [tf.where(valid[..., None], y, tf.zeros((), y.dtype))]",
        ],
        make,
    )


def _softmax(call: Call) -> Lines:
    mask = mask_of(call, f"{_X}.shape[1]")
    return Lines([f"mask = {mask}", f"results = [keras.layers.Softmax(dtype=dtype)({_X}, mask=mask)]"])


def _attention_weights(call: Call) -> Lines:
    mask = mask_of(call, 't["scores"].shape[2]')
    given = None if mask is None else f"{mask}[:, None, :]"
    return Lines([f"mask = {given}", 'results = [keras.layers.Softmax(dtype=dtype)(t["scores"], mask=mask)]'])


def _attention_scores(call: Call) -> Lines:
    mask, make = mask_of(call, 't["k"].shape[1]'), []
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


def _log_softmax(call: Call) -> Lines:
    return Lines([f"results = [tf.nn.log_softmax({_X})]"])


def _clipping(call: Call) -> Lines:
    threshold = call.attributes["threshold"]
    match call.operation:
        case "clip_by_value":
            return Lines([f"results = [tf.clip_by_value({_X}, {-threshold!r}, {threshold!r})]"])
        case "clip_by_norm":
            return Lines([f"results = [tf.clip_by_norm({_X}, {threshold!r})]"])
    arrays = ", ".join(f't["{name}"]' for name in call.inputs)
    return Lines([f"clipped, norm = tf.clip_by_global_norm([{arrays}], {threshold!r})", "results = [*clipped, norm]"])


def _loss(kind: str) -> Script:
    """One of Keras's losses over (B, T, D), a mean over D at each step; steps are taken out by weights of 0."""

    def lines(call: Call) -> Lines:
        prediction = next(name for name in ("prediction", "logits") if name in call.inputs)
        target = "ids" if "ids" in call.inputs else "target"
        y_true, y_pred = 'inputs["ids"]' if target == "ids" else 't["target"]', f't["{prediction}"]'
        options = [f"reduction={REDUCTIONS[call.attributes['reduction']]!r}", "dtype=dtype"]
        if kind == "BinaryCrossentropy":  # over the last axis, Keras takes a mean
            y_true, y_pred = f"{y_true}[..., None]", f"{y_pred}[..., None]"
        if prediction == "logits":
            options.append("from_logits=True")
        given, weights = [], "None"
        mask = mask_of(call, f"{y_pred.removesuffix('[..., None]')}.shape[1]")
        if mask is not None:
            given = [f"valid = {mask}"]
            weights = "tf.cast(valid, dtype)"
            if target == "ids":
                given.append(f"ids = tf.where(valid, {y_true}, {IGNORED})")
                y_true = "ids"
                options.append(f"ignore_class={IGNORED}")
        loss = f"loss = keras.losses.{kind}(", f"    {', '.join(options)})"
        return Lines([*given, f"results = [loss({y_true}, {y_pred}, sample_weight={weights})]"], loss)

    return lines


FUNCTIONS: Final[Mapping[str, Script]] = {
    "dense": _dense,
    "embedding": _embedding,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "attention_scores": _attention_scores,
    "attention_weights": _attention_weights,
    "mean_absolute_error": _loss("MeanAbsoluteError"),
    "mean_squared_error": _loss("MeanSquaredError"),
    "binary_cross_entropy": _loss("BinaryCrossentropy"),
    "cross_entropy": _loss("SparseCategoricalCrossentropy"),
    "clip_by_value": _clipping,
    "clip_by_norm": _clipping,
    "clip_by_global_norm": _clipping,
}
"""Operations that have no recurrence."""
