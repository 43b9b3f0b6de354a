"""The weights of attention, by torch's softmax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import Tensor
from torch.nn import functional

from rnnspec.backends.contract import Call
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.torch.arrays import Outputs
from rnnspec.backends.torch.natives.padding import over_valid, over_valid_source, valid_source, valid_steps


@native("torch.nn.functional.softmax")
def attention_weights(*, scores: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None) -> Outputs:
    """Return the weights."""
    valid = valid_steps(scores.shape[2], lengths, mask)
    return (over_valid(functional.softmax, scores, None if valid is None else valid[:, None]),)


def _source(call: Call) -> Lines:
    valid = valid_source(call, 't["scores"].shape[-1]')
    return over_valid_source("softmax", 't["scores"]', [*valid, "valid = valid[:, None]"] if valid else [])


NATIVES: Final[Mapping[str, Native]] = {"attention_weights": attention_weights}
SCRIPTS: Final[Mapping[str, Script]] = {"attention_weights": _source}
