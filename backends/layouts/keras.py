"""Keras's layout: the gates along the columns; the GRU's in the order z, r, h.

``kernel: (D, G*H)``, ``recurrent_kernel: (H, G*H)`` and ``bias: (G*H,)``, for the GRU with ``reset_after`` (Keras's
default) ``(2, 3*H)``: the biases of the input and of the state.
Source: the weights of keras.layers.SimpleRNN, LSTM and GRU, as ``layer.weights`` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnnspec.backends.layouts.arrays import Shaping, Tensor
from rnnspec.backends.layouts.gates import (
    GATES,
    Family,
    Reset,
    Update,
    biases_to_spec,
    expect_choice,
    expect_parameters,
    expect_present,
    expect_shape,
    recurrent_bias,
    resets_after,
    updated,
    with_update,
)
from rnnspec.spec.activations import written

ACTIVATIONS: Final[Mapping[str, str]] = {
    "identity": "linear",
    "logistic": "sigmoid",
    "softmax": "softmax",
    **{name: name for name in ("elu", "relu", "relu6", "selu", "softplus", "softsign", "tanh")},
    written("hard_sigmoid", (1 / 6, 0.5)): "hard_sigmoid",
    written("leaky_relu", (0.2,)): "leaky_relu",
}
"""Keras's names of the activations, by values of attributes."""


def from_spec(
    xp: Shaping,
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
    """Return Keras's weights for the specification's arrays.

    The arguments are those of `rnnspec.backends.layouts.torch.from_spec`.
    A GRU with reset = after is one with ``reset_after=True``. Where Keras has one bias, it is the sum of both.

    Returns
    -------
    dict
        ``kernel``, ``recurrent_kernel``, ``bias``, in the order of ``layer.weights``.

    Raises
    ------
    LayoutError
        If the arrays do not fit together.
    """
    gates, hidden, features, _ = expect_parameters(xp, family, W, R, b, b_rn, None, b_R)
    biases = [b]
    if family == "gru" and resets_after(reset, b_rn):
        biases.append(recurrent_bias(xp, b, b_rn, b_R))
    elif b_R is not None:
        biases = [b + b_R]
    if family == "gru":
        W, R, *biases = (_exchange(xp, array) for array in with_update(xp, update, W, R, *biases))
    rows = [xp.reshape(bias, (gates * hidden,)) for bias in biases]
    return {
        "kernel": xp.reshape(xp.permute_dims(W, (2, 0, 1)), (features, gates * hidden)),
        "recurrent_kernel": xp.reshape(xp.permute_dims(R, (2, 0, 1)), (hidden, gates * hidden)),
        "bias": rows[0] if len(rows) == 1 else xp.stack(rows, 0),
    }


def to_spec(
    xp: Shaping, family: Family, weights: Mapping[str, Tensor], *, update: Update = "keeps", both: bool = False
) -> dict[str, Tensor]:
    """Return the specification's arrays for Keras's weights: the inverse of `from_spec`.

    Parameters
    ----------
    xp, family, update
        As in `from_spec`.
    weights
        ``kernel``, ``recurrent_kernel`` and ``bias``; zero where there is none (``use_bias=False``), which for the GRU
        is read as reset = before.
    both
        Keep both rows of a bias that has two, as `b` and `b_R`, in place of their sum.

    Returns
    -------
    dict
        ``W``, ``R``, ``b`` and, for a bias of two rows (``reset_after``), ``b_rn``.

    Raises
    ------
    LayoutError
        If a weight is missing or has another shape.
    """
    expect_choice("family", family, tuple(GATES))
    gates = GATES[family]
    expect_present(weights, ("kernel", "recurrent_kernel"))
    hidden = expect_shape(xp, "recurrent_kernel", weights["recurrent_kernel"], "H G*H", (None, None))[0]
    features = expect_shape(xp, "kernel", weights["kernel"], "D G*H", (None, gates * hidden))[0]
    expect_shape(xp, "recurrent_kernel", weights["recurrent_kernel"], "H G*H", (hidden, gates * hidden))
    W = xp.permute_dims(xp.reshape(weights["kernel"], (features, gates, hidden)), (1, 2, 0))
    R = xp.permute_dims(xp.reshape(weights["recurrent_kernel"], (hidden, gates, hidden)), (1, 2, 0))
    bias = weights.get("bias")
    if bias is None:
        bias = xp.zeros((gates * hidden,), W.dtype)
    rows = [bias]
    if family == "gru" and len(xp.shape(bias)) == 2:
        expect_shape(xp, "bias", bias, "2 G*H", (2, gates * hidden))
        rows = [bias[0], bias[1]]
    for row in rows:
        expect_shape(xp, "bias", row, "G*H", (gates * hidden,))
    biases = [xp.reshape(row, (gates, hidden)) for row in rows]
    if family == "gru":
        W, R, *biases = (_exchange(xp, array) for array in (W, R, *biases))
    second = biases[1] if len(biases) == 2 else None
    arrays = {"W": W, "R": R, **biases_to_spec(xp, family, biases[0], second, both, after=second is not None)}
    return arrays | updated(xp, update, arrays) if family == "gru" else arrays


def _exchange(xp: Shaping, array: Tensor) -> Tensor:
    """The gates r, z, n as z, r, n, and back."""
    return xp.concat([array[1:2], array[:1], array[2:]], 0)
