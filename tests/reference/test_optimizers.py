"""Steps of optimizers, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.spec import CallError

ONE = np.array([1.0])
ZERO = np.array([0.0])


@pytest.mark.parametrize(
    ("attributes", "theta", "u"),
    [
        ({}, 1 - 0.1 * (0.5 * 4 + 2), 4.0),
        ({"nesterov": True}, 1 - 0.1 * (2 + 0.5 * 4), 4.0),
        ({"velocity": "updates"}, 1 + (0.5 * 4 - 0.1 * 2), 1.8),
        ({"velocity": "updates", "nesterov": True}, 1 + 0.5 * 1.8 - 0.1 * 2, 1.8),
    ],
)
def test_the_velocity_sums_gradients_or_updates(attributes: dict[str, Any], theta: float, u: float) -> None:
    found = reference.sgd_step(ONE, ONE * 2, ONE * 4, learning_rate=0.1, momentum=0.5, **attributes)
    # With u = 4 and g = 2, both forms of gradients have the velocity 0.5 * 4 + 2 = 4.
    assert [float(array[0]) for array in found] == pytest.approx([theta, u])


def test_without_momentum_there_is_no_velocity() -> None:
    (theta,) = reference.sgd_step(ONE, ONE * 2, learning_rate=0.1)
    assert theta == pytest.approx([0.8])
    with pytest.raises(CallError, match="u: expected with momentum"):
        reference.sgd_step(ONE, ONE, ONE, learning_rate=0.1)


@pytest.mark.parametrize(
    ("epsilon_at", "divisor"),
    [
        ("outside", 2 + 0.5),
        ("inside", math.sqrt(4 + 0.5)),
        ("uncorrected", (2 * math.sqrt(0.1) + 0.5) / math.sqrt(0.1)),
    ],
)
def test_the_first_step_of_adam_is_the_gradient_over_its_magnitude(epsilon_at: str, divisor: float) -> None:
    theta, m, v = reference.adam_step(
        ONE, ONE * 2, ZERO, ZERO, learning_rate=0.1, beta1=0.5, beta2=0.9, epsilon=0.5, epsilon_at=epsilon_at
    )
    assert [theta[0], m[0], v[0]] == pytest.approx([1 - 0.1 * 2 / divisor, 1.0, 0.4])


def test_decay_takes_a_share_off_the_parameter_and_not_of_the_moments() -> None:
    plain = reference.adam_step(ONE, ONE * 2, ONE, ONE, learning_rate=0.1, step=3)
    decayed = reference.adamw_step(ONE, ONE * 2, ONE, ONE, learning_rate=0.1, step=3, decay=0.2)
    assert decayed[0] == pytest.approx(plain[0] - 0.02)
    assert [*decayed[1:]] == [*plain[1:]]


def test_centred_squares_are_distances_from_the_mean() -> None:
    theta, v, m = reference.rmsprop_step(ONE, ONE * 2, ONE, ZERO, learning_rate=0.1, decay=0.5, centred=True)
    assert [v[0], m[0]] == [2.5, 1.0]
    assert theta == pytest.approx([1 - 0.1 * 2 / (math.sqrt(1.5) + 1e-8)])


def test_a_mean_of_squares_is_not_negative() -> None:
    with pytest.raises(CallError, match="v: expected a number that is not negative, got -1"):
        reference.adam_step(ONE, ONE, ONE, -ONE)
