"""Attention: from queries and keys to scores, weights and contexts; and attention to the features of one vector."""

from __future__ import annotations

from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.attention_keys import prepared
from rnnspec.backends.composed.cell import affine
from rnnspec.backends.composed.softmax import softmax_over
from rnnspec.backends.composed.steps import valid_steps, zeroed


def attention_scores(
    xp: ArrayNamespace,
    *,
    q: Tensor,
    k: Tensor,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    score: str,
    **parameters: Tensor,
) -> Many:
    """How well each key fits each query; in float32 where these have 16 bits."""
    valid = valid_steps(xp, xp.shape(k)[1], lengths, mask)
    k = xp.widened(zeroed(xp, k, valid))
    parameters = {name: xp.widened(array) for name, array in parameters.items()}
    scores = xp.astype(prepared(xp, k, score=score, **parameters)(xp.widened(q)), q.dtype)
    return (scores if valid is None else xp.where(valid[:, None, :], scores, 0.0),)


def attention_weights(
    xp: ArrayNamespace, *, scores: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None
) -> Many:
    """Softmax of the scores over the valid keys; a row without any gives zeros."""
    valid = valid_steps(xp, xp.shape(scores)[-1], lengths, mask)
    return (softmax_over(xp, scores, None if valid is None else valid[:, None, :]),)


def attention_context(
    xp: ArrayNamespace, *, weights: Tensor, values: Tensor, lengths: Tensor | None = None, mask: Tensor | None = None
) -> Many:
    """Sum of the values, each times its weight."""
    valid = valid_steps(xp, xp.shape(values)[1], lengths, mask)
    if valid is not None:
        weights = xp.where(valid[:, None, :], weights, 0.0)
    return (xp.matmul(weights, zeroed(xp, values, valid)),)


def attention(
    xp: ArrayNamespace,
    *,
    q: Tensor,
    k: Tensor,
    values: Tensor,
    query_mask: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    scale: float | None,
    causal: bool,
    masked_queries: bool,
    **scoring: Any,
) -> Many:
    """Contexts and weights of all queries; scores and weights in float32 where the arrays have 16 bits."""
    (batch, queries), keys = xp.shape(q)[:2], xp.shape(k)[1]
    valid = valid_steps(xp, keys, lengths, mask)
    seen = None if valid is None else valid[:, None, :]
    if causal:
        before = xp.arange(keys)[None] <= xp.arange(queries)[:, None]
        seen = before[None] if seen is None else xp.logical_and(seen, before[None])
    if masked_queries:
        assert query_mask is not None
        there = query_mask[:, :, None]
        seen = there if seen is None else xp.logical_and(seen, there)
    if seen is not None:
        seen = xp.broadcast_to(seen, (batch, queries, keys))
    scores, *_ = attention_scores(
        xp, q=xp.widened(q), k=xp.widened(zeroed(xp, k, valid)), **{n: _widened(xp, a) for n, a in scoring.items()}
    )
    weights = softmax_over(xp, scores if scale is None else scores * scale, seen)
    context = xp.matmul(weights, xp.widened(zeroed(xp, values, valid)))
    return xp.astype(context, q.dtype), xp.astype(weights, q.dtype)


def _widened(xp: ArrayNamespace, argument: Any) -> Any:
    return argument if isinstance(argument, str) else xp.widened(argument)


def feature_attention(xp: ArrayNamespace, *, x: Tensor, W: Tensor, b: Tensor) -> Many:
    """Each feature times its share of a softmax over all of them."""
    return (x * xp.softmax(affine(xp, x, xp.permute_dims(W, (1, 0)), b)),)
