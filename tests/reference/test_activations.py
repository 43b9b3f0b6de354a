"""The functions that attributes name, by hand and by the libraries whose they are."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.reference import gru_cell, peephole_lstm_cell, rnn_cell, rnn_cell_vjp
from rnnspec.reference.activations import ACTIVATIONS as COMPUTED
from rnnspec.spec import CallError, evaluate
from rnnspec.spec.activations import ACTIVATIONS, chosen, is_activation, tried
from rnnspec.spec.arrays import Array
from rnnspec.spec.vocabulary import VOCABULARY

AT = np.array([-7.0, -3.0, -2.5, -1.0, 0.0, 0.5, 1.0, 2.5, 3.0, 6.0, 7.0])
KINKS = {
    "relu": [(0, 0)],
    "hard_sigmoid": [(-2.5, 0), (2.5, 0)],
    "leaky_relu:0.25": [(0, 0.25)],
    "thresholded_relu:2.0": [(2, 0)],
    "elu:0.5": [(0, 0.5)],
    "selu": [(0, 1.0507009873554805 * 1.6732632423543772)],
    "relu6": [(0, 0), (6, 0)],
}


def of_one_unit(a: Array, activation: str) -> tuple[Array, Array]:
    """The function and its slope, by a network of one unit whose argument is its bias."""
    column = np.asarray(a, np.float64).reshape(-1, 1)
    one, none = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
    given = {"h_prev": np.zeros_like(column), "W": one, "R": none, "b": none[0]}
    (h,), vjp = rnn_cell_vjp(column, **given, activation=activation)
    return h[:, 0], vjp(np.ones_like(h))["x"][:, 0]


def test_every_function_of_the_specification_is_computed() -> None:
    assert set(COMPUTED) == set(ACTIVATIONS)
    assert all(name in VOCABULARY and f"{name}_prime" in VOCABULARY for name in ACTIVATIONS)


@pytest.mark.parametrize("text", tried())
def test_values_are_those_of_the_vocabulary(text: str) -> None:
    name, numbers = chosen(text)
    value, slope = of_one_unit(AT, text)
    np.testing.assert_allclose(value, VOCABULARY[name](AT, *numbers), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(slope, VOCABULARY[f"{name}_prime"](AT, *numbers), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("text", [text for text in tried() if chosen(text)[0] not in ("logistic", "tanh")])
def test_a_slope_beside_the_kinks_is_the_complex_step_s(text: str) -> None:
    name, numbers = chosen(text)
    at = AT + 0.0625
    step = VOCABULARY[name](at + 1e-30j, *numbers).imag / 1e-30
    np.testing.assert_allclose(of_one_unit(at, text)[1], step, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("text", "kinks"), KINKS.items())
def test_at_a_kink_the_slope_is_the_stated_one(text: str, kinks: list[tuple[float, float]]) -> None:
    at, slopes = zip(*kinks, strict=True)
    np.testing.assert_allclose(of_one_unit(np.array(at), text)[1], slopes, rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "a", "value"),
    [
        ("hard_sigmoid", 1.0, 0.7),
        ("hard_sigmoid:0.16666666666666666", 1.0, 2 / 3),
        ("leaky_relu", -3.0, -0.03),
        ("thresholded_relu", 1.0, 0.0),
        ("scaled_tanh:2.0:0.5", 1.0, 2 * np.tanh(0.5)),
        ("affine:2.0:-1.0", 3.0, 5.0),
        ("elu:2.0", -1.0, 2 * (np.exp(-1.0) - 1)),
        ("softsign", -3.0, -0.75),
        ("softplus", 0.0, np.log(2)),
        ("softplus", 1000.0, 1000.0),
        ("identity", -2.0, -2.0),
    ],
)
def test_values_by_hand(text: str, a: float, value: float) -> None:
    assert of_one_unit(np.array([a]), text)[0][0] == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("text", ["elu:", "elu:x", "elu:1:2", "selu:1", "elu:inf", "nothing", "", "elu(1)", 3, None])
def test_what_is_no_function_is_refused(text: object) -> None:
    assert not is_activation(text)
    arrays = {"x": np.ones((1, 1)), "h_prev": np.ones((1, 1)), "W": np.ones((1, 1, 1)), "R": np.ones((1, 1, 1))}
    with pytest.raises(CallError, match="activation: expected one of 'tanh', 'relu', 'logistic', 'identity', "):
        rnn_cell(**arrays, b=np.ones((1, 1)), activation=text)


def test_onnx_documents_coupled_clipped_and_chosen_functions_with_peepholes() -> None:
    """One unit, by hand: the forget gate is 1 - i, arguments are within the clip, and the projection comes last."""
    number = np.full((1, 1), 0.5)
    inputs = {"x": 2 * number, "h_prev": number, "c_prev": 3 * number}
    weights = {"W": np.array([1.0, -2.0, 3.0]), "R": np.array([0.5, 1.0, -1.0]), "b": np.array([0.1, 0.2, 0.3])}
    shaped = {name: array.reshape((3, 1) if name == "b" else (3, 1, 1)) for name, array in weights.items()}
    P, W_p = np.array([[0.2], [0.4]]), np.array([[2.0]])

    def clip(a: float) -> float:
        return min(max(a, -0.8), 0.8)

    i = 1 / (1 + np.exp(-clip(1.0 + 0.25 + 0.2 * 1.5 + 0.1)))
    g = clip(-2.0 + 0.5 + 0.2) / (1 + abs(clip(-2.0 + 0.5 + 0.2)))
    c = (1 - i) * 1.5 + i * g
    o = 1 / (1 + np.exp(-clip(3.0 - 0.5 + 0.4 * c + 0.3)))
    chosen_so = {
        "activations": ("logistic", "softsign", "leaky_relu"),
        "clip": 0.8,
        "coupled": True,
        "projection": True,
    }
    h, memory = peephole_lstm_cell(**inputs, **shaped, P=P, W_p=W_p, **chosen_so)
    assert memory[0, 0] == pytest.approx(c, rel=1e-14)
    assert h[0, 0] == pytest.approx(2 * o * max(clip(c), 0.01 * clip(c)), rel=1e-14)


def test_a_gru_of_one_unit_by_hand() -> None:
    h = gru_cell(
        np.array([[1.0]]), np.array([[2.0]]), *(np.full((3, 1, 1), w) for w in (0.5, 0.25)), np.zeros((3, 1)),
        activation="relu", recurrent_activation="hard_sigmoid", clip=0.75,
    )[0]  # fmt: skip
    r = z = 0.2 * 0.75 + 0.5
    n = min(0.5 + r * 0.5, 0.75)
    assert h[0, 0] == pytest.approx((1 - z) * n + z * 2, rel=1e-15)


def test_the_equations_name_a_function_with_its_numbers() -> None:
    inputs = {"x": np.array([[-2.0]]), "h_prev": np.zeros((1, 1)), "W": np.ones((1, 1, 1)), "R": np.zeros((1, 1, 1))}
    (h,) = evaluate("rnn_cell", {**inputs, "b": np.zeros((1, 1))}, {"activation": "leaky_relu:0.25"})
    assert h[0, 0] == -0.5
