"""Which steps of a padded batch are there."""

from __future__ import annotations

from rnnspec.backends.tensorflow.framework import Tensor, tf


def valid_steps(steps: int, lengths: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """Whether each step is valid, (B, T), as Keras's masks have it; None if all are."""
    if mask is not None or lengths is None:
        return mask
    return tf.sequence_mask(lengths, steps)
