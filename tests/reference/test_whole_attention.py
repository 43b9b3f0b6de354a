"""Attention as a whole against loops over queries and keys, and against its three parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnspec import reference


def by_loops(q: Any, k: Any, values: Any, sees: Any, score: Any) -> tuple[Any, Any]:
    """Contexts and weights, query by query, over the keys that it sees."""
    context = np.zeros((*q.shape[:2], values.shape[2]))
    weights = np.zeros((*q.shape[:2], k.shape[1]))
    for b, u in np.ndindex(q.shape[:2]):
        seen = [t for t in range(k.shape[1]) if sees(b, u, t)]
        if seen:
            exponentials = np.exp([score(q[b, u], k[b, t]) for t in seen])
            weights[b, u, seen] = exponentials / exponentials.sum()
            context[b, u] = sum(weights[b, u, t] * values[b, t] for t in seen)
    return context, weights


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked_queries", [False, True])
@pytest.mark.parametrize(("score", "scale"), [("dot", None), ("dot", 0.3), ("scaled_dot", None), ("scaled_dot", 2.0)])
def test_attention_is_a_weighted_sum_over_the_keys_that_a_query_sees(
    causal: bool, masked_queries: bool, score: str, scale: float | None
) -> None:
    random = np.random.default_rng(5)
    q, k, values = (random.standard_normal(shape) for shape in ((3, 4, 4), (3, 5, 4), (3, 5, 2)))
    mask = np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], np.bool_)
    there = np.array([[1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]], np.bool_)
    factor = (scale or 1.0) / (2.0 if score == "scaled_dot" else 1.0)

    def sees(b: int, u: int, t: int) -> bool:
        return bool(mask[b, t] and (not causal or t <= u) and (not masked_queries or there[b, u]))

    expected = by_loops(q, k, values, sees, lambda a, b: factor * (a @ b))
    given = {"query_mask": there} if masked_queries else {}
    got = reference.attention(
        q, k, values, **given, mask=mask, score=score, scale=scale, causal=causal, masked_queries=masked_queries
    )
    for right, found in zip(expected, got, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-13, atol=1e-15)


def test_attention_is_its_three_parts() -> None:
    random = np.random.default_rng(6)
    q, k, values = (random.standard_normal(shape) for shape in ((2, 3, 4), (2, 5, 6), (2, 5, 2)))
    parameters = {name: random.standard_normal(s) for name, s in {"W_q": (3, 4), "W_k": (3, 6)}.items()}
    parameters |= {name: random.standard_normal(3) for name in ("b_a", "v_a")}
    lengths = np.array([5, 2])
    (scores,) = reference.attention_scores(q, k, **parameters, lengths=lengths, score="additive")
    (weights,) = reference.attention_weights(scores, lengths=lengths)
    (context,) = reference.attention_context(weights, values, lengths=lengths)
    got = reference.attention(q, k, values, **parameters, lengths=lengths, score="additive")
    np.testing.assert_array_equal(got[0], context)
    np.testing.assert_array_equal(got[1], weights)
