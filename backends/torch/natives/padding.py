"""Which steps of a padded batch are there, and a softmax over them alone: as tensors, and as source for a script.

Steps that are taken out are filled in before torch sees them and set to 0 after. Their content reaches neither values
nor gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rnnspec.backends.contract import Call
from rnnspec.backends.scripting import Lines
from rnnspec.backends.torch.sequences import right_padded


def valid_steps(steps: int, lengths: Tensor | None = None, mask: Tensor | None = None) -> Tensor | None:
    """Mask (B, T) of the steps that are there; None if all are."""
    return mask if lengths is None else right_padded(lengths, steps)


def over_valid(function: Callable[..., Tensor], x: Tensor, valid: Tensor | None) -> Tensor:
    """Softmax, or its logarithm, over the last axis where `valid`; 0 elsewhere."""
    if valid is None:
        return function(x, -1)
    # Where nothing is valid, nothing is left out: torch's results for zeros are finite, and taken out after.
    left_out = torch.where(valid.any(-1, keepdim=True), -torch.inf, 0.0).to(x.dtype)
    return function(torch.where(valid, x, left_out), -1).where(valid, 0)


def functional_lines(compute: list[str]) -> Lines:
    """Lines that call functions of torch.nn.functional."""
    return Lines(compute, ("from torch.nn import functional",))


def valid_source(call: Call, steps: str) -> list[str]:
    """Lines that set ``valid`` (B, T), the steps that are there; none if all are."""
    if "mask" in call.inputs:
        return ['valid = t["mask"]']
    if "lengths" in call.inputs:
        return [f'valid = torch.arange({steps}, device=t["lengths"].device) < t["lengths"][:, None]']
    return []


def over_valid_source(function: str, x: str, valid: list[str]) -> Lines:
    """A softmax, or its logarithm, of `x` over the last axis; where lines set it, over what is ``valid``."""
    if not valid:
        return functional_lines([f"results = [functional.{function}({x}, -1)]"])
    return functional_lines(
        [
            *valid,
            f"out = torch.where(valid.any(-1, keepdim=True), -torch.inf, 0.0).to({x})",
            f"results = [functional.{function}(torch.where(valid, {x}, out), -1).where(valid, 0)]",
        ]
    )
