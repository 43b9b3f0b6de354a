"""Building blocks by torch.nn.functional: linear maps, rows of a table, the softmax.

Steps that are taken out are filled in before torch sees them and set to 0 after, so that whatever stands there reaches
neither values nor gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.native import native
from rnnspec.backends.torch.sequences import right_padded

Outputs = tuple[Tensor, ...]

ELEMENTWISE: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
}


@native("torch.nn.functional.linear")
def dense(*, x: Tensor, W: Tensor, b: Tensor, activation: str) -> Outputs:
    """Return y."""
    a = functional.linear(x, W, b)
    if activation == "identity":
        return (a,)
    return (functional.softmax(a, -1) if activation == "softmax" else ELEMENTWISE[activation](a),)


def _refuse_no_last(*, h: Tensor, at: str, **others: Any) -> None:
    if at == "last" and h.shape[1] == 0:
        raise Unsupported("there is no last of no steps (T = 0)")


@native("torch.nn.functional.linear", _refuse_no_last)
def output_projection(
    *, h: Tensor, V: Tensor, c: Tensor, at: str, lengths: Tensor | None = None, mask: Tensor | None = None
) -> Outputs:
    """Return y."""
    valid = valid_steps(lengths, mask, h.shape[1])
    if at == "every":
        if valid is None:
            return (functional.linear(h, V, c),)
        there = valid[:, :, None]
        return (functional.linear(h.where(there, 0), V, c).where(there, 0),)
    if valid is None:
        return (functional.linear(h[:, -1], V, c),)
    last = (torch.arange(h.shape[1], device=h.device) * valid).amax(1)
    final = h.take_along_dim(last[:, None, None], 1)[:, 0]
    some = valid.any(1)[:, None]
    return (functional.linear(final.where(some, 0), V, c).where(some, 0),)


@native("torch.nn.functional.embedding")
def embedding(*, ids: Tensor, E: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Return y."""
    valid = valid_steps(lengths, mask, ids.shape[1])
    if valid is None:
        return (functional.embedding(ids, E),)
    return (functional.embedding(ids.where(valid, 0), E).where(valid[:, :, None], 0),)


@native("torch.nn.functional.softmax")
def softmax(*, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Return y."""
    return (over_valid(functional.softmax, x, valid_steps(lengths, mask, x.shape[1])),)


@native("torch.nn.functional.log_softmax")
def log_softmax(*, x: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Return y."""
    return (over_valid(functional.log_softmax, x, valid_steps(lengths, mask, x.shape[1])),)


@native("torch.nn.functional.softmax")
def attention_weights(*, scores: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Return the weights."""
    valid = valid_steps(lengths, mask, scores.shape[2])
    return (over_valid(functional.softmax, scores, None if valid is None else valid[:, None]),)


def valid_steps(lengths: Tensor | None, mask: Tensor | None, steps: int) -> Tensor | None:
    """Mask (B, T) of the steps that are there; None if all are."""
    return mask if lengths is None else right_padded(lengths, steps)


def over_valid(function: Callable[..., Tensor], x: Tensor, valid: Tensor | None) -> Tensor:
    """Softmax, or its logarithm, over the last axis where `valid`; 0 elsewhere."""
    if valid is None:
        return function(x, -1)
    # Where nothing is valid, nothing is left out: what torch makes of zeros is finite, and taken out after.
    left_out = torch.where(valid.any(-1, keepdim=True), -torch.inf, 0.0).to(x.dtype)
    return function(torch.where(valid, x, left_out), -1).where(valid, 0)
