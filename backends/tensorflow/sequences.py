"""Which steps of a padded batch are there: as tensors, and as source for a script."""

from __future__ import annotations

from rnnspec.backends.contract import Call
from rnnspec.backends.tensorflow.framework import Tensor, tf


def valid_steps(steps: int, lengths: Tensor | None = None, mask: Tensor | None = None) -> Tensor | None:
    """Whether each step is valid, (B, T), as Keras's masks have it; None if all are."""
    if mask is not None or lengths is None:
        return mask
    return tf.sequence_mask(lengths, steps)


def mask_source(call: Call, steps: str) -> str | None:
    """The mask (B, T) of the valid steps, in source; None if all are."""
    if "mask" in call.inputs:
        return 'inputs["mask"]'
    return f'tf.sequence_mask(inputs["lengths"], {steps})' if "lengths" in call.inputs else None
