"""PyTorch's layout: the gates along the rows, two biases that are added up, and names that end in the layer.

``weight_ih: (G*H, D)``, ``weight_hh: (G*H, S)``, ``bias_ih: (G*H,)``, ``bias_hh: (G*H,)`` and, with a projection,
``weight_hr: (S, H)``. The gates have the specification's order.
Source: the variables documented for torch.nn.RNN, LSTM and GRU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnnspec.backends.layouts.arrays import Shaping, Tensor
from rnnspec.backends.layouts.gates import (
    GATES,
    Family,
    LayoutError,
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

NAMES: Final = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
"""In torch's order; the last where there is a projection."""


def from_spec(
    xp: Shaping,
    family: Family,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_rn: Tensor | None = None,
    P: Tensor | None = None,
    b_R: Tensor | None = None,
    *,
    update: Update = "keeps",
    reset: Reset | None = None,
    suffix: str = "",
) -> dict[str, Tensor]:
    """Return torch's parameters for the specification's arrays.

    Parameters
    ----------
    xp
        The namespace of the arrays.
    family
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
    W, R, b, b_rn, P, b_R
        The specification's arrays: ``(G, H, D)``, ``(G, H, S)``, ``(G, H)``; for the GRU (reset after the product)
        `b_rn`, ``(H,)``; for an LSTM with projection `P`, ``(S, H)``; the second bias `b_R`, ``(G, H)``, if any.
    update, reset
        The GRU's attributes. Without `reset`, a GRU with `b_rn` resets after the product, one without it before.
    suffix
        Appended to the names: ``""`` fits a cell's ``state_dict()``, ``"_l0"`` that of a layer.

    Returns
    -------
    dict
        The specification's bias is ``bias_ih``, and `b_R` is ``bias_hh``, with the GRU's `b_rn` added at the
        candidate; zero where there are none.

    Raises
    ------
    LayoutError
        If the arrays do not fit together, or torch has no such layer: its GRU resets after the product.
    """
    expect_parameters(xp, family, W, R, b, b_rn, P, b_R)
    if P is not None and family != "lstm":
        raise LayoutError(f"P: expected with the lstm only, got it with the {family}; leave it out")
    if family == "gru" and not resets_after(reset, b_rn):
        raise LayoutError(
            "b_rn is missing: torch's GRU applies the reset gate after the product; give b_rn, or reset = after"
        )
    flat = flat_from_spec(xp, W, R, b, b_rn, P, b_R, update=update if family == "gru" else "keeps")
    return {name + suffix: parameter for name, parameter in zip(NAMES, flat, strict=False)}


def flat_from_spec(
    xp: Shaping,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_rn: Tensor | None = None,
    P: Tensor | None = None,
    b_R: Tensor | None = None,
    *,
    update: Update = "keeps",
) -> tuple[Tensor, ...]:
    """Return torch's parameters in the order of `NAMES`, of arrays that are known to fit together, as a call's are."""
    gates, hidden, features = xp.shape(W)
    rows = gates * hidden
    W, R, b, bias_hh = with_update(xp, update, W, R, b, recurrent_bias(xp, b, b_rn, b_R))
    weight_ih, weight_hh = xp.reshape(W, (rows, features)), xp.reshape(R, (rows, xp.shape(R)[2]))
    parameters = (weight_ih, weight_hh, xp.reshape(b, (rows,)), xp.reshape(bias_hh, (rows,)))
    return parameters if P is None else (*parameters, P)


def to_spec(
    xp: Shaping,
    family: Family,
    parameters: Mapping[str, Tensor],
    *,
    update: Update = "keeps",
    suffix: str = "",
    both: bool = False,
) -> dict[str, Tensor]:
    """Return the specification's arrays for torch's parameters: the inverse of `from_spec`.

    Torch's biases are added up, but for the GRU's candidate, whose recurrent bias is `b_rn`. Without biases
    (``bias=False``) they are zero.

    Parameters
    ----------
    xp, family, update
        As in `from_spec`.
    parameters
        A module's ``state_dict()``; of a layer's, those whose names end in `suffix`.
    suffix
        As in `from_spec`; ``"_l0_reverse"`` reads the other direction of a bidirectional layer.
    both
        Keep both biases, as `b` and `b_R`, in place of their sum.

    Raises
    ------
    LayoutError
        If a parameter is missing or has another shape.
    """
    expect_choice("family", family, tuple(GATES))
    gates = GATES[family]
    expect_present(parameters, ("weight_ih" + suffix, "weight_hh" + suffix), "parameters")
    weight_ih, weight_hh = parameters["weight_ih" + suffix], parameters["weight_hh" + suffix]
    rows, features = expect_shape(xp, "weight_ih" + suffix, weight_ih, "G*H D", (None, None))
    if rows % gates:
        raise LayoutError(f"weight_ih{suffix}: expected {gates} gates of the {family}, got {rows} rows")
    hidden = rows // gates
    projection = parameters.get("weight_hr" + suffix)
    state = hidden
    if projection is not None:
        state = expect_shape(xp, "weight_hr" + suffix, projection, "S H", (None, hidden))[0]
    expect_shape(xp, "weight_hh" + suffix, weight_hh, "G*H S", (rows, state))
    biases = []
    for name in ("bias_ih", "bias_hh"):
        bias = parameters.get(name + suffix)
        bias = xp.zeros((rows,), weight_ih.dtype) if bias is None else bias
        expect_shape(xp, name + suffix, bias, "G*H", (rows,))
        biases.append(xp.reshape(bias, (gates, hidden)))
    W, R = xp.reshape(weight_ih, (gates, hidden, features)), xp.reshape(weight_hh, (gates, hidden, state))
    arrays = {"W": W, "R": R, **biases_to_spec(xp, family, biases[0], biases[1], both, after=True)}
    if family == "gru":
        arrays |= updated(xp, update, arrays)
    return arrays if projection is None else {**arrays, "P": projection}
