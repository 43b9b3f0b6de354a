"""Clipping: its laws, and norms whose squares no type could hold."""

import math

import numpy as np
import pytest

from rnnspec.reference import (
    clip_by_global_norm,
    clip_by_global_norm_vjp,
    clip_by_norm,
    clip_by_norm_vjp,
    clip_by_value,
    clip_by_value_vjp,
)
from rnnspec.spec import CallError

RNG = np.random.default_rng(5)
TYPES = [np.float16, np.float32, np.float64]


def norm(*arrays):
    return math.hypot(*(float(entry) for array in arrays for entry in array))


def close(actual, expected, rtol=1e-12):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-15)


def differences(function, x, cotangents, step=1e-6):
    """Gradient of the product of outputs and cotangents, by central differences."""
    gradient = np.zeros_like(x)
    for j in range(x.size):
        move = np.zeros_like(x)
        move[j] = step
        change = zip(function(x + move), function(x - move), cotangents, strict=True)
        gradient[j] = sum(((up - down) * d).sum() for up, down, d in change) / (2 * step)
    return gradient


def test_by_value_by_hand():
    (y,), vjp = clip_by_value_vjp(np.array([-3.0, -1.0, 0.5, 1.0, 7.0]), threshold=1.0)
    close(y, [-1, -1, 0.5, 1, 1])
    close(vjp(np.full(5, 2.0))["x"], [0, 2, 2, 2, 0])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("length", [0.0, 1e-3, 0.5, 0.99])
def test_a_small_gradient_is_left_alone(dtype, length):
    x = RNG.standard_normal(6)
    x = (x / norm(x) * length).astype(dtype)
    np.testing.assert_array_equal(clip_by_value(x)[0], x)
    np.testing.assert_array_equal(clip_by_norm(x)[0], x)
    *y, total = clip_by_global_norm(x[:1], x[1:3], x[3:])
    np.testing.assert_array_equal(np.concatenate(y), x)
    close(total, norm(x), rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.5, 100.0, 1e15, 1e30, 1e37])
def test_a_large_gradient_is_brought_to_the_threshold(dtype, scale):
    x = (RNG.standard_normal(6) * scale).astype(dtype)
    (y,) = clip_by_norm(x, threshold=0.5)
    close(norm(y), 0.5, rtol=4 * np.finfo(dtype).eps)
    close(y * (norm(x) / 0.5), x.astype(float), rtol=8 * np.finfo(dtype).eps)
    *parts, total = clip_by_global_norm(x[:1], x[1:3], x[3:], threshold=0.5)
    close(np.concatenate(parts), y, rtol=1e-6)
    close(total, norm(x), rtol=8 * np.finfo(dtype).eps)


def test_a_gradient_at_the_threshold_is_left_alone():
    np.testing.assert_array_equal(clip_by_norm(np.array([3.0, 4.0]), threshold=5.0)[0], [3, 4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squares_that_underflow_do_not_make_the_norm_0(dtype):
    x = np.array([3e-30, 4e-30], dtype)
    close(clip_by_global_norm(x, x[:1] * 0, x[:1] * 0)[3], 5e-30, rtol=1e-6)
    (y,), vjp = clip_by_norm_vjp(x, threshold=1e-30)
    close(y, [6e-31, 8e-31], rtol=1e-6)
    close(vjp(np.array([4, -3], dtype))["x"], [0.8, -0.6], rtol=1e-6)
    close(vjp(np.array([3, 4], dtype))["x"], [0, 0])


def test_a_norm_too_large_for_the_type_is_clipped_right():
    largest = np.finfo(np.float32).max
    x = np.full(4, largest, np.float32)
    (y,), vjp = clip_by_norm_vjp(x, threshold=2.0)
    close(y, [1, 1, 1, 1], rtol=1e-6)
    assert np.isfinite(vjp(np.ones(4, np.float32))["x"]).all()


def test_float16_norms_are_found_in_float32():
    x = np.full(100, 1000, np.float16)
    *_, total = clip_by_global_norm(x, x[:1] * 0, x[:1] * 0)
    assert total == 10_000
    close(clip_by_norm(x)[0], np.full(100, np.float16(0.1)))


@pytest.mark.parametrize("epsilon", [0.0, 1e-6, 2.0])
@pytest.mark.parametrize("dtype", TYPES)
def test_zeros_stay_zeros(epsilon, dtype):
    x = np.zeros(3, dtype)
    (y,), vjp = clip_by_norm_vjp(x, threshold=1.0, epsilon=epsilon)
    np.testing.assert_array_equal(y, x)
    # Near 0 the factor is 1, or threshold / epsilon.
    np.testing.assert_array_equal(vjp(np.ones(3, dtype))["x"], np.ones(3) * min(1, 1 / (epsilon or 1)))
    *ys, total = clip_by_global_norm(x, x, x, epsilon=epsilon)
    assert not np.concatenate(ys).any()
    assert total == 0
    _, vjp = clip_by_global_norm_vjp(x, x, x, threshold=1.0)
    assert not any(d.any() for d in vjp(x, x, x, np.ones((), dtype)).values())


@pytest.mark.parametrize("epsilon", [0.0, 0.25])
@pytest.mark.parametrize("threshold", [0.5, 1.5, 100.0])
def test_gradients_match_differences(threshold, epsilon):
    x, dy = RNG.standard_normal((2, 6))
    close(
        clip_by_norm_vjp(x, threshold=threshold, epsilon=epsilon)[1](dy)["x"],
        differences(lambda x: clip_by_norm(x, threshold=threshold, epsilon=epsilon), x, [dy]),
        rtol=1e-7,
    )

    def together(x):
        return clip_by_global_norm(x[:1], x[1:3], x[3:], threshold=threshold, epsilon=epsilon)

    cotangents = dy[:1], dy[1:3], dy[3:], np.array(0.7)
    _, vjp = clip_by_global_norm_vjp(x[:1], x[1:3], x[3:], threshold=threshold, epsilon=epsilon)
    gradients = vjp(*cotangents)
    close(np.concatenate([gradients[name] for name in ("x1", "x2", "x3")]), differences(together, x, cotangents), 1e-7)


def test_the_global_norm_keeps_proportions():
    y1, y2, y3, total = clip_by_global_norm(np.array([2.0]), np.array([3.0, 6.0]), np.array([0.0]), threshold=3.5)
    close(total, 7)
    close(y1, [1])
    close(y2, [1.5, 3])
    close(y3, [0])


def test_epsilon_is_added_to_the_norm():
    close(clip_by_norm(np.array([3.0, 4.0]), threshold=1.0, epsilon=5.0)[0], [0.3, 0.4])


def test_results_have_memory_of_their_own():
    x = np.array([0.25, 0.5])
    _, vjp = clip_by_norm_vjp(x)
    results = [*clip_by_value(x), *clip_by_norm(x), *clip_by_global_norm(x, x, x), *vjp(x).values()]
    for number, result in enumerate(results):
        assert not any(np.may_share_memory(result, other) for other in (x, *results[:number]))


@pytest.mark.parametrize("threshold", [0.0, -1.0, math.inf])
def test_refuses_a_threshold_that_is_not_positive(threshold):
    with pytest.raises(CallError, match="threshold: expected a positive number"):
        clip_by_norm(np.ones(2), threshold=threshold)
