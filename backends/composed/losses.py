"""Losses: how far predictions are from their targets, step by step, added up over the valid steps of a batch.

Each loss of a step is computed in float32 at least, as are the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.steps import valid_steps, zeroed


def mean_absolute_error(xp: ArrayNamespace, **arguments: Any) -> Many:
    """Distance of the prediction from its target, a mean over the features; where they are equal the slope is 0."""
    return _of_error(xp, xp.abs, **arguments)


def mean_squared_error(xp: ArrayNamespace, **arguments: Any) -> Many:
    """Square of that distance, a mean over the features."""
    return _of_error(xp, lambda error: error * error, **arguments)


def _of_error(
    xp: ArrayNamespace,
    loss: Callable[[Tensor], Tensor],
    *,
    prediction: Tensor,
    target: Tensor,
    reduction: str,
    weighted: bool,
    weights: Tensor | None = None,
    **steps: Any,
) -> Many:
    valid = valid_steps(xp, xp.shape(prediction)[1], **steps)
    error = xp.widened(zeroed(xp, prediction, valid)) - xp.widened(zeroed(xp, target, valid))
    mean = xp.sum(loss(error), -1) / xp.shape(error)[-1]
    return (_reduced(xp, mean, valid, reduction, prediction.dtype, weights),)


def binary_cross_entropy(
    xp: ArrayNamespace,
    *,
    logits: Tensor | None = None,
    probabilities: Tensor | None = None,
    target: Tensor,
    given: str,
    reduction: str,
    weighted: bool,
    weights: Tensor | None = None,
    **steps: Any,
) -> Many:
    """Surprise at which of two things came true, from the first one's logit or probability."""
    valid = valid_steps(xp, xp.shape(target)[1], **steps)
    weight = xp.widened(zeroed(xp, target, valid))
    if given == "logits":
        logits = xp.widened(zeroed(xp, logits, valid))
        loss = -xp.log_logistic(-logits) - weight * logits
    else:
        p = xp.widened(zeroed(xp, probabilities, valid))
        loss = -_weighted_log(xp, weight, p) - _weighted_log(xp, 1 - weight, 1 - p)
    return (_reduced(xp, loss, valid, reduction, target.dtype, weights),)


def cross_entropy(
    xp: ArrayNamespace,
    *,
    logits: Tensor,
    ids: Tensor | None = None,
    target: Tensor | None = None,
    targets: str,
    reduction: str,
    weighted: bool,
    weights: Tensor | None = None,
    **steps: Any,
) -> Many:
    """Surprise at the class that came true: one, by its id, or a weight for each."""
    valid = valid_steps(xp, xp.shape(logits)[1], **steps)
    if targets == "ids":
        loss = -log_probability(xp, logits, ids, valid)
    else:
        shares = xp.widened(zeroed(xp, target, valid))
        loss = -xp.sum(shares * xp.log_softmax(xp.widened(zeroed(xp, logits, valid))), -1)
    return (_reduced(xp, loss, valid, reduction, logits.dtype, weights),)


def perplexity(xp: ArrayNamespace, *, logits: Tensor, ids: Tensor, reduction: str, **steps: Any) -> Many:
    """Exponential of the cross-entropy: of each step's, of the sum or of the mean."""
    valid = valid_steps(xp, xp.shape(logits)[1], **steps)
    surprise = -log_probability(xp, logits, ids, valid)
    if reduction == "none":
        return (_reduced(xp, xp.exp(surprise), valid, reduction, logits.dtype),)
    return (xp.astype(xp.exp(_reduced(xp, surprise, valid, reduction, surprise.dtype)), logits.dtype),)


def log_probability(xp: ArrayNamespace, logits: Tensor, ids: Tensor, valid: Tensor | None) -> Tensor:
    """Log of the softmax of the logits (B, T, K) at the ids (B, T), in float32 at least; 0 at steps taken out."""
    chosen = ids if valid is None else xp.where(valid, ids, 0)
    log_p = xp.log_softmax(xp.widened(zeroed(xp, logits, valid)))
    return zeroed(xp, xp.take_along_axis(log_p, chosen[..., None], -1)[..., 0], valid)


def _weighted_log(xp: ArrayNamespace, weight: Tensor, p: Tensor) -> Tensor:
    """``weight log p``, where 0 log 0 = 0, of slope log p in the weight and weight / p in p."""
    impossible = p == 0
    # There the slopes are infinite. They are made by two large factors, so that nothing times such a slope is nothing.
    large = xp.where(impossible, xp.full(xp.shape(p), 1e308 if p.dtype == xp.float64 else 1e38, p.dtype), 1.0)
    at_zero = p * large * large * xp.stop_gradient(weight) - weight * large * large
    return xp.where(impossible, at_zero, weight * xp.log(xp.where(impossible, 1.0, p)))


def _reduced(
    xp: ArrayNamespace,
    loss: Tensor,
    valid: Tensor | None,
    reduction: str,
    dtype: Any,
    weights: Tensor | None = None,
) -> Tensor:
    """The losses (B, T) themselves, their sum over the valid steps, their mean, or their sum over the batch's size."""
    loss = zeroed(xp, loss, valid)
    if weights is not None:
        weights = xp.widened(zeroed(xp, weights, valid))
        # An infinite loss counts nothing where the weight is 0.
        finite = xp.where(xp.isfinite(loss), loss, 0.0)
        loss = xp.where(weights == 0, weights * finite, weights * loss)
    if reduction == "none":
        return xp.astype(loss, dtype)
    total, (batch, steps) = xp.sum(loss), xp.shape(loss)
    if reduction == "batch_mean":
        total = total / max(batch, 1)
    elif reduction == "mean" and weights is not None:
        count = xp.sum(weights)
        total = xp.where(count == 0, 0.0, total / xp.where(count == 0, 1.0, count))
    elif reduction == "mean" and valid is None:
        total = total / max(batch * steps, 1)
    elif reduction == "mean":
        total = total / xp.maximum(xp.sum(xp.astype(valid, loss.dtype)), 1.0)
    return xp.astype(total, dtype)
