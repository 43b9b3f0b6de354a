"""Keras's layers as functions: a layer is built once for a configuration, and each call brings its own weights.

``stateless_call`` is Keras's own way of doing so: gradients flow to the weights, eager and inside graphs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.layouts.keras import ACTIVATIONS
from rnnspec.backends.tensorflow.framework import Tensor, keras, tf


def refuse_functions(*names: str) -> None:
    """Refuse activations that Keras has not."""
    for name in names:
        if name not in ACTIVATIONS:
            raise Unsupported(f"Keras has no activation {name}")


_cudnn: ContextVar[bool] = ContextVar("cudnn", default=False)


@contextmanager
def with_cudnn(allowed: bool) -> Iterator[None]:
    """Let Keras's layers use cuDNN, as they do by themselves on a GPU, or not."""
    token = _cudnn.set(allowed)
    try:
        yield
    finally:
        _cudnn.reset(token)


def cudnn(mask: Tensor | None) -> str | bool:
    """Value of a layer's ``use_cudnn``.

    In a graph the layer cannot find out beforehand whether cuDNN takes the mask (padding at the right, no sequence
    empty), and the call would end in an error.
    """
    return "auto" if _cudnn.get() and (mask is None or not tf.inside_function()) else False


@lru_cache(maxsize=512)
def built(kind: str, shape: tuple[Any, ...], dtype: str, **options: Any) -> Any:
    """Return a layer of keras.layers, built for an input of that shape, or for several of those shapes."""
    with tf.init_scope():  # not inside the graph that may just be traced
        layer = getattr(keras.layers, kind)(dtype=dtype, **options)
        layer.build(list(shape) if isinstance(shape[0], tuple) else shape)
    return layer


_drawing: dict[tuple[Any, ...], Any] = {}
"""The layers that draw, as the calls before left them."""


def drawing(kind: str, shape: tuple[Any, ...], dtype: str, seed: int | None, **options: Any) -> Any:
    """Return a layer of keras.layers that draws masks: one with a new seed or, for None, as the last call left it."""
    key = (kind, shape, dtype, *options.items())
    if seed is not None or key not in _drawing:
        layer = getattr(keras.layers, kind)(dtype=dtype, seed=seed, **options)
        layer.build(shape)
        _drawing[key] = layer
    return _drawing[key]


@contextmanager
def without_advice() -> Iterator[None]:
    """Keras says of a softmax over a single number that it is always 1."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using a softmax over axis")
        yield


def call(layer: Any, weights: Sequence[Tensor], *arguments: Any, **more: Any) -> Any:
    """Outputs of a layer with these in place of its trainable weights."""
    others = [variable.value for variable in layer.non_trainable_variables]  # seeds of dropout, which is off
    outputs, _ = layer.stateless_call(list(weights), others, *arguments, **more)
    return outputs


def call_drawing(layer: Any, weights: Sequence[Tensor], *arguments: Any, training: bool, **more: Any) -> Any:
    """As `call`, with a layer that draws masks in training: its seeds go on."""
    others = [variable.value for variable in layer.non_trainable_variables]
    outputs, after = layer.stateless_call(list(weights), others, *arguments, training=training, **more)
    for variable, value in zip(layer.non_trainable_variables, after, strict=True):
        variable.assign(value)
    return outputs
