"""Parameters between the specification's arrays and the weights of Keras's recurrent layers, as tensors.

The layout itself, which takes no framework, stands in `rnnspec.backends.layouts.keras`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rnnspec.backends.layouts import keras as layout
from rnnspec.backends.layouts.gates import Family, Reset, Update
from rnnspec.backends.tensorflow.arrays import TensorFlowArrays
from rnnspec.backends.tensorflow.framework import Tensor


def from_spec(
    family: Family,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_rn: Tensor | None = None,
    b_R: Tensor | None = None,
    *,
    update: Update = "keeps",
    reset: Reset | None = None,
) -> dict[str, Tensor]:
    """Return Keras's weights for the specification's arrays; gradients flow through.

    Arguments, result and errors are those of `rnnspec.backends.layouts.keras.from_spec`.
    """
    return layout.from_spec(TensorFlowArrays(), family, W, R, b, b_rn, b_R, update=update, reset=reset)


def to_spec(family: Family, weights: Mapping[str, Tensor], *, update: Update = "keeps") -> dict[str, Tensor]:
    """Return the specification's arrays for Keras's weights: the inverse of `from_spec`.

    Arguments, result and errors are those of `rnnspec.backends.layouts.keras.to_spec`.
    """
    return layout.to_spec(TensorFlowArrays(), family, weights, update=update)
