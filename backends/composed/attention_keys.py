"""Keys made ready to be compared with queries, once for all queries that may come."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

from rnnspec.backends.composed.arrays import ArrayNamespace, Tensor
from rnnspec.backends.composed.cell import affine
from rnnspec.backends.composed.norms import unit

Scorer = Callable[[Tensor], Tensor]
"""From queries (B, U, D) to the score of every key for every query, (B, U, T)."""


def prepared(
    xp: ArrayNamespace,
    k: Tensor,
    *,
    score: str,
    W_a: Tensor | None = None,
    W_q: Tensor | None = None,
    W_k: Tensor | None = None,
    b_a: Tensor | None = None,
    v_a: Tensor | None = None,
) -> Scorer:
    """Make keys (B, T, E) ready: the part of a score that they alone decide is computed here.

    Everything is computed in the arrays' own type; keys that will be taken out are to be finite.
    """
    match score:
        case "additive":
            return _through_hidden_layer(xp, k, W_q, W_k, b_a, v_a)
        case "concat":
            assert W_a is not None
            features = xp.shape(W_a)[1] - xp.shape(k)[-1]
            return _through_hidden_layer(xp, k, W_a[:, :features], W_a[:, features:], b_a, v_a)
        case "general":
            k = xp.matmul(k, _transposed(xp, W_a))
        case "scaled_dot":
            k = k / sqrt(xp.shape(k)[-1])
        case "cosine":
            k = unit(xp, k)
    columns = xp.permute_dims(k, (0, 2, 1))
    if score == "cosine":
        return lambda q: xp.matmul(unit(xp, q), columns)
    return lambda q: xp.matmul(q, columns)


def _through_hidden_layer(xp: ArrayNamespace, k: Tensor, W_q: Tensor, W_k: Tensor, b_a: Tensor, v_a: Tensor) -> Scorer:
    from_key = affine(xp, k, _transposed(xp, W_k), b_a)[:, None]
    W_q, v_a = _transposed(xp, W_q), v_a[:, None]

    def scores(q: Tensor) -> Tensor:
        from_query = xp.matmul(q, W_q)[:, :, None]
        hidden = xp.tanh(from_query + from_key)
        *each, units = xp.shape(hidden)
        return xp.reshape(xp.matmul(xp.reshape(hidden, (prod(each), units)), v_a), each)

    return scores


def _transposed(xp: ArrayNamespace, weights: Tensor) -> Tensor:
    return xp.permute_dims(weights, (1, 0))
