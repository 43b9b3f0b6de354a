"""Attention: from queries and keys to scores, weights and contexts; and attention to the features of one vector."""

from __future__ import annotations

from math import sqrt
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
    seen = _seen(xp, queries, keys, valid, causal)
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


def multi_head_attention(
    xp: ArrayNamespace,
    *,
    q: Tensor,
    k: Tensor,
    values: Tensor,
    W_q: Tensor,
    W_k: Tensor,
    W_v: Tensor,
    W_o: Tensor,
    b_q: Tensor | None = None,
    b_k: Tensor | None = None,
    b_v: Tensor | None = None,
    b_o: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    causal: bool,
    averaged: bool,
    divided: bool,
) -> Many:
    """Outputs of all queries and the weights of their heads, in float32 where the arrays have 16 bits."""
    queries, keys, dtype = xp.shape(q)[1], xp.shape(k)[1], q.dtype
    valid = valid_steps(xp, keys, lengths, mask)
    seen = _seen(xp, queries, keys, valid, causal)

    def heads(x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
        """Each head's own of x (B, X, D), (B, N, X, H)."""
        # No matmul that repeats a batch: that of TensorFlow 2.21 writes beside its arrays (tensorflow#117700).
        own = xp.einsum("btd,nhd->bnth", xp.widened(x), xp.widened(W))
        return own if b is None else own + xp.widened(b)[:, None]

    query, key = heads(q, W_q, b_q), heads(zeroed(xp, k, valid), W_k, b_k)
    scores = xp.matmul(query, xp.permute_dims(key, (0, 1, 3, 2))) / sqrt(xp.shape(W_q)[1])
    weights = softmax_over(xp, scores, None if seen is None else seen[:, None])
    read = xp.matmul(weights, heads(zeroed(xp, values, valid), W_v, b_v))
    y = xp.einsum("bnum,nkm->buk", read, xp.widened(W_o))
    if b_o is not None:
        y = y + xp.widened(b_o)
    shown = xp.sum(weights, 1) / xp.shape(W_q)[0] if averaged else weights
    return xp.astype(y, dtype), xp.astype(shown, dtype)


def _seen(xp: ArrayNamespace, queries: int, keys: int, valid: Tensor | None, causal: bool) -> Tensor | None:
    """Which query sees which key, (B, U, T) or broadcast; None if each sees all."""
    seen = None if valid is None else valid[:, None, :]
    if not causal:
        return seen
    before = (xp.arange(keys)[None] <= xp.arange(queries)[:, None])[None]
    return before if seen is None else xp.logical_and(seen, before)


def _widened(xp: ArrayNamespace, argument: Any) -> Any:
    return argument if isinstance(argument, str) else xp.widened(argument)


def feature_attention(xp: ArrayNamespace, *, x: Tensor, W: Tensor, b: Tensor) -> Many:
    """Each feature times its share of a softmax over all of them."""
    return (x * xp.softmax(affine(xp, x, xp.permute_dims(W, (1, 0)), b)),)
