"""The oracles themselves: each of them notices what is wrong, so that their silence means something."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec.reference.gru import GRU
from rnnspec.reference.lstm import LSTM
from rnnspec.reference.rnn import RNN
from rnnspec.spec import evaluate, evaluate_gradient

Fixture = Callable[..., Any]

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


@pytest.mark.parametrize("error", [1e-11, -1e-11, 1, np.nan, np.inf])
def test_one_wrong_entry_is_noticed(assert_agree: Fixture, error: float) -> None:
    right = np.array([[1.0, -0.5], [0.25, 0.0]])
    wrong = right.copy()
    wrong[1, 1] += error
    assert_agree({"W": right.copy()}, {"W": right})
    with pytest.raises(AssertionError, match="W"):
        assert_agree({"W": wrong}, {"W": right})


def test_a_missing_array_and_another_shape_are_noticed(assert_agree: Fixture) -> None:
    with pytest.raises(AssertionError):
        assert_agree({}, {"W": np.ones(2)})
    with pytest.raises(AssertionError):
        assert_agree({"W": np.ones(2), "b": np.ones(2)}, {"W": np.ones(2)})
    with pytest.raises(AssertionError):
        assert_agree({"W": np.ones((2, 1))}, {"W": np.ones(2)})
    with pytest.raises(AssertionError):
        assert_agree((np.ones(2),), (np.ones(2), np.ones(2)))


def test_something_where_nothing_should_be_is_noticed(assert_agree: Fixture) -> None:
    with pytest.raises(AssertionError):
        assert_agree((np.array([0.0, 1e-300]),), (np.zeros(2),))


def test_complex_step_differentiates_a_known_function(random_call: Fixture, complex_step: Fixture) -> None:
    call = random_call("rnn_cell", 1)

    def cubes(name: str, inputs: dict[str, Any], attributes: dict[str, Any]) -> tuple[Any, ...]:
        return (inputs["h_prev"] ** 3,)

    gradients = complex_step(call, cubes)
    expected = 3 * call.inputs["h_prev"] ** 2 * call.cotangents[0]
    np.testing.assert_allclose(gradients["h_prev"], expected, rtol=1e-15)
    assert not gradients["W"].any()


@pytest.mark.parametrize("name", CELLS)
def test_a_wrong_value_is_noticed(
    monkeypatch: pytest.MonkeyPatch, random_call: Fixture, assert_agree: Fixture, name: str
) -> None:
    step = CELLS[name].step

    def nudged(cell: Any, *arrays: Any) -> Any:
        (h, *others), known = step(cell, *arrays)
        return (h * (1 + 1e-10), *others), known

    call = random_call(name, 1, full=True)
    expected = evaluate(name, call.inputs, call.attributes)
    assert_agree(call.outputs(), expected)
    monkeypatch.setattr(CELLS[name], "step", nudged)
    with pytest.raises(AssertionError, match="output 0"):
        assert_agree(call.outputs(), expected)


@pytest.mark.parametrize("name", CELLS)
def test_a_wrong_gradient_is_noticed_by_the_equations_and_by_the_complex_step(
    monkeypatch: pytest.MonkeyPatch, random_call: Fixture, complex_step: Fixture, assert_agree: Fixture, name: str
) -> None:
    back = CELLS[name].back

    def cut(cell: Any, *arrays: Any) -> Any:
        (dh, *others), noted = back(cell, *arrays)
        return (dh * (1 - 1e-10), *others), noted

    call = random_call(name, 1, full=True)
    judges = [evaluate_gradient(name, call.inputs, call.cotangents, call.attributes), complex_step(call, evaluate)]
    for judge in judges:
        assert_agree(call.outputs_and_gradients()[1], judge)
    monkeypatch.setattr(CELLS[name], "back", cut)
    for judge in judges:
        with pytest.raises(AssertionError):
            assert_agree(call.outputs_and_gradients()[1], judge)
