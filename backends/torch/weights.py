"""Parameters between the specification's arrays and those of torch.nn's recurrent modules, as tensors.

The layout itself, which takes no framework, stands in `rnnspec.backends.layouts.torch`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from rnnspec.backends.layouts import torch as layout
from rnnspec.backends.layouts.gates import Family, Reset, Update
from rnnspec.backends.torch.arrays import TorchArrays


def from_spec(
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
    """Return torch's parameters for the specification's arrays; gradients flow through.

    Arguments, result and errors are those of `rnnspec.backends.layouts.torch.from_spec`.
    """
    xp = TorchArrays(str(W.device))
    return layout.from_spec(xp, family, W, R, b, b_rn, P, b_R, update=update, reset=reset, suffix=suffix)


def to_spec(
    family: Family, parameters: Mapping[str, Tensor], *, update: Update = "keeps", suffix: str = ""
) -> dict[str, Tensor]:
    """Return the specification's arrays for torch's parameters: the inverse of `from_spec`.

    Arguments, result and errors are those of `rnnspec.backends.layouts.torch.to_spec`.
    """
    device = next((str(parameter.device) for parameter in parameters.values()), "cpu")
    return layout.to_spec(TorchArrays(device), family, parameters, update=update, suffix=suffix)


def flat_weights(
    W: Tensor, *others: Tensor | None, update: Update = "keeps", **more: Tensor | None
) -> tuple[Tensor, ...]:
    """Torch's parameters of one layer in one direction, in torch's order, of W, R, b, b_rn, P and b_R."""
    return layout.flat_from_spec(TorchArrays(str(W.device)), W, *others, update=update, **more)
