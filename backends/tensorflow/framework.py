"""TensorFlow and Keras, imported here alone: without their chatter, and with Keras on TensorFlow.

The libraries log to standard error while they load, below Python and whatever their own settings say. That is set aside
until they have loaded, and shown if they do not. Environment variables are as before afterwards.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

Tensor = Any
"""A `tf.Tensor`; TensorFlow has no types that mypy could read."""

Outputs = tuple[Tensor, ...]

_DURING_IMPORT: Final = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",  # errors that matter are raised; the logged ones name missing kernels
}


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the process writes to standard error; an exception brings it out."""
    try:
        sys.stderr.flush()
        ours = os.dup(2)
    except (OSError, AttributeError):  # there is none
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(ours, held.read())
            raise
        finally:
            os.dup2(ours, 2)
            os.close(ours)


with _environment(_DURING_IMPORT), _quiet():
    import keras
    import tensorflow as tf

if keras.backend.backend() != "tensorflow":  # someone imported Keras first, with another backend
    raise ImportError(
        f"expected Keras on TensorFlow, got Keras on {keras.backend.backend()}: set KERAS_BACKEND=tensorflow"
    )

__all__ = ["Outputs", "Tensor", "keras", "tf"]
