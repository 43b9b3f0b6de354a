"""Map parameters between the specification's arrays and those of torch.nn's recurrent modules.

The specification has a gate axis, ``W: (G, H, D)``, ``R: (G, H, S)``, ``b: (G, H)``, and one bias per gate. Torch
stacks the gates along the rows, ``weight_ih: (G*H, D)``, ``weight_hh: (G*H, S)``, and has two biases that it adds up.
The order of the gates is the same: i, f, g, o for the LSTM and r, z, n for the GRU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from rnnspec.backends.torch.checks import expect_choice, expect_rank, expect_shape

Family = Literal["rnn", "lstm", "gru"]

GATES: dict[Family, int] = {"rnn": 1, "lstm": 4, "gru": 3}


def from_spec(
    family: Family,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_rn: Tensor | None = None,
    P: Tensor | None = None,
    *,
    update: str = "keeps",
    suffix: str = "",
) -> dict[str, Tensor]:
    """Return torch's parameters for the specification's arrays; gradients flow through.

    Parameters
    ----------
    family
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
    W, R, b, b_rn, P
        The arrays of the specification: `b_rn` for the GRU (reset after the product), `P` for an LSTM with projection.
    update
        The GRU's attribute. Torch's gate keeps the state before; where a gate of 1 ``"admits"`` the candidate, the
        weights of z change sign, since logistic(-a) = 1 - logistic(a).
    suffix
        Appended to the names: ``""`` fits a cell's ``state_dict()``, ``"_l0"`` that of a layer.

    Returns
    -------
    dict
        ``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh`` and, with `P`, ``weight_hr``. The specification's bias is
        ``bias_ih``; ``bias_hh`` is zero but for the GRU's `b_rn`.
    """
    expect_choice("update", update, ("keeps", "admits"))
    gates, hidden, features = expect_rank("W", W, "G H D")
    if gates != GATES[family]:
        raise ValueError(f"W: expected {GATES[family]} gates in the {family}, got shape {tuple(W.shape)}")
    state = hidden
    if P is not None:
        state = expect_rank("P", P, "S H")[0]
        expect_shape("P", P, (state, hidden))
    expect_shape("R", R, (gates, hidden, state))
    expect_shape("b", b, (gates, hidden))
    if b_rn is not None:
        expect_shape("b_rn", b_rn, (hidden,))
        b_recurrent = torch.cat([b_rn.new_zeros(2 * hidden), b_rn])
    else:
        b_recurrent = b.new_zeros(gates * hidden)
    if update == "admits":
        sign = W.new_tensor([1, -1, 1]).reshape(3, 1, 1)
        W, R, b = W * sign, R * sign, b * sign[:, :, 0]
    parameters = {
        "weight_ih": W.reshape(gates * hidden, features),
        "weight_hh": R.reshape(gates * hidden, state),
        "bias_ih": b.reshape(gates * hidden),
        "bias_hh": b_recurrent,
    }
    if P is not None:
        parameters["weight_hr"] = P
    return {name + suffix: parameter for name, parameter in parameters.items()}


def to_spec(
    family: Family, parameters: Mapping[str, Tensor], *, update: str = "keeps", suffix: str = ""
) -> dict[str, Tensor]:
    """Return the specification's arrays for torch's parameters: the inverse of `from_spec`.

    Both of torch's biases enter: they are added up, but for the GRU's candidate, whose recurrent bias is `b_rn`.

    Parameters
    ----------
    family
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
    parameters
        A module's ``state_dict()``; of a layer's, those whose names end in `suffix`.
    update
        The GRU's attribute that the arrays are meant for, as in `from_spec`.
    suffix
        As in `from_spec`; ``"_l0_reverse"`` reads the other direction of a bidirectional layer.
    """
    expect_choice("update", update, ("keeps", "admits"))
    gates = GATES[family]
    weight_ih, weight_hh, bias_ih, bias_hh = (
        parameters[name + suffix] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    W, R = weight_ih.reshape(gates, -1, weight_ih.shape[1]), weight_hh.reshape(gates, -1, weight_hh.shape[1])
    b_input, b_recurrent = bias_ih.reshape(gates, -1), bias_hh.reshape(gates, -1)
    if family != "gru":
        arrays = {"W": W, "R": R, "b": b_input + b_recurrent}
        if "weight_hr" + suffix in parameters:
            arrays["P"] = parameters["weight_hr" + suffix]
        return arrays
    b = torch.cat([b_input[:2] + b_recurrent[:2], b_input[2:]])
    if update == "admits":
        sign = W.new_tensor([1, -1, 1]).reshape(3, 1, 1)
        W, R, b = W * sign, R * sign, b * sign[:, :, 0]
    return {"W": W, "R": R, "b": b, "b_rn": b_recurrent[2]}
