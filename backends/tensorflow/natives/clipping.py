"""Clipping of gradients, by TensorFlow's functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.tensorflow.framework import Outputs, Tensor, tf


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


def _source(call: Call) -> Lines:
    threshold = call.attributes["threshold"]
    match call.operation:
        case "clip_by_value":
            return Lines([f'results = [tf.clip_by_value(t["x"], {-threshold!r}, {threshold!r})]'])
        case "clip_by_norm":
            return Lines([f'results = [tf.clip_by_norm(t["x"], {threshold!r})]'])
    arrays = ", ".join(f't["{name}"]' for name in call.inputs)
    return Lines([f"clipped, norm = tf.clip_by_global_norm([{arrays}], {threshold!r})", "results = [*clipped, norm]"])


NATIVES: Final[Mapping[str, Native]] = {
    "clip_by_value": Native("tf.clip_by_value", _clip_by_value),
    "clip_by_norm": Native("tf.clip_by_norm", _clip_by_norm, _refuse_epsilon),
    "clip_by_global_norm": Native("tf.clip_by_global_norm", _clip_by_global_norm, _refuse_epsilon),
}
SCRIPTS: Final[Mapping[str, Script]] = dict.fromkeys(NATIVES, _source)
