"""Losses by torch.nn.functional, with torch's own reductions wherever every step is there.

Torch's reductions know no padding, but for that of class ids. Elsewhere the steps' own losses are torch's, and their
sum is taken here, in float32 or wider: before it is divided by the number of steps, no 16-bit type may hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.torch.arrays import Outputs
from rnnspec.backends.torch.natives.padding import functional_lines, valid_source, valid_steps

IGNORED = -100
"""The class id that torch's cross-entropy takes for padding."""


def _refuse_none(
    *, reduction: str, weighted: bool, target: Tensor | None = None, ids: Tensor | None = None, **others: Any
) -> None:
    given = ids if target is None else target
    if weighted or reduction == "batch_mean":
        raise Unsupported("torch's losses have no weights of steps, and no mean over the sequences")
    if reduction == "mean" and given is not None and 0 in given.shape[:2]:
        raise Unsupported("torch's mean over no step at all is NaN")


def _refuse_binary_cross_entropy(*, given: str, **arguments: Any) -> None:
    if given == "probabilities":
        raise Unsupported("torch's binary_cross_entropy takes no logarithm below -100, and probability 0 costs 100")
    _refuse_none(**arguments)


@native("torch.nn.functional.l1_loss", _refuse_none)
def mean_absolute_error(*, prediction: Tensor, target: Tensor, **others: Any) -> Outputs:
    """Return the loss."""
    return (_over_features(functional.l1_loss, prediction, target, **others),)


@native("torch.nn.functional.mse_loss", _refuse_none)
def mean_squared_error(*, prediction: Tensor, target: Tensor, **others: Any) -> Outputs:
    """Return the loss."""
    return (_over_features(functional.mse_loss, prediction, target, **others),)


@native("torch.nn.functional.binary_cross_entropy_with_logits", _refuse_binary_cross_entropy)
def binary_cross_entropy(
    *, logits: Tensor, target: Tensor, given: str, reduction: str, weighted: bool, **steps: Any
) -> Outputs:
    """Return the loss."""
    valid = valid_steps(logits.shape[1], **steps)
    if valid is None:
        return (functional.binary_cross_entropy_with_logits(logits, target, reduction=reduction),)
    logits, target = logits.where(valid, 0), target.where(valid, 0)
    own = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (_reduced(own, valid, reduction),)


@native("torch.nn.functional.cross_entropy", _refuse_none)
def cross_entropy(
    *,
    logits: Tensor,
    targets: str,
    reduction: str,
    weighted: bool,
    ids: Tensor | None = None,
    target: Tensor | None = None,
    **steps: Any,
) -> Outputs:
    """Return the loss."""
    valid = valid_steps(logits.shape[1], **steps)
    there = None if valid is None else valid[:, :, None]
    rows = (logits if there is None else logits.where(there, 0)).flatten(0, 1)
    if target is not None:
        weights = (target if there is None else target.where(there, 0)).flatten(0, 1)
        if valid is None and reduction != "none":
            return (functional.cross_entropy(rows, weights, reduction=reduction),)
        own = functional.cross_entropy(rows, weights, reduction="none").reshape(logits.shape[:2])
        return (_reduced(own, valid, reduction),)
    assert ids is not None
    true = (ids if valid is None else ids.where(valid, IGNORED)).flatten()
    loss = functional.cross_entropy(rows, true, reduction=reduction, ignore_index=IGNORED)
    if reduction == "none":
        return (loss.reshape(ids.shape),)
    return (loss if valid is None or reduction == "sum" else loss.where(valid.any(), 0),)


def _over_features(
    loss: Callable[..., Tensor], prediction: Tensor, target: Tensor, *, reduction: str, weighted: bool, **steps: Any
) -> Tensor:
    """Loss of steps that have several features, of which each step's own is the mean."""
    valid = valid_steps(prediction.shape[1], **steps)
    if valid is None and reduction == "mean":
        return loss(prediction, target)
    if valid is not None:
        there = valid[:, :, None]
        prediction, target = prediction.where(there, 0), target.where(there, 0)
    return _reduced(loss(prediction, target, reduction="none").mean(-1), valid, reduction)


def _reduced(own: Tensor, valid: Tensor | None, reduction: str) -> Tensor:
    """Losses of the steps (B, T), their sum, or their mean over the valid ones; 0 where there is none."""
    if valid is not None:
        own = own.where(valid, 0)
    if reduction == "none":
        return own
    total = own.sum(dtype=torch.promote_types(own.dtype, torch.float32))
    if reduction == "mean" and valid is not None:
        total = total / valid.sum().clamp(min=1)
    return total.to(own.dtype)


def _over_features_source(function: str) -> Script:
    """A loss of which each step's own is a mean over its features."""

    def lines(call: Call) -> Lines:
        valid, reduction = valid_source(call, 't["target"].shape[1]'), call.attributes["reduction"]
        if not valid and reduction == "mean":
            return functional_lines([f'results = [functional.{function}(t["prediction"], t["target"])]'])
        there = ".where(valid[:, :, None], 0)" if valid else ""
        given = [f'prediction, target = t["prediction"]{there}, t["target"]{there}']
        own = f'own = functional.{function}(prediction, target, reduction="none").mean(-1)'
        return functional_lines([*valid, *given, own, *_reduced_source(reduction, masked=bool(valid))])

    return lines


def _binary_cross_entropy_source(call: Call) -> Lines:
    function, reduction = "functional.binary_cross_entropy_with_logits", call.attributes["reduction"]
    valid = valid_source(call, 't["target"].shape[1]')
    if not valid:
        return functional_lines([f'results = [{function}(t["logits"], t["target"], reduction={reduction!r})]'])
    given = 'logits, target = t["logits"].where(valid, 0), t["target"].where(valid, 0)'
    own = f'own = {function}(logits, target, reduction="none")'
    return functional_lines([*valid, given, own, *_reduced_source(reduction, masked=True)])


def _cross_entropy_source(call: Call) -> Lines:
    function, reduction = "functional.cross_entropy", call.attributes["reduction"]
    valid = valid_source(call, 't["logits"].shape[1]')
    there = ".where(valid[:, :, None], 0)" if valid else ""
    rows = f'rows = t["logits"]{there}.flatten(0, 1)'
    if "target" in call.inputs:
        target = f'target = t["target"]{there}.flatten(0, 1)'
        given = [*valid, rows, target]
        if not valid and reduction != "none":
            return functional_lines([*given, f"results = [{function}(rows, target, reduction={reduction!r})]"])
        own = f'own = {function}(rows, target, reduction="none").reshape(t["logits"].shape[:2])'
        return functional_lines([*given, own, *_reduced_source(reduction, masked=bool(valid))])
    ids = f't["ids"].where(valid, {IGNORED})' if valid else 't["ids"]'
    result = "loss"
    if reduction == "none":
        result = 'loss.reshape(t["ids"].shape)'
    elif reduction == "mean" and valid:
        result = "loss.where(valid.any(), 0)"
    return functional_lines(
        [
            *valid,
            rows,
            f"ids = {ids}.flatten()",
            f"loss = {function}(rows, ids, reduction={reduction!r}, ignore_index={IGNORED})",
            f"results = [{result}]",
        ]
    )


def _reduced_source(reduction: str, *, masked: bool) -> list[str]:
    """Lines that make the result of the steps' ``own`` losses."""
    own = "own.where(valid, 0)" if masked else "own"
    if reduction == "none":
        return [f"results = [{own}]"]
    total = f"total = {own}.sum(dtype=torch.promote_types(own.dtype, torch.float32))"
    mean = " / valid.sum().clamp(min=1)" if reduction == "mean" and masked else ""
    return [total, f"results = [(total{mean}).to(own.dtype)]"]


NATIVES: Final[Mapping[str, Native]] = {
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
    "binary_cross_entropy": binary_cross_entropy,
    "cross_entropy": cross_entropy,
}
SCRIPTS: Final[Mapping[str, Script]] = {
    "mean_absolute_error": _over_features_source("l1_loss"),
    "mean_squared_error": _over_features_source("mse_loss"),
    "binary_cross_entropy": _binary_cross_entropy_source,
    "cross_entropy": _cross_entropy_source,
}
