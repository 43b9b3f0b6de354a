"""Map parameters between the specification's arrays and those of torch.nn's recurrent modules.

The specification has a gate axis, ``W: (G, H, D)``, ``R: (G, H, S)``, ``b: (G, H)``, and one bias per gate. Torch
stacks the gates along the rows, ``weight_ih: (G*H, D)``, ``weight_hh: (G*H, S)``, and has two biases that it adds up.
The order of the gates is the same: i, f, g, o for the LSTM and r, z, n for the GRU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

Family = Literal["rnn", "lstm", "gru"]

GATES: Final[Mapping[Family, int]] = {"rnn": 1, "lstm": 4, "gru": 3}
NAMES: Final = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


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

    Raises
    ------
    ValueError
        For an array of another shape, or an unknown `update`; the message says what was expected.
    """
    _expect_update(update)
    gates, hidden, _ = _expect_rank("W", W, "G H D")
    if gates != GATES[family]:
        raise ValueError(f"W: expected {GATES[family]} gates in the {family}, got shape {tuple(W.shape)}")
    state = hidden
    if P is not None:
        state = _expect_rank("P", P, "S H")[0]
        _expect_shape("P", P, (state, hidden))
    _expect_shape("R", R, (gates, hidden, state))
    _expect_shape("b", b, (gates, hidden))
    if b_rn is not None:
        _expect_shape("b_rn", b_rn, (hidden,))
    names = NAMES if P is None else (*NAMES, "weight_hr")
    weights = flat_weights(W, R, b, b_rn, P, update=update)
    return {name + suffix: weight for name, weight in zip(names, weights, strict=True)}


def flat_weights(
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_rn: Tensor | None = None,
    P: Tensor | None = None,
    *,
    update: str = "keeps",
) -> tuple[Tensor, ...]:
    """Torch's parameters of one layer in one direction, in torch's order; see `from_spec`, which checks them too."""
    gates, hidden, features = W.shape
    b_recurrent = b.new_zeros(gates * hidden) if b_rn is None else torch.cat([b_rn.new_zeros(2 * hidden), b_rn])
    if update == "admits":
        W, R, b = _other_update(W, R, b)
    weights = (
        W.reshape(gates * hidden, features),
        R.reshape(gates * hidden, R.shape[2]),
        b.reshape(gates * hidden),
        b_recurrent,
    )
    return weights if P is None else (*weights, P)


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

    Raises
    ------
    ValueError
        For parameters that are missing or of another family, or an unknown `update`.
    """
    _expect_update(update)
    gates = GATES[family]
    missing = [name + suffix for name in NAMES if name + suffix not in parameters]
    if missing:
        raise ValueError(f"parameters: expected {', '.join(missing)} too, got {', '.join(parameters) or 'none'}")
    weight_ih, weight_hh, bias_ih, bias_hh = (parameters[name + suffix] for name in NAMES)
    if len(weight_ih) % gates or len(weight_ih) != len(weight_hh):
        shapes = f"{tuple(weight_ih.shape)} and {tuple(weight_hh.shape)}"
        raise ValueError(
            f"weight_ih, weight_hh: expected as many rows each, {gates} * H for the {family}, got {shapes}"
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
        W, R, b = _other_update(W, R, b)
    return {"W": W, "R": R, "b": b, "b_rn": b_recurrent[2]}


def _other_update(W: Tensor, R: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Turn the sign of all that leads to z, the second of the GRU's gates."""
    sign = W.new_tensor([1, -1, 1]).reshape(3, 1, 1)
    return W * sign, R * sign, b * sign[:, :, 0]


def _expect_update(update: str) -> None:
    if update not in ("keeps", "admits"):
        raise ValueError(f"update: expected keeps or admits, got {update!r}")


def _expect_rank(name: str, tensor: Tensor, axes: str) -> tuple[int, ...]:
    if tensor.dim() != len(axes.split()):
        raise ValueError(f"{name}: expected {len(axes.split())} axes ({axes}), got shape {tuple(tensor.shape)}")
    return tuple(tensor.shape)


def _expect_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")
