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


# By several heads.


def heads_of(random: np.random.Generator, heads: int, units: int, keys: int, values: int) -> dict[str, Any]:
    """Parameters of heads that divide the features of a query among them."""
    features = heads * units
    shapes = {
        "W_q": (heads, units, features),
        "W_k": (heads, units, keys),
        "W_v": (heads, units, values),
        "W_o": (heads, features, units),
        "b_q": (heads, units),
        "b_k": (heads, units),
        "b_v": (heads, units),
        "b_o": (features,),
    }
    return {name: random.standard_normal(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("averaged", [False, True])
def test_each_head_attends_to_projections_of_its_own(causal: bool, averaged: bool) -> None:
    random = np.random.default_rng(7)
    q, k, values = (random.standard_normal(shape) for shape in ((3, 4, 6), (3, 5, 4), (3, 5, 2)))
    mask = np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], np.bool_)
    p = heads_of(random, 3, 2, 4, 2)
    y, weights = np.zeros((3, 4, 6)) + p["b_o"], np.zeros((3, 3, 4, 5))
    for j in range(3):
        own = (x @ p[f"W_{name}"][j].T + p[f"b_{name}"][j] for name, x in (("q", q), ("k", k), ("v", values)))
        read, weights[:, j] = by_loops(
            *own, lambda b, u, t: mask[b, t] and (not causal or t <= u), lambda a, b: a @ b / np.sqrt(2)
        )
        y += read @ p["W_o"][j].T
    got = reference.multi_head_attention(q, k, values, **p, mask=mask, causal=causal, averaged=averaged)
    np.testing.assert_allclose(got[0], y, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(got[1], weights.mean(axis=1) if averaged else weights, rtol=1e-13, atol=1e-15)


def test_one_head_whose_projections_change_nothing_is_attention() -> None:
    random = np.random.default_rng(8)
    q, k, values = (random.standard_normal(shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 4)))
    one = np.eye(4)[np.newaxis]
    got = reference.multi_head_attention(q, k, values, W_q=one, W_k=one, W_v=one, W_o=one)
    for found, right in zip(got, reference.attention(q, k, values, score="scaled_dot"), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-14, atol=1e-15)


def test_torch_has_the_same_heads_where_keys_and_values_are_as_wide_as_queries() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(9)
    p = heads_of(random, 2, 3, 6, 6)
    q, k, values = (random.standard_normal(shape) for shape in ((2, 3, 6), (2, 5, 6), (2, 5, 6)))
    layer = torch.nn.MultiheadAttention(6, 2, batch_first=True, dtype=torch.float64)
    own = {
        "in_proj_weight": np.concatenate([p[f"W_{name}"].reshape(6, 6) for name in "qkv"]),
        "in_proj_bias": np.concatenate([p[f"b_{name}"].ravel() for name in "qkv"]),
        "out_proj.weight": p["W_o"].transpose(1, 0, 2).reshape(6, 6),
        "out_proj.bias": p["b_o"],
    }
    layer.load_state_dict({name: torch.from_numpy(array) for name, array in own.items()})
    expected = layer(*(torch.from_numpy(array) for array in (q, k, values)))
    from rnnspec.backends import Call
    from rnnspec.backends.torch import TorchBackend
    from rnnspec.spec import operation

    attributes = operation("multi_head_attention").defaults()
    call = Call("multi_head_attention", {"q": q, "k": k, "values": values, **p}, attributes)
    assert TorchBackend().refusal(call) is None
    for right, native, own_result in zip(
        expected, TorchBackend().run(call), reference.multi_head_attention(q, k, values, **p), strict=True
    ):
        np.testing.assert_allclose(own_result, right.detach().numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(native, right.detach().numpy(), rtol=1e-12, atol=1e-14)
