"""ONNX's layout: an axis of directions in front, the gates along the rows, all biases in one array.

``W: (1, G*H, D)``, ``R: (1, G*H, H)``, ``B: (1, 2*G*H)``, the input's biases before the state's. The gates stand in the
order i, o, f, c for the LSTM and z, r, h for the GRU.
Source: the inputs documented for ONNX's operators RNN, LSTM and GRU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnnspec.backends.layouts.arrays import Shaping, Tensor
from rnnspec.backends.layouts.gates import (
    GATES,
    Family,
    LayoutError,
    Update,
    expect_choice,
    expect_parameters,
    expect_shape,
    recurrent_bias,
    with_update,
)

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
    W, R, *biases = (xp.concat([array[gate : gate + 1] for gate in ORDER[family]], 0) for array in arrays)
    return {
        "W": xp.reshape(W, (1, gates * hidden, features)),
        "R": xp.reshape(R, (1, gates * hidden, hidden)),
        "B": xp.reshape(xp.concat(biases, 0), (1, 2 * gates * hidden)),
    }


def to_spec(xp: Shaping, family: Family, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the specification's arrays for ONNX's ``W``, ``R`` and, if any, ``B``: the inverse of `from_spec`.

    Parameters
    ----------
    xp, family
        As in `from_spec`.
    parameters
        ONNX's arrays, of one direction.

    Returns
    -------
    dict
        ``W``, ``R``, ``b`` and ``b_R``, the state's biases; without ``B``, zeros as ``b`` and no ``b_R``.

    Raises
    ------
    LayoutError
        If a parameter is missing or has another shape.
    """
    expect_choice("family", family, tuple(GATES))
    gates = GATES[family]
    missing = [name for name in ("W", "R") if name not in parameters]
    if missing:
        raise LayoutError(f"{', '.join(missing)}: missing among {', '.join(parameters) or 'no weights'}")
    hidden = expect_shape(xp, "R", parameters["R"], "1 G*H H", (1, None, None))[2]
    features = expect_shape(xp, "W", parameters["W"], "1 G*H D", (1, gates * hidden, None))[2]
    expect_shape(xp, "R", parameters["R"], "1 G*H H", (1, gates * hidden, hidden))
    W = xp.reshape(parameters["W"], (gates, hidden, features))
    R = xp.reshape(parameters["R"], (gates, hidden, hidden))
    biases: tuple[Tensor, ...] = (xp.zeros((gates, hidden), W.dtype),)
    if "B" in parameters:
        expect_shape(xp, "B", parameters["B"], "1 2*G*H", (1, 2 * gates * hidden))
        both = xp.reshape(parameters["B"], (2, gates, hidden))
        biases = (both[0], both[1])
    place = [ORDER[family].index(gate) for gate in range(gates)]
    ordered = (xp.concat([array[gate : gate + 1] for gate in place], 0) for array in (W, R, *biases))
    return dict(zip(("W", "R", "b", "b_R"), ordered, strict=False))
