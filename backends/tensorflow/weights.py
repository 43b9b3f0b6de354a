"""Map parameters between the specification's arrays and the weights of Keras's recurrent layers.

Keras has the gates along the columns, ``kernel: (D, G*H)`` and ``recurrent_kernel: (H, G*H)``, in the order i, f, g, o
for the LSTM and z, r, n for the GRU, whose ``bias`` has two rows with ``reset_after``. The functions work on tensors,
and gradients flow through; `rnnspec.backends.layouts.keras` has them for the arrays of any namespace.
"""

from __future__ import annotations

from collections.abc import Mapping

from rnnspec.backends.layouts import keras as layout
from rnnspec.backends.layouts.gates import Family, Update
from rnnspec.backends.tensorflow.arrays import TensorFlowArrays
from rnnspec.backends.tensorflow.framework import Tensor


def from_spec(
    family: Family, W: Tensor, R: Tensor, b: Tensor, b_rn: Tensor | None = None, *, update: Update = "keeps"
) -> dict[str, Tensor]:
    """Return Keras's weights for the specification's arrays.

    Parameters
    ----------
    family
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
    W, R, b, b_rn
        The arrays of the specification, ``(G, H, D)``, ``(G, H, H)``, ``(G, H)``; `b_rn`, ``(H,)``, for a GRU with
        ``reset_after=True``, none for one with ``reset_after=False``.
    update
        The GRU's attribute. Keras's gate z keeps the state before; where a gate of 1 ``"admits"`` the candidate, its
        weights change sign, since logistic(-a) = 1 - logistic(a).

    Returns
    -------
    dict
        ``kernel``, ``recurrent_kernel`` and ``bias``, in the order of ``layer.weights``: the dict's values are what
        ``layer.set_weights`` takes.

    Raises
    ------
    rnnspec.backends.layouts.gates.LayoutError
        If the arrays do not fit together.
    """
    return layout.from_spec(TensorFlowArrays(), family, W, R, b, b_rn, update=update)


def to_spec(family: Family, weights: Mapping[str, Tensor], *, update: Update = "keeps") -> dict[str, Tensor]:
    """Return the specification's arrays for Keras's weights: the inverse of `from_spec`.

    Parameters
    ----------
    family
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
    weights
        ``kernel``, ``recurrent_kernel`` and ``bias``, as tensors; without ``bias`` (``use_bias=False``) it is zero.
    update
        The GRU's attribute that the arrays are meant for, as in `from_spec`.

    Returns
    -------
    dict
        ``W``, ``R``, ``b`` and, for a GRU whose bias has two rows, ``b_rn``; of r and z the two rows are added up.

    Raises
    ------
    rnnspec.backends.layouts.gates.LayoutError
        If a weight is missing or has another shape.
    """
    return layout.to_spec(TensorFlowArrays(), family, weights, update=update)
