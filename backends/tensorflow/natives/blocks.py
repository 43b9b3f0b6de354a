"""Building blocks: Keras's Dense, Embedding and Softmax, and TensorFlow's log_softmax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.layouts.keras import ACTIVATIONS
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.tensorflow.framework import Outputs, Tensor, tf
from rnnspec.backends.tensorflow.keras_layers import built, call, call_drawing, drawing, without_advice
from rnnspec.backends.tensorflow.sequences import mask_source, valid_steps


def _dense(*, x: Tensor, W: Tensor, b: Tensor, activation: str) -> Outputs:
    units, features = W.shape
    layer = built(
        "Dense",
        (None, features),
        x.dtype.name,
        units=units,
        activation=ACTIVATIONS[activation],
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


def _drawn_dropout(
    *,
    x: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    shared_over: str,
    rate: float,
    training: bool,
    seed: int | None,
) -> Outputs:
    """Keras's Dropout, and of whole features its SpatialDropout1D."""
    kind = "SpatialDropout1D" if shared_over == "time" else "Dropout"
    layer = drawing(kind, (None, None, x.shape[2]), x.dtype.name, seed, rate=rate)
    y, valid = call_drawing(layer, [], x, training=training), valid_steps(x.shape[1], lengths, mask)
    return (y if valid is None else tf.where(valid[..., None], y, tf.zeros((), y.dtype)),)


def _refuse_padding(*, lengths: Tensor | None = None, mask: Tensor | None = None, **others: Any) -> None:
    if lengths is not None or mask is not None:
        raise Unsupported("tf.nn.log_softmax has no mask")


def _dense_source(call: Call) -> Lines:
    units, features = call.inputs["W"].shape
    return Lines(
        ['y, _ = layer.stateless_call([tf.transpose(t["W"]), t["b"]], [], t["x"])', "results = [y]"],
        (
            f"layer = keras.layers.Dense({units}, {ACTIVATIONS[call.attributes['activation']]!r}, dtype=dtype)",
            f"layer.build((None, {features}))",
        ),
    )


def _embedding_source(call: Call) -> Lines:
    rows, features = call.inputs["E"].shape
    make = (f"layer = keras.layers.Embedding({rows}, {features}, dtype=dtype)", "layer.build((None, None))")
    mask = mask_source(call, 'inputs["ids"].shape[1]')
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


def _softmax_source(call: Call) -> Lines:
    mask = mask_source(call, 't["x"].shape[1]')
    return Lines([f"mask = {mask}", 'results = [keras.layers.Softmax(dtype=dtype)(t["x"], mask=mask)]'])


def _log_softmax_source(call: Call) -> Lines:
    return Lines(['results = [tf.nn.log_softmax(t["x"])]'])


NATIVES: Final[Mapping[str, Native]] = {
    "dense": Native("keras.layers.Dense", _dense),
    "embedding": Native("keras.layers.Embedding", _embedding),
    "softmax": Native("keras.layers.Softmax", _softmax),
    "log_softmax": Native("tf.nn.log_softmax", _log_softmax, _refuse_padding),
}
DRAWING: Final[Mapping[str, Native]] = {"dropout": Native("keras.layers.Dropout, SpatialDropout1D", _drawn_dropout)}
SCRIPTS: Final[Mapping[str, Script]] = {
    "dense": _dense_source,
    "embedding": _embedding_source,
    "softmax": _softmax_source,
    "log_softmax": _log_softmax_source,
}
