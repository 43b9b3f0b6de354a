"""The symbols of connectionist temporal classification: the labels as a library numbers them, beside the blank."""

from __future__ import annotations

from rnnspec.backends.layouts.arrays import Tensor


def with_blank(labels: Tensor, blank: str, symbols: int) -> tuple[Tensor, int]:
    """Return the symbol of each label, and the symbol that is the blank: the first of all, or the last."""
    return (labels + 1, 0) if blank == "first" else (labels, symbols - 1)
