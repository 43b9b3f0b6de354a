"""Losses: hand-worked cases, and numbers at the edge of what the types hold."""

import math

import numpy as np
import pytest

from rnnspec.reference import (
    binary_cross_entropy,
    binary_cross_entropy_vjp,
    cross_entropy,
    cross_entropy_vjp,
    mean_absolute_error,
    mean_absolute_error_vjp,
    mean_squared_error,
    mean_squared_error_vjp,
    perplexity,
    perplexity_vjp,
)

NAN, INF = math.nan, math.inf
ONE = np.array(1.0)


def close(actual, expected, rtol=1e-12):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-15)


# Errors of 2 and -4, then 0 and 1; a second sequence with one step, of 3 and 3.
PREDICTION = np.array([[[3.0, -1.0], [0.0, 2.0]], [[3.0, 5.0], [NAN, NAN]]])
TARGET = np.array([[[1.0, 3.0], [0.0, 1.0]], [[0.0, 2.0], [NAN, INF]]])
LENGTHS = np.array([2, 1])


@pytest.mark.parametrize(
    ("loss", "each"),
    [(mean_absolute_error, [[3.0, 0.5], [3.0, 0.0]]), (mean_squared_error, [[10.0, 0.5], [9.0, 0.0]])],
)
def test_errors_by_hand(loss, each):
    close(loss(PREDICTION, TARGET, lengths=LENGTHS, reduction="none")[0], each)
    close(loss(PREDICTION, TARGET, lengths=LENGTHS, reduction="sum")[0], np.sum(each))
    (mean,) = loss(PREDICTION, TARGET, lengths=LENGTHS)
    assert mean.shape == ()
    close(mean, np.sum(each) / 3)


def test_absolute_error_gradient_by_hand():
    _, vjp = mean_absolute_error_vjp(PREDICTION, TARGET, lengths=LENGTHS)
    gradients = vjp(np.array(6.0))
    close(gradients["prediction"], [[[1, -1], [0, 1]], [[1, 1], [0, 0]]])
    close(gradients["target"], [[[-1, 1], [0, -1]], [[-1, -1], [0, 0]]])


@pytest.mark.parametrize("loss", [mean_absolute_error_vjp, mean_squared_error_vjp])
def test_a_mean_over_weights_that_are_all_0_is_0_and_has_no_gradient(loss):
    (mean,), vjp = loss(PREDICTION, TARGET, weights=np.zeros((2, 2)), lengths=LENGTHS, weighted=True)
    assert mean == 0
    assert not any(gradient.any() for gradient in vjp(ONE).values())


def test_squared_error_gradient_by_hand():
    _, vjp = mean_squared_error_vjp(PREDICTION, TARGET, lengths=LENGTHS, reduction="none")
    gradients = vjp(np.array([[1.0, 2.0], [-1.0, NAN]]))
    close(gradients["prediction"], [[[2, -4], [0, 2]], [[-3, -3], [0, 0]]])
    close(gradients["target"], [[[-2, 4], [0, -2]], [[3, 3], [0, 0]]])


def test_a_mean_over_many_float16_errors_does_not_overflow():
    prediction, target = np.full((8, 64, 4), 200, np.float16), np.zeros((8, 64, 4), np.float16)
    (loss,) = mean_squared_error(prediction, target)
    assert loss.dtype == np.float16
    assert loss == 40_000  # one error squared fits; the sum of two does not
    assert mean_absolute_error(prediction, target)[0] == 200
    with np.errstate(over="ignore"):
        assert np.isposinf(mean_squared_error(prediction, target, reduction="sum")[0])


LOSSES = {
    mean_absolute_error_vjp: (PREDICTION, TARGET),
    mean_squared_error_vjp: (PREDICTION, TARGET),
    binary_cross_entropy_vjp: (TARGET[..., 0], PREDICTION[..., 0]),
    cross_entropy_vjp: (PREDICTION, np.zeros((2, 2), np.int64)),
    perplexity_vjp: (PREDICTION, np.zeros((2, 2), np.int64)),
}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("steps", [{"lengths": np.array([0, 0])}, {"mask": np.zeros((2, 2), bool)}])
def test_where_no_step_is_valid_the_loss_is_0_and_has_no_gradient(loss, reduction, steps):
    (value,), vjp = loss(*LOSSES[loss], reduction=reduction, **steps)
    exponential = loss is perplexity_vjp and reduction != "none"
    close(value, np.full(value.shape, 1.0 if exponential else 0.0))
    for gradient in vjp(np.ones_like(value)).values():
        assert not gradient.any()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_of_an_empty_batch_or_empty_sequences(loss, shape):
    arguments = [np.zeros(shape + argument.shape[2:], argument.dtype) for argument in LOSSES[loss]]
    (value,), vjp = loss(*arguments)
    assert value == (1.0 if loss is perplexity_vjp else 0.0)
    assert all(gradient.size == 0 for gradient in vjp(ONE).values())


# Binary cross-entropy.


def test_binary_cross_entropy_by_hand():
    p = np.array([[0.25, 0.5, 0.9]])
    target = np.array([[1.0, 0.0, 0.3]])
    expected = [[-math.log(0.25), -math.log(0.5), -0.3 * math.log(0.9) - 0.7 * math.log(0.1)]]
    close(binary_cross_entropy(target, probabilities=p, given="probabilities", reduction="none")[0], expected)
    close(binary_cross_entropy(target, logits=np.log(p / (1 - p)), reduction="none")[0], expected)


def test_binary_cross_entropy_gradients_by_hand():
    p, target = np.array([[0.25, 0.5]]), np.array([[1.0, 0.25]])
    _, vjp = binary_cross_entropy_vjp(target, probabilities=p, given="probabilities")
    gradients = vjp(np.array(2.0))
    close(gradients["probabilities"], [[-4.0, 0.75 / 0.5 - 0.25 / 0.5]])
    close(gradients["target"], [[math.log(3), 0.0]])
    _, vjp = binary_cross_entropy_vjp(target, logits=np.log(p / (1 - p)))
    gradients = vjp(np.array(2.0))
    close(gradients["logits"], p - target)
    close(gradients["target"], [[math.log(3), 0.0]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_binary_cross_entropy_of_large_logits(dtype):
    logits = np.array([[1e4, 1e4, -1e4, -1e4, 0]], dtype)
    target = np.array([[1, 0, 1, 0, 0.5]], dtype)
    (loss,), vjp = binary_cross_entropy_vjp(target, logits=logits, reduction="none")
    close(loss, [[0, 1e4, 1e4, 0, np.array(math.log(2), dtype)]])
    gradients = vjp(np.ones_like(loss))
    close(gradients["logits"], [[0, 1, -1, 0, 0]])
    close(gradients["target"], [[-1e4, -1e4, 1e4, 1e4, 0]])


def test_binary_cross_entropy_of_certain_logits_keeps_its_small_loss():
    (loss,) = binary_cross_entropy(np.array([[1.0]]), logits=np.array([[50.0]]))
    close(loss, math.exp(-50))


def test_probabilities_of_0_and_1():
    p = np.array([[0.0, 1.0, 0.0, 1.0]])
    target = np.array([[0.0, 1.0, 0.5, 0.0]])
    (loss,), vjp = binary_cross_entropy_vjp(target, probabilities=p, given="probabilities", reduction="none")
    close(loss, [[0, 0, INF, INF]])
    gradients = vjp(np.array([[1.0, 1.0, 1.0, 1.0]]))
    close(gradients["probabilities"], [[1, -1, -INF, INF]])
    close(gradients["target"], [[INF, -INF, INF, -INF]])


def test_a_step_that_does_not_count_gets_no_gradient_from_a_probability_of_0():
    p, target = np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]])
    _, vjp = binary_cross_entropy_vjp(target, probabilities=p, given="probabilities", reduction="none")
    for gradient in vjp(np.zeros((1, 2))).values():
        close(gradient, [[0, 0]])
    mask = np.array([[False, True]])
    (loss,), vjp = binary_cross_entropy_vjp(target, probabilities=p, given="probabilities", mask=mask)
    close(loss, 0)
    close(vjp(ONE)["probabilities"], [[0, 1]])


# Cross-entropy and perplexity.

LOGITS = np.log(np.array([[[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]])) + 7.0
IDS = np.array([[1, 2]])


def test_cross_entropy_by_hand():
    each = [[math.log(4), -math.log(0.75)]]
    close(cross_entropy(LOGITS, IDS, reduction="none")[0], each)
    close(cross_entropy(LOGITS, IDS)[0], np.mean(each))
    close(cross_entropy(LOGITS, IDS, reduction="sum")[0], np.sum(each))


def test_cross_entropy_gradient_by_hand():
    _, vjp = cross_entropy_vjp(LOGITS, IDS)
    close(vjp(np.array(2.0))["logits"], [[[0.5, -0.75, 0.25], [0.125, 0.125, -0.25]]])


def test_one_hot_targets_are_the_same_as_ids():
    one_hot = np.eye(3)[IDS]
    of_ids, from_ids = cross_entropy_vjp(LOGITS, IDS)
    of_targets, from_targets = cross_entropy_vjp(LOGITS, None, one_hot, targets="distribution")
    close(of_targets[0], of_ids[0])
    close(from_targets(ONE)["logits"], from_ids(ONE)["logits"])


def test_targets_need_not_add_up_to_1():
    target = np.array([[[0.5, 0.0, 1.0], [0.0, 0.0, 0.0]]])
    (loss,), vjp = cross_entropy_vjp(LOGITS, None, target, targets="distribution", reduction="sum")
    close(loss, 0.5 * math.log(2) + math.log(4))
    gradients = vjp(ONE)
    close(gradients["logits"], [[[1.5 * 0.5 - 0.5, 1.5 * 0.25, 1.5 * 0.25 - 1], [0, 0, 0]]])
    close(gradients["target"], [[[math.log(2), math.log(4), math.log(4)], [math.log(8), math.log(8), -math.log(0.75)]]])


def test_padding_is_ignored_whatever_stands_there():
    logits = np.concatenate([LOGITS, np.full((1, 1, 3), NAN)], axis=1)
    ids = np.array([[1, 2, 999]])
    (loss,), vjp = cross_entropy_vjp(logits, ids, lengths=np.array([2]))
    close(loss, cross_entropy(LOGITS, IDS)[0])
    close(vjp(np.array(2.0))["logits"][0, 2], [0, 0, 0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_cross_entropy_of_large_logits(dtype):
    logits = np.array([[[1e4, -1e4], [1e4, -1e4], [-1e4, -1e4]]], dtype)
    (loss,), vjp = cross_entropy_vjp(logits, np.array([[0, 1, 0]]), reduction="none")
    close(loss, [[0, 2e4, np.array(math.log(2), dtype)]])
    close(vjp(np.ones_like(loss))["logits"], [[[0, 0], [1, -1], [-0.5, 0.5]]])
    (loss,), vjp = cross_entropy_vjp(
        logits, None, np.array([[[1, 0], [0, 1], [1, 0]]], dtype), targets="distribution", reduction="none"
    )
    close(loss, [[0, 2e4, np.array(math.log(2), dtype)]])
    gradients = vjp(np.ones_like(loss))
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_perplexity_of_a_uniform_guess_is_the_number_of_classes():
    close(perplexity(np.full((2, 3, 5), 0.7), np.zeros((2, 3), np.int64))[0], 5)


def test_perplexity_by_hand():
    close(perplexity(LOGITS, IDS, reduction="none")[0], [[4, 4 / 3]])
    close(perplexity(LOGITS, IDS, reduction="sum")[0], 16 / 3)
    close(perplexity(LOGITS, IDS)[0], math.sqrt(16 / 3))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_perplexity_gradient_is_the_cross_entropys_times_itself(reduction):
    (loss,), vjp = perplexity_vjp(LOGITS, IDS, reduction=reduction)
    _, of_entropy = cross_entropy_vjp(LOGITS, IDS, reduction=reduction)
    close(vjp(np.ones_like(loss))["logits"], of_entropy(loss)["logits"])


def test_perplexity_too_large_for_the_type_has_no_gradient_that_is_not_a_number():
    logits = np.array([[[1e4, 9990.0, 0.0], [1e4, 0.0, -1e4]]])
    (loss,), vjp = perplexity_vjp(logits, np.array([[2, 0]]))
    assert loss == INF
    gradient = vjp(ONE)["logits"]
    close(gradient[0, 0], [INF, INF, -INF])
    assert not np.isnan(gradient).any()
    (loss,), vjp = perplexity_vjp(np.array([[[800.0, 400.0, 0.0]]]), np.array([[2]]))
    assert loss == INF
    close(vjp(ONE)["logits"], [[[INF, math.exp(400), -INF]]])
