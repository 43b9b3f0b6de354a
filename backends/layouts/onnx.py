"""ONNX's layout: an axis of directions in front, the gates along the rows, all biases in one array.

``W: (1, G*H, D)``, ``R: (1, G*H, H)``, ``B: (1, 2*G*H)``, the input's biases before the state's. The gates stand in the
order i, o, f, c for the LSTM and z, r, h for the GRU.
Source: the inputs documented for ONNX's operators RNN, LSTM and GRU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rnnspec.backends.layouts.arrays import Shaping, Tensor
from rnnspec.backends.layouts.gates import (
    GATES,
    Family,
    LayoutError,
    Update,
    biases_to_spec,
    expect_choice,
    expect_parameters,
    expect_present,
    expect_shape,
    recurrent_bias,
    updated,
    with_update,
)

OPSET: Final = 14
IR_VERSION: Final = 8
"""The version of the first release with the opset, which every runtime reads."""

ORDER: Final[Mapping[Family, tuple[int, ...]]] = {"rnn": (0,), "lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
"""Which of the specification's gates stands in each place."""


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
) -> dict[str, Tensor]:
    """Return ONNX's ``W``, ``R`` and ``B`` for the specification's arrays.

    The arguments are those of `rnnspec.backends.layouts.torch.from_spec`.
    `b_rn` is for the GRU with reset = after (``linear_before_reset=1``).

    Returns
    -------
    dict
        The specification's bias is the input's; the state's is `b_R`, with the GRU's `b_rn` added at the candidate.

    Raises
    ------
    LayoutError
        If the arrays do not fit together.
    """
    gates, hidden, features, _ = expect_parameters(xp, family, W, R, b, b_rn, None, b_R)
    arrays = with_update(xp, update, W, R, b, recurrent_bias(xp, b, b_rn, b_R))
    W, R, *biases = (_reordered(xp, array, ORDER[family]) for array in arrays)
    return {
        "W": xp.reshape(W, (1, gates * hidden, features)),
        "R": xp.reshape(R, (1, gates * hidden, hidden)),
        "B": xp.reshape(xp.concat(biases, 0), (1, 2 * gates * hidden)),
    }


def to_spec(
    xp: Shaping, family: Family, weights: Mapping[str, Tensor], *, after: bool = False, update: Update = "keeps"
) -> dict[str, Tensor]:
    """Return the specification's arrays for ONNX's of one direction: the inverse of `from_spec`.

    Parameters
    ----------
    xp, family, update
        As in `from_spec`.
    weights
        ``W``, ``R`` and ``B``; without ``B``, b is zero.
    after
        Whether a GRU resets the product (``linear_before_reset=1``), so that its candidate has a `b_rn`.

    Returns
    -------
    dict
        ``W``, ``R``, ``b`` and, where there is a ``B``, ``b_R``, and the ``b_rn`` of a GRU that resets the product.

    Raises
    ------
    LayoutError
        If a weight is missing or has another shape.
    """
    expect_choice("family", family, tuple(GATES))
    gates = GATES[family]
    expect_present(weights, ("W", "R"))
    rows, hidden = expect_shape(xp, "R", weights["R"], "directions G*H H", (1, None, None))[1:]
    if rows != gates * hidden:
        raise LayoutError(f"R: expected {gates} gates of {hidden} units, got {rows} rows")
    features = expect_shape(xp, "W", weights["W"], "directions G*H D", (1, rows, None))[2]
    arrays = {
        "W": xp.reshape(weights["W"], (gates, hidden, features)),
        "R": xp.reshape(weights["R"], (gates, hidden, hidden)),
    }
    ours = [ORDER[family].index(gate) for gate in range(gates)]
    arrays = {name: _reordered(xp, array, ours) for name, array in arrays.items()}
    if "B" in weights:
        expect_shape(xp, "B", weights["B"], "directions 2*G*H", (1, 2 * rows))
        halves = xp.reshape(weights["B"], (2, gates, hidden))
        b, b_R = (_reordered(xp, halves[half], ours) for half in (0, 1))
        arrays |= biases_to_spec(xp, family, b, b_R, both=True, after=after)
    else:
        arrays["b"] = xp.zeros((gates, hidden), arrays["W"].dtype)
        if family == "gru" and after:
            arrays["b_rn"] = xp.zeros((hidden,), arrays["W"].dtype)
    return arrays | updated(xp, update, arrays) if family == "gru" else arrays


def _reordered(xp: Shaping, array: Tensor, places: Sequence[int]) -> Tensor:
    """The gates of an array, on its first axis, in another order."""
    return xp.concat([array[place : place + 1] for place in places], 0)
