"""Connectionist temporal classification, by tf.nn.ctc_loss, which computes in float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Script
from rnnspec.backends.tensorflow.framework import Tensor, tf
from rnnspec.backends.tensorflow.sequences import valid_steps

Outputs = tuple[Tensor, ...]


def _refuse(*, logits: Tensor, mask: Tensor | None = None, **others: Any) -> None:
    if logits.dtype == tf.float64:
        raise Unsupported("tf.nn.ctc_loss computes in float32")
    if logits.shape[1] == 0:
        raise Unsupported("tf.nn.ctc_loss refuses sequences of no steps (T = 0)")
    if mask is not None and bool(tf.reduce_any(mask[:, 1:] & ~mask[:, :-1])):
        raise Unsupported("tf.nn.ctc_loss has its padding at the right: no left padding, no holes")


def _ctc_loss(
    *,
    logits: Tensor,
    labels: Tensor,
    label_lengths: Tensor,
    blank: str,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
) -> Outputs:
    batch, steps, symbols = logits.shape
    valid = valid_steps(steps, lengths, mask)
    count = tf.fill([batch], steps) if valid is None else tf.reduce_sum(tf.cast(valid, tf.int32), 1)
    there = logits if valid is None else tf.where(valid[:, :, None], logits, tf.zeros((), logits.dtype))
    target, empty = (labels + 1, 0) if blank == "first" else (labels, symbols - 1)
    loss = tf.nn.ctc_loss(
        tf.cast(target, tf.int32),
        tf.cast(there, tf.float32),
        tf.cast(label_lengths, tf.int32),
        count,
        logits_time_major=False,
        blank_index=empty,
    )
    return (tf.cast(loss, logits.dtype),)


NATIVES: Final[Mapping[str, Native]] = {"ctc_loss": Native("tf.nn.ctc_loss", _ctc_loss, _refuse)}
SCRIPTS: Final[Mapping[str, Script]] = {}
