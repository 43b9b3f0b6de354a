"""Building blocks: hand-worked cases, and numbers at the edge of what the types hold."""

import math

import numpy as np
import pytest

from rnnspec.reference import (
    dense,
    dense_vjp,
    dropout,
    dropout_vjp,
    embedding,
    embedding_vjp,
    log_softmax,
    log_softmax_vjp,
    softmax,
    softmax_vjp,
    zoneout_vjp,
)
from rnnspec.spec import CallError

NAN = math.nan


def close(actual, expected, rtol=1e-13):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-15)


# dense

X, W, b = np.array([[1.0, -2.0]]), np.array([[0.5, 0.25], [-1.0, 1.0]]), np.array([0.5, 1.0])  # a = 0.5, -2


@pytest.mark.parametrize(
    ("activation", "y", "slopes"),
    [
        ("identity", [0.5, -2.0], [1.0, 1.0]),
        ("relu", [0.5, 0.0], [1.0, 0.0]),
        ("tanh", [math.tanh(0.5), math.tanh(-2)], [1 - math.tanh(0.5) ** 2, 1 - math.tanh(2) ** 2]),
        ("logistic", [1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(2))], None),
    ],
)
def test_dense_by_hand(activation, y, slopes):
    (got,), vjp = dense_vjp(X, W, b, activation=activation)
    close(got, [y])
    da = np.array([3.0, -1.0]) * (slopes if slopes is not None else [p * (1 - p) for p in y])
    gradients = vjp(np.array([[3.0, -1.0]]))
    close(gradients["b"], da)
    close(gradients["W"], np.outer(da, X[0]))
    close(gradients["x"], [W.T @ da])


def test_dense_softmax_runs_over_the_units():
    (y,), vjp = dense_vjp(X, W, b, activation="softmax")
    p = 1 / (1 + math.exp(-2.5))
    close(y, [[p, 1 - p]])
    close(vjp(np.array([[1.0, 0.0]]))["b"], [p * (1 - p), -p * (1 - p)])


@pytest.mark.parametrize("activation", ["tanh", "logistic", "softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense_of_large_arguments_stays_finite(activation, dtype):
    x = np.array([[1e4], [-1e4]], dtype)
    (y,), vjp = dense_vjp(x, np.ones((2, 1), dtype), np.array([0, 3], dtype), activation=activation)
    assert np.isfinite(y).all()
    assert all(np.isfinite(d).all() for d in vjp(np.ones_like(y)).values())


def test_dense_of_an_empty_batch():
    (y,), vjp = dense_vjp(np.zeros((0, 2)), W, b, activation="softmax")
    assert y.shape == (0, 2)
    gradients = vjp(y)
    assert gradients["x"].shape == (0, 2)
    close(gradients["W"], np.zeros((2, 2)))


def test_dense_float16_is_summed_in_float32():
    x = np.full((1, 100), 100, np.float16)
    alternating = np.resize(np.array([100, -100], np.float16), (1, 100))
    (y,) = dense(x, alternating, np.array([1], np.float16))
    close(y, [[1]])
    (y,) = dense(x, np.full((1, 100), 100, np.float16), np.array([0], np.float16), activation="tanh")
    close(y, [[1]])  # of 1e6, which is too large for the type
    with np.errstate(over="ignore"):
        (y,) = dense(x, np.full((1, 100), 100, np.float16), np.array([0], np.float16))
    assert y.dtype == np.float16
    assert np.isposinf(y).all()


def test_dense_refuses_a_wrong_shape():
    with pytest.raises(CallError, match=r"dense: W: expected shape \(H, D\)"):
        dense(X, np.ones((2, 3)), b)


# embedding

E = np.arange(8.0).reshape(4, 2)


def test_embedding_looks_up_rows_and_shows_0_in_the_padding():
    ids = np.array([[3, 0, 3], [1, 99, -7]])
    (y,) = embedding(ids, E, lengths=np.array([3, 1]))
    close(y, [[[6, 7], [0, 1], [6, 7]], [[2, 3], [0, 0], [0, 0]]])


def test_embedding_gradient_adds_up_over_repeated_ids():
    ids = np.array([[3, 0, 3], [3, 99, -7]])
    dy = np.arange(12.0).reshape(2, 3, 2)
    dy[1, 1:] = NAN
    _, vjp = embedding_vjp(ids, E, lengths=np.array([3, 1]))
    expected = np.zeros((4, 2))
    expected[3] = dy[0, 0] + dy[0, 2] + dy[1, 0]
    expected[0] = dy[0, 1]
    close(vjp(dy)["E"], expected)
    close(vjp(dy)["E"], expected)  # again


def test_embedding_gradient_in_float16_adds_up_in_float32():
    ids = np.zeros((1, 4096), np.int64)
    _, vjp = embedding_vjp(ids, np.zeros((1, 1), np.float16))
    close(vjp(np.ones((1, 4096, 1), np.float16))["E"], [[4096]])  # in float16 it would stop at 2048


def test_embedding_refuses_an_id_beyond_the_table():
    with pytest.raises(CallError, match="ids"):
        embedding(np.array([[4]]), E)


def test_embedding_result_is_not_the_table():
    (y,) = embedding(np.array([[0, 1, 2, 3]]), E)
    assert not np.shares_memory(y, E)


# softmax

HOLES = np.array([[True, False, True], [False, False, False]])


def test_softmax_over_valid_positions():
    (y,) = softmax(np.array([[0.0, NAN, math.log(3)], [NAN, NAN, NAN]]), mask=HOLES)
    close(y, [[0.25, 0, 0.75], [0, 0, 0]])


def test_softmax_gradient_over_valid_positions():
    _, vjp = softmax_vjp(np.array([[0.0, NAN, math.log(3)], [NAN, NAN, NAN]]), mask=HOLES)
    gradient = vjp(np.array([[1.0, NAN, 0.0], [NAN, NAN, NAN]]))["x"]
    close(gradient, [[0.25 * 0.75, 0, -0.25 * 0.75], [0, 0, 0]])


def test_softmax_gradient_matches_differences():
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3, 5))
    valid = rng.random((3, 5)) < 0.7
    _, vjp = softmax_vjp(x, mask=valid)
    gradient = vjp(dy)["x"]
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-6
        (up,), (down,) = softmax(x + step, mask=valid), softmax(x - step, mask=valid)
        assert gradient[place] == pytest.approx(((up - down) * dy).sum() / 2e-6, abs=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_of_large_numbers(dtype):
    x = np.array([[1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]], dtype)
    (y,), vjp = softmax_vjp(x)
    close(y, [[0.5, 0.5, 0], [1 / 3] * 3], rtol=1e-6)
    assert np.isfinite(vjp(np.ones_like(y))["x"]).all()
    (y,), vjp = log_softmax_vjp(x)
    close(y, [[-math.log(2), -math.log(2), -2e4 - math.log(2)], [-math.log(3)] * 3], rtol=1e-6)
    assert np.isfinite(vjp(np.ones_like(y))["x"]).all()


def test_softmax_of_float16_extremes():
    (y,) = softmax(np.array([[65504, -65504]], np.float16))
    close(y, [[1, 0]])
    (y,) = log_softmax(np.array([[1000, -1000]], np.float16))
    close(y, [[0, -2000]])


def test_softmax_of_ten_thousand_equal_float16_numbers():
    (y,) = softmax(np.zeros((1, 10_000), np.float16))
    close(y, np.full((1, 10_000), np.float16(1e-4)))


def test_softmax_where_minus_infinity_forbids():
    close(softmax(np.array([[-np.inf, 0.0, 0.0]]))[0], [[0, 0.5, 0.5]])


@pytest.mark.parametrize("operation", [softmax, log_softmax])
@pytest.mark.parametrize("shape", [(2, 0), (0, 3), (0, 0)])
def test_softmax_of_nothing(operation, shape):
    assert operation(np.zeros(shape))[0].shape == shape


def test_log_softmax_over_valid_positions():
    x = np.array([[0.0, NAN, math.log(3)], [NAN, NAN, NAN]])
    (y,), vjp = log_softmax_vjp(x, mask=HOLES)
    close(y, [[math.log(0.25), 0, math.log(0.75)], [0, 0, 0]])
    gradient = vjp(np.array([[1.0, NAN, 2.0], [NAN, NAN, NAN]]))["x"]
    close(gradient, [[1 - 0.25 * 3, 0, 2 - 0.75 * 3], [0, 0, 0]])


# dropout


def test_dropout_scales_what_is_kept():
    x = np.array([[[1.0, 2.0], [3.0, 4.0], [NAN, NAN]]])
    keep = np.array([[[1, 0], [1, 1], [1, 1]]], bool)
    (y,), vjp = dropout_vjp(x, keep, p=0.75, lengths=np.array([2]))
    close(y, [[[4, 0], [12, 16], [0, 0]]])
    close(vjp(np.ones_like(x))["x"], [[[4, 0], [4, 4], [0, 0]]])


def test_dropout_shared_over_time():
    x = np.arange(6.0).reshape(1, 3, 2)
    (y,) = dropout(x, np.array([[False, True]]), p=0.5, shared_over="time")
    close(y, [[[0, 2], [0, 6], [0, 10]]])


def test_dropout_of_nothing_is_the_input_in_other_memory():
    x = np.arange(6.0).reshape(1, 3, 2)
    (y,) = dropout(x, np.ones(x.shape, bool), p=0.0)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(x, y)


def test_dropout_refuses_to_drop_everything():
    with pytest.raises(CallError, match="p: expected a number from 0 to below 1"):
        dropout(np.ones((1, 1, 1)), np.ones((1, 1, 1), bool), p=1.0)


# zoneout


def test_zoneout_keeps_units_or_renews_them():
    h, h_prev, dy = np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]]), np.array([[7.0, 9.0]])
    (y,), vjp = zoneout_vjp(h, h_prev, np.array([[True, False]]))
    close(y, [[1, 5]])
    close(vjp(dy)["h"], [[7, 0]])
    close(vjp(dy)["h_prev"], [[0, 9]])
    (y,), vjp = zoneout_vjp(h, h_prev, p=0.25)
    close(y, [[1.5, 2.75]])
    close(vjp(dy)["h"], [[5.25, 6.75]])
    close(vjp(dy)["h_prev"], [[1.75, 2.25]])
    with pytest.raises(CallError, match="renewed"):
        zoneout_vjp(h, h_prev)
