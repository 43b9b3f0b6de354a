"""Connectionist temporal classification, by tf.nn.ctc_loss, which computes in float32.

Where no alignment fits, its loss is a large number, and nothing tells that it is none. Such calls are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.layouts.blank import with_blank
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.tensorflow.framework import Outputs, Tensor, tf
from rnnspec.backends.tensorflow.sequences import mask_source, valid_steps


def _refuse(
    *,
    logits: Tensor,
    labels: Tensor,
    label_lengths: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    **others: Any,
) -> None:
    if logits.dtype == tf.float64:
        raise Unsupported("tf.nn.ctc_loss computes in float32")
    if logits.shape[1] == 0:
        raise Unsupported("tf.nn.ctc_loss refuses sequences of no steps (T = 0)")
    if logits.shape[0] == 0:
        raise Unsupported("tf.nn.ctc_loss refuses a batch of no sequences (B = 0)")
    if mask is not None and bool(tf.reduce_any(mask[:, 1:] & ~mask[:, :-1])):
        raise Unsupported("tf.nn.ctc_loss has its padding at the right: no left padding, no holes")
    valid = valid_steps(logits.shape[1], lengths, mask)
    count = logits.shape[1] if valid is None else tf.reduce_sum(tf.cast(valid, tf.int64), 1)
    if bool(tf.reduce_any(_needed(labels, label_lengths) > count)):
        raise Unsupported("tf.nn.ctc_loss gives about 707 in place of infinity where no alignment fits")
    if valid is not None and not bool(tf.reduce_all(tf.reduce_any(valid, 1))):
        raise Unsupported("tf.nn.ctc_loss has no empty sequences: the loss of no label and no step is about 707")


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
    target, empty = with_blank(labels, blank, symbols)
    loss = tf.nn.ctc_loss(
        tf.cast(target, tf.int32),
        tf.cast(there, tf.float32),
        tf.cast(label_lengths, tf.int32),
        count,
        logits_time_major=False,
        blank_index=empty,
    )
    return (tf.cast(loss, logits.dtype),)


def _needed(labels: Tensor, label_lengths: Tensor) -> Tensor:
    """The fewest steps that emit each target: one a label, and a blank between two that are alike."""
    follows = tf.range(1, labels.shape[1], dtype=tf.int64) < label_lengths[:, None]
    alike = tf.logical_and(labels[:, 1:] == labels[:, :-1], follows)
    return label_lengths + tf.reduce_sum(tf.cast(alike, tf.int64), 1)


def _source(call: Call) -> Lines:
    batch, steps, symbols = call.inputs["logits"].shape
    mask = mask_source(call, str(steps))
    labels, blank = (
        ('inputs["labels"] + 1', 0) if call.attributes["blank"] == "first" else ('inputs["labels"]', symbols - 1)
    )
    lines = ['logits = t["logits"]', f"n = tf.fill([{batch}], {steps})"]
    if mask is not None:
        lines = [
            f"valid = {mask}",
            'logits = tf.where(valid[:, :, None], t["logits"], tf.zeros((), dtype))',
            "n = tf.reduce_sum(tf.cast(valid, tf.int32), 1)",
        ]
    return Lines(
        [
            *lines,
            f"labels = tf.cast({labels}, tf.int32)",
            'counts = tf.cast(inputs["label_lengths"], tf.int32)',
            "wide, options = tf.cast(logits, tf.float32), dict(logits_time_major=False)",
            f"loss = tf.nn.ctc_loss(labels, wide, counts, n, blank_index={blank}, **options)",
            "results = [tf.cast(loss, logits.dtype)]",
        ]
    )


NATIVES: Final[Mapping[str, Native]] = {"ctc_loss": Native("tf.nn.ctc_loss", _ctc_loss, _refuse)}
SCRIPTS: Final[Mapping[str, Script]] = {"ctc_loss": _source}
