"""Connectionist temporal classification, by torch.nn.functional.ctc_loss.

Torch takes log-probabilities, and computes in float32 or float64. The gradient of an infinite loss is NaN, unless
`zero_infinity` makes loss and gradient 0 (https://github.com/pytorch/pytorch/issues/31557). So the gradient is that of
the loss with this option, and the infinity is put back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.layouts.blank import with_blank
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.torch.arrays import Outputs
from rnnspec.backends.torch.natives.padding import functional_lines, valid_source, valid_steps
from rnnspec.backends.torch.sequences import refuse_sequences


def _refuse(*, logits: Tensor, mask: Tensor | None = None, **others: Any) -> None:
    refuse_sequences(x=logits, mask=mask)
    if len(logits) == 0:
        raise Unsupported("torch's ctc_loss refuses a batch of no sequences (B = 0)")


@native("torch.nn.functional.ctc_loss", _refuse)
def ctc_loss(
    *,
    logits: Tensor,
    labels: Tensor,
    label_lengths: Tensor,
    blank: str,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
) -> Outputs:
    """Return the loss of each sequence."""
    batch, steps, symbols = logits.shape
    valid = valid_steps(steps, lengths, mask)
    count = logits.new_full((batch,), steps, dtype=torch.int64) if valid is None else valid.sum(1)
    there = logits if valid is None else logits.where(valid[:, :, None], 0)
    log_p = functional.log_softmax(there.to(torch.promote_types(logits.dtype, torch.float32)), -1).transpose(0, 1)
    target, empty = with_blank(labels, blank, symbols)
    loss = functional.ctc_loss(log_p.detach(), target, count, label_lengths, empty, reduction="none")
    if log_p.requires_grad:
        finite = functional.ctc_loss(log_p, target, count, label_lengths, empty, reduction="none", zero_infinity=True)
        loss = torch.where(loss.isinf(), torch.inf, finite)
    return (loss.to(logits.dtype),)


def _source(call: Call) -> Lines:
    batch, steps, symbols = call.inputs["logits"].shape
    valid = valid_source(call, str(steps))
    logits = 't["logits"].where(valid[:, :, None], 0)' if valid else 't["logits"]'
    labels, blank = ('t["labels"] + 1', 0) if call.attributes["blank"] == "first" else ('t["labels"]', symbols - 1)
    return functional_lines(
        [
            *valid,
            f"n = {'valid.sum(1)' if valid else f'torch.full(({batch},), {steps})'}",
            f"logits = {logits}",
            "wide = logits.to(torch.promote_types(logits.dtype, torch.float32))",
            "log_p = functional.log_softmax(wide, -1).transpose(0, 1)",
            f"labels = {labels}",
            f'arguments = labels, n, t["label_lengths"], {blank}, "none"',
            "loss = functional.ctc_loss(log_p, *arguments)",
            "# The gradient of an infinite loss is NaN without zero_infinity.",
            "finite = functional.ctc_loss(log_p, *arguments, zero_infinity=True)",
            "results = [torch.where(loss.isinf(), torch.inf, finite).to(logits.dtype)]",
        ]
    )


NATIVES: Final[Mapping[str, Native]] = {"ctc_loss": ctc_loss}
SCRIPTS: Final[Mapping[str, Script]] = {"ctc_loss": _source}
