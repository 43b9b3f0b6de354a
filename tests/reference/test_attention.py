"""Attention against loops over sequences, queries and keys; its gradients against complex steps; and its edges."""

import cmath
import math

import numpy as np
import pytest

from rnnspec.reference import (
    attention_context,
    attention_context_vjp,
    attention_scores,
    attention_scores_vjp,
    attention_weights,
    attention_weights_vjp,
    feature_attention,
    feature_attention_vjp,
)
from rnnspec.spec import CallError

SCORES = ["dot", "scaled_dot", "general", "additive", "concat", "cosine"]
BATCH, QUERIES, KEYS, D, E, A = 3, 4, 5, 3, 2, 4
MASK = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]], bool)


@pytest.fixture
def rng():
    return np.random.default_rng(6)


def draw(rng, score):
    e = E if score in ("general", "additive", "concat") else D
    shapes = {"q": (BATCH, QUERIES, D), "k": (BATCH, KEYS, e)}
    if score == "general":
        shapes["W_a"] = (D, e)
    if score == "concat":
        shapes["W_a"] = (A, D + e)
    if score == "additive":
        shapes |= {"W_q": (A, D), "W_k": (A, e)}
    if score in ("additive", "concat"):
        shapes |= {"b_a": (A,), "v_a": (A,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def one_score(score, q, k, p):
    """Of one query and one key, in plain numbers."""
    q, k = list(q), list(k)
    if score == "dot":
        return dot(q, k)
    if score == "scaled_dot":
        return dot(q, k) / math.sqrt(len(q))
    if score == "general":
        return sum(q[i] * p["W_a"][i][j] * k[j] for i in range(len(q)) for j in range(len(k)))
    if score == "cosine":
        return dot(q, k) / (cmath.sqrt(dot(q, q)) * cmath.sqrt(dot(k, k)))
    if score == "additive":
        hidden = [dot(p["W_q"][a], q) + dot(p["W_k"][a], k) + p["b_a"][a] for a in range(A)]
    else:
        hidden = [dot(p["W_a"][a], q + k) + p["b_a"][a] for a in range(A)]
    return sum(p["v_a"][a] * cmath.tanh(hidden[a]) for a in range(A))


def looped_scores(inputs, score, mask):
    scores = np.zeros((BATCH, QUERIES, KEYS), complex)
    for b, u, t in np.ndindex(scores.shape):
        if mask[b, t]:
            scores[b, u, t] = one_score(score, inputs["q"][b, u], inputs["k"][b, t], inputs)
    return scores


def looped_weights(inputs, mask):
    scores = inputs["scores"]
    weights = np.zeros(scores.shape, complex)
    for b, u in np.ndindex(scores.shape[:2]):
        exponentials = {t: cmath.exp(scores[b, u, t]) for t in range(KEYS) if mask[b, t]}
        for t, exponential in exponentials.items():
            weights[b, u, t] = exponential / sum(exponentials.values())
    return weights


def looped_context(inputs, mask):
    weights, values = inputs["weights"], inputs["values"]
    context = np.zeros((BATCH, QUERIES, values.shape[2]), complex)
    for b, u, v in np.ndindex(context.shape):
        context[b, u, v] = sum(weights[b, u, t] * values[b, t, v] for t in range(KEYS) if mask[b, t])
    return context


def looped_features(inputs):
    x, W, bias = inputs["x"], inputs["W"], inputs["b"]
    y = np.zeros(x.shape, complex)
    for b in range(len(x)):
        exponentials = [cmath.exp(dot(W[i], x[b]) + bias[i]) for i in range(len(bias))]
        for i, exponential in enumerate(exponentials):
            y[b, i] = x[b, i] * exponential / sum(exponentials)
    return y


def complex_steps(loops, inputs, cotangent):
    """Gradients of the loops' output, exact to rounding."""
    gradients = {}
    for name, array in inputs.items():
        gradients[name] = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            moved = array.astype(complex)
            moved[index] += 1e-30j
            gradients[name][index] = np.sum(cotangent * loops({**inputs, name: moved}).imag) / 1e-30
    return gradients


def same(actual, expected):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-13)


def check(function, inputs, loops, rng, padded=(), **others):
    """Values and gradients are those of the loops; padded entries have gradient 0 exactly."""
    expected = loops(inputs)
    spoilt = {**inputs}
    for name, place in padded:
        spoilt[name] = np.where(place, np.nan, inputs[name])
    (output,), vjp = function(**spoilt, **others)
    same(output, expected.real)
    cotangent = rng.standard_normal(output.shape)
    gradients = vjp(cotangent)
    wanted = complex_steps(loops, inputs, cotangent)
    assert gradients.keys() == inputs.keys()
    for name, gradient in gradients.items():
        same(gradient, wanted[name])
    for name, place in padded:
        assert np.all(gradients[name][np.broadcast_to(place, inputs[name].shape)] == 0)
    again = vjp(cotangent)
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(again[name], gradient)


@pytest.mark.parametrize("score", SCORES)
def test_scores(rng, score):
    everything = np.ones_like(MASK)
    check(
        attention_scores_vjp, draw(rng, score), lambda inputs: looped_scores(inputs, score, everything), rng,
        score=score,
    )  # fmt: skip


@pytest.mark.parametrize("score", SCORES)
def test_scores_of_keys_taken_out(rng, score):
    out = ~MASK[:, :, np.newaxis]
    check(
        attention_scores_vjp, draw(rng, score), lambda inputs: looped_scores(inputs, score, MASK), rng,
        padded=[("k", out)], mask=MASK, score=score,
    )  # fmt: skip


@pytest.mark.parametrize("score", SCORES)
def test_a_cotangent_at_keys_taken_out_has_no_say(rng, score):
    inputs = draw(rng, score)
    (scores,), vjp = attention_scores_vjp(**inputs, mask=MASK, score=score)
    cotangent = rng.standard_normal(scores.shape)
    spoilt = np.where(MASK[:, np.newaxis], cotangent, np.nan)
    wanted = vjp(cotangent)
    for name, gradient in vjp(spoilt).items():
        np.testing.assert_array_equal(gradient, wanted[name])


def test_weights(rng):
    inputs = {"scores": rng.standard_normal((BATCH, QUERIES, KEYS))}
    everything = np.ones_like(MASK)
    check(attention_weights_vjp, inputs, lambda given: looped_weights(given, everything), rng)
    out = ~MASK[:, np.newaxis]
    check(
        attention_weights_vjp, inputs, lambda given: looped_weights(given, MASK), rng, padded=[("scores", out)],
        mask=MASK,
    )  # fmt: skip


def test_context(rng):
    inputs = {
        "weights": rng.standard_normal((BATCH, QUERIES, KEYS)),
        "values": rng.standard_normal((BATCH, KEYS, E)),
    }
    everything = np.ones_like(MASK)
    check(attention_context_vjp, inputs, lambda given: looped_context(given, everything), rng)
    padded = [("weights", ~MASK[:, np.newaxis]), ("values", ~MASK[:, :, np.newaxis])]
    check(attention_context_vjp, inputs, lambda given: looped_context(given, MASK), rng, padded=padded, mask=MASK)


def test_feature_attention(rng):
    inputs = {
        "x": rng.standard_normal((BATCH, D)),
        "W": rng.standard_normal((D, D)),
        "b": rng.standard_normal(D),
    }
    check(feature_attention_vjp, inputs, looped_features, rng)


def test_scores_by_hand():
    q, k = np.array([[[3.0, 4.0]]]), np.array([[[1.0, 2.0], [4.0, -3.0]]])
    np.testing.assert_allclose(attention_scores(q, k)[0], [[[11.0, 0.0]]])
    np.testing.assert_allclose(attention_scores(q, k, score="scaled_dot")[0], [[[11.0 / math.sqrt(2), 0.0]]])
    cosine = attention_scores(q, k, score="cosine")[0]
    np.testing.assert_allclose(cosine, [[[11.0 / (5 * math.sqrt(5)), 0.0]]], atol=1e-15)
    W_a = np.array([[1.0, 2.0], [0.0, -1.0]])
    np.testing.assert_allclose(attention_scores(q, k, W_a, score="general")[0], [[[3 * 5 - 4 * 2, 3 * -2 + 4 * 3]]])


def test_lengths_are_the_right_padded_mask(rng):
    inputs = draw(rng, "additive")
    lengths = np.array([5, 0, 2])
    mask = np.arange(KEYS) < lengths[:, np.newaxis]
    (by_lengths,) = attention_scores(**inputs, lengths=lengths, score="additive")
    (by_mask,) = attention_scores(**inputs, mask=mask, score="additive")
    np.testing.assert_array_equal(by_lengths, by_mask)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_weights_of_large_scores(dtype):
    scores = np.array([[[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4]]], dtype)
    (weights,), vjp = attention_weights_vjp(scores)
    assert weights.dtype == dtype
    np.testing.assert_allclose(weights, [[[0.5, 0.0, 0.5], [1 / 3, 1 / 3, 1 / 3]]], rtol=1e-3)
    assert np.all(np.isfinite(vjp(np.ones_like(weights))["scores"]))


def test_the_largest_score_may_stand_in_the_padding():
    scores = np.array([[[1.0, 2.0, 1e30]]], "float32")
    (weights,) = attention_weights(scores, lengths=np.array([2]))
    np.testing.assert_allclose(weights[0, 0], [1 / (1 + math.e), math.e / (1 + math.e), 0.0], rtol=1e-6)


def test_infinite_scores_have_no_weight_and_make_no_nan():
    scores = np.array([[[1.0, -math.inf, 1.0], [-math.inf, -math.inf, -math.inf]]])
    (weights,), vjp = attention_weights_vjp(scores)
    np.testing.assert_array_equal(weights, [[[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]])
    np.testing.assert_array_equal(vjp(np.ones_like(weights))["scores"], np.zeros_like(scores))


def test_weights_add_up_to_one_or_there_is_no_key(rng):
    (weights,) = attention_weights(rng.standard_normal((BATCH, QUERIES, KEYS)), mask=MASK)
    np.testing.assert_allclose(weights.sum(axis=2), np.repeat([[1.0], [0.0], [1.0]], QUERIES, axis=1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cosine_of_a_zero_vector_is_zero_with_gradient_zero(dtype):
    q = np.array([[[0.0, 0.0], [3.0, 4.0]]], dtype)
    k = np.array([[[1.0, 2.0], [0.0, 0.0]]], dtype)
    (scores,), vjp = attention_scores_vjp(q, k, score="cosine")
    np.testing.assert_allclose(scores, [[[0.0, 0.0], [11 / (5 * math.sqrt(5)), 0.0]]], rtol=1e-6)
    gradients = vjp(np.ones_like(scores))
    np.testing.assert_array_equal(gradients["q"][0, 0], [0.0, 0.0])
    np.testing.assert_array_equal(gradients["k"][0, 1], [0.0, 0.0])
    assert np.all(gradients["q"][0, 1] != 0)
    assert np.all(np.isfinite(gradients["k"]))


@pytest.mark.parametrize("size", [2.0**-149, 1e-30, 1.0, 1e30])
@pytest.mark.parametrize("other", [1e-30, 1e30])
def test_cosine_of_tiny_and_of_huge_vectors(size, other):
    q = (np.array([[[3.0, 4.0]]]) * size).astype("float32")
    k = (np.array([[[4.0, 3.0]]]) * other).astype("float32")
    (scores,), vjp = attention_scores_vjp(q, k, score="cosine")
    np.testing.assert_allclose(scores, 24 / 25, rtol=1e-6)
    gradients = vjp(np.ones_like(scores))
    # Across q: (k's direction - cosine * q's direction) / norm(q).
    across = (np.array([4.0, 3.0]) - 24 / 25 * np.array([3.0, 4.0])) / 5
    if size > 1e-40:
        np.testing.assert_allclose(gradients["q"][0, 0] * size * 5, across, rtol=1e-5)
    assert not np.any(np.isnan(gradients["q"]))
    across = (np.array([3.0, 4.0]) - 24 / 25 * np.array([4.0, 3.0])) / 5
    np.testing.assert_allclose(gradients["k"][0, 0] * other * 5, across, rtol=1e-5)


def test_cosine_of_vectors_of_one_feature_has_no_gradient():
    _, vjp = attention_scores_vjp(np.array([[[-3e-30]]]), np.array([[[2e30], [-1.0]]]), score="cosine")
    gradients = vjp(np.ones((1, 1, 2)))
    np.testing.assert_array_equal(gradients["q"], [[[0.0]]])
    np.testing.assert_array_equal(gradients["k"], [[[0.0], [0.0]]])


@pytest.mark.parametrize("score", SCORES)
def test_two_byte_floats_are_rounded_once(rng, score):
    inputs = {name: array.astype("float16") for name, array in draw(rng, score).items()}
    (scores,), vjp = attention_scores_vjp(**inputs, score=score)
    wide = {name: array.astype("float32") for name, array in inputs.items()}
    (expected,), wide_vjp = attention_scores_vjp(**wide, score=score)
    np.testing.assert_array_equal(scores, expected.astype("float16"))
    cotangent = rng.standard_normal(scores.shape).astype("float16")
    wanted = wide_vjp(cotangent.astype("float32"))
    for name, gradient in vjp(cotangent).items():
        np.testing.assert_array_equal(gradient, wanted[name].astype("float16"))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("batch", "keys"), [(0, 4), (2, 0), (0, 0)])
def test_nothing_to_score(rng, score, batch, keys):
    inputs = draw(rng, score)
    inputs |= {"q": inputs["q"][:batch], "k": inputs["k"][:batch, :keys]}
    (scores,), vjp = attention_scores_vjp(**inputs, score=score)
    assert scores.shape == (batch, QUERIES, keys)
    for name, gradient in vjp(scores).items():
        np.testing.assert_array_equal(gradient, np.zeros_like(inputs[name]))


def test_nothing_to_weigh():
    (weights,), vjp = attention_weights_vjp(np.zeros((2, 3, 0)))
    assert weights.shape == vjp(weights)["scores"].shape == (2, 3, 0)
    (context,), vjp = attention_context_vjp(weights, np.zeros((2, 0, 4)))
    np.testing.assert_array_equal(context, np.zeros((2, 3, 4)))
    assert vjp(context)["values"].shape == (2, 0, 4)


def test_feature_attention_of_large_scores():
    x = np.array([[1e4, -1e4, 2.0]], "float32")
    (y,), vjp = feature_attention_vjp(x, np.eye(3, dtype="float32"), np.zeros(3, "float32"))
    np.testing.assert_array_equal(y, [[1e4, 0.0, 0.0]])
    assert all(np.all(np.isfinite(gradient)) for gradient in vjp(np.ones_like(y)).values())


def test_outputs_alone_are_those_with_the_way_back(rng):
    inputs = draw(rng, "concat")
    given = {**inputs, "mask": MASK, "score": "concat"}
    np.testing.assert_array_equal(attention_scores(**given)[0], attention_scores_vjp(**given)[0][0])
    weights, values = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 4, 2))
    np.testing.assert_array_equal(attention_context(weights, values)[0], weights @ values)
    x = rng.standard_normal((1, 2))
    np.testing.assert_allclose(feature_attention(x, np.zeros((2, 2)), np.zeros(2))[0], x / 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": "bilinear"}, "score"),
        ({"W_a": np.zeros((2, 2))}, "W_a"),
        ({"k": np.zeros((1, 4, 3))}, "k"),
        ({"lengths": np.array([5])}, "lengths"),
    ],
)
def test_what_is_not_defined_is_refused(change, message):
    with pytest.raises(CallError, match=message):
        attention_scores(**{"q": np.zeros((1, 3, 2)), "k": np.zeros((1, 4, 2)), **change})
