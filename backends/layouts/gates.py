"""The part that the layouts share: the gates of each family, and errors for arrays of another shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

from rnnspec.backends.layouts.arrays import Shaping, Tensor
from rnnspec.spec import operation

Family = Literal["rnn", "lstm", "gru"]
Update = Literal["keeps", "admits"]
Reset = Literal["before", "after"]

GATES: Final[Mapping[Family, int]] = {family: len(operation(f"{family}_cell").gates) for family in get_args(Family)}
"""Gates in the specification's order: i, f, g, o for the LSTM; r, z, n for the GRU."""

PARAMETERS: Final = tuple(
    dict.fromkeys(name for family in get_args(Family) for name in operation(f"{family}_cell").parameters)
)
"""Names of the parameters that some family has."""


class LayoutError(ValueError):
    """Arrays that are no parameters of the family; the message says what was expected."""


def expect_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """LayoutError unless the value is one of these."""
    if value not in choices:
        raise LayoutError(f"{name}: expected {' or '.join(choices)}, got {value!r}")


def expect_shape(xp: Shaping, name: str, array: Tensor, axes: str, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return the shape of an array; LayoutError unless it is this one, where None stands for any length."""
    got = xp.shape(array)
    if len(got) != len(shape) or any(due is not None and due != came for due, came in zip(shape, got, strict=True)):
        due = ", ".join(
            axis if size is None else f"{axis} = {size}" for axis, size in zip(axes.split(), shape, strict=False)
        )
        raise LayoutError(f"{name}: expected shape ({due}), got {got}")
    return got


def expect_parameters(
    xp: Shaping,
    family: Family,
    W: Tensor,
    R: Tensor,
    b: Tensor,
    b_rn: Tensor | None,
    P: Tensor | None,
    b_R: Tensor | None,
) -> tuple[int, int, int, int]:
    """Return G, H, D and S of the specification's arrays; LayoutError if they do not fit together."""
    expect_choice("family", family, tuple(GATES))
    gates, hidden, features = expect_shape(xp, "W", W, "G H D", (GATES[family], None, None))
    state = hidden if P is None else expect_shape(xp, "P", P, "S H", (None, hidden))[0]
    expect_shape(xp, "R", R, "G H S", (gates, hidden, state))
    expect_shape(xp, "b", b, "G H", (gates, hidden))
    if b_R is not None:
        expect_shape(xp, "b_R", b_R, "G H", (gates, hidden))
    if b_rn is not None:
        if family != "gru":
            raise LayoutError(f"b_rn: expected with the gru only, got it with the {family}; leave it out")
        expect_shape(xp, "b_rn", b_rn, "H", (hidden,))
    return gates, hidden, features, state


def expect_present(weights: Mapping[str, Tensor], names: Sequence[str], kind: str = "weights") -> None:
    """Raise LayoutError if a name is not among the weights of a library."""
    missing = [name for name in names if name not in weights]
    if missing:
        raise LayoutError(f"{', '.join(missing)}: missing among {', '.join(weights) or f'no {kind}'}")


def recurrent_bias(xp: Shaping, b: Tensor, b_rn: Tensor | None, b_R: Tensor | None) -> Tensor:
    """The bias beside R's product, ``(G, H)``, gates in the specification's order: b_R, with b_rn at the candidate."""
    both = xp.zeros(xp.shape(b), b.dtype) if b_R is None else b_R
    if b_rn is None:
        return both
    candidate = xp.shape(b)[0] - 1
    return xp.concat([both[:candidate], both[candidate:] + xp.reshape(b_rn, (1, *xp.shape(b_rn)))], 0)


def biases_to_spec(
    xp: Shaping, family: Family, b: Tensor, recurrent: Tensor | None, both: bool, *, after: bool
) -> dict[str, Tensor]:
    """The specification's biases for a library's, each ``(G, H)``: the inverse of `recurrent_bias`.

    Where a GRU resets the product (`after`), the candidate's recurrent bias is `b_rn`. All else of the second bias is
    `b_R` if `both` are kept, and is added to the first if not.
    """
    if recurrent is None:
        return {"b": b}
    candidate = {}
    if family == "gru" and after:
        candidate = {"b_rn": recurrent[2]}
        recurrent = xp.concat([recurrent[:2], xp.zeros((1, xp.shape(b)[1]), b.dtype)], 0)
    return {"b": b, **candidate, "b_R": recurrent} if both else {"b": b + recurrent, **candidate}


def resets_after(reset: Reset | None, b_rn: Tensor | None) -> bool:
    """Whether a GRU resets the product: as `reset` says; without it, where there is a b_rn."""
    return b_rn is not None if reset is None else reset == "after"


def with_update(xp: Shaping, update: Update, *arrays: Tensor) -> tuple[Tensor, ...]:
    """The GRU's arrays (gates r, z, n on axis 0) for the other meaning of z.

    The frameworks' gate keeps the state before; where a gate of 1 admits the candidate, the weights of z change sign,
    since logistic(-a) = 1 - logistic(a). The same step leads back.
    """
    expect_choice("update", update, ("keeps", "admits"))
    if update == "keeps":
        return arrays
    return tuple(xp.concat([array[:1], -array[1:2], array[2:]], 0) for array in arrays)


def updated(xp: Shaping, update: Update, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The GRU's arrays by name, as `with_update` has them; `b_rn` is the candidate's alone, and stays."""
    names = [name for name in ("W", "R", "b", "b_R") if name in arrays]
    return dict(zip(names, with_update(xp, update, *(arrays[name] for name in names)), strict=True))
