"""Cells and sequences of one unit, against the equations written out in plain numbers."""

import math

import numpy as np
import pytest

from rnnspec.reference import (
    gru,
    gru_cell,
    gru_cell_vjp,
    lstm,
    lstm_cell,
    lstm_cell_vjp,
    lstm_vjp,
    rnn,
    rnn_cell,
    rnn_cell_vjp,
    rnn_vjp,
)

tanh = math.tanh


def logistic(a):
    return 1 / (1 + math.exp(-a))


def one(*gates):
    """One input, one unit: a weight per gate."""
    return np.array(gates, float).reshape(-1, 1, 1)


def column(*entries):
    return np.array(entries, float).reshape(-1, 1)


def sequence(*steps):
    return np.array(steps, float).reshape(1, -1, 1)


def close(actual, *expected):
    np.testing.assert_allclose(np.ravel(actual), expected, rtol=1e-13, atol=1e-15)


# rnn: f(0.5 x - 0.8 h + 0.1)

RNN = {"W": one(0.5), "R": one(-0.8), "b": column(0.1)}


@pytest.mark.parametrize(
    ("activation", "x", "expected"),
    [
        ("tanh", 2.0, tanh(0.5 * 2.0 - 0.8 * 0.3 + 0.1)),
        ("logistic", 2.0, logistic(0.5 * 2.0 - 0.8 * 0.3 + 0.1)),
        ("relu", 2.0, 0.5 * 2.0 - 0.8 * 0.3 + 0.1),
        ("relu", -2.0, 0.0),
    ],
)
def test_rnn_cell(activation, x, expected):
    (h,) = rnn_cell(column(x), column(0.3), **RNN, activation=activation)
    close(h, expected)


@pytest.mark.parametrize(
    ("activation", "x", "slope"),
    [
        ("tanh", 2.0, 1 - tanh(0.86) ** 2),
        ("logistic", 2.0, logistic(0.86) * (1 - logistic(0.86))),
        ("relu", 2.0, 1.0),
        ("relu", -2.0, 0.0),
    ],
)
def test_rnn_cell_gradient(activation, x, slope):
    _, vjp = rnn_cell_vjp(column(x), column(0.3), **RNN, activation=activation)
    gradients = vjp(column(3.0))
    da = 3.0 * slope
    assert gradients.keys() == {"x", "h_prev", "W", "R", "b"}
    close(gradients["x"], 0.5 * da)
    close(gradients["h_prev"], -0.8 * da)
    close(gradients["W"], da * x)
    close(gradients["R"], da * 0.3)
    close(gradients["b"], da)


def test_logistic_of_large_arguments_is_0_and_1_without_overflow():
    (h,) = rnn_cell(column(-2e4, 2e4), column(0.0, 0.0), **RNN, activation="logistic")
    close(h, 0.0, 1.0)


def test_rnn_runs_forward_from_zero():
    y, h_n = rnn(sequence(2.0, -1.0), **RNN)
    first = tanh(0.5 * 2.0 + 0.1)
    second = tanh(0.5 * -1.0 - 0.8 * first + 0.1)
    close(y, first, second)
    close(h_n, second)


def test_rnn_runs_in_reverse_and_returns_input_order():
    y, h_n = rnn(sequence(2.0, -1.0), **RNN, h0=column(0.3), direction="reverse")
    last = tanh(0.5 * -1.0 - 0.8 * 0.3 + 0.1)
    first = tanh(0.5 * 2.0 - 0.8 * last + 0.1)
    close(y, first, last)
    close(h_n, first)


def test_rnn_reverse_starts_at_the_last_valid_step():
    y, h_n = rnn(sequence(2.0, -1.0, math.nan), **RNN, lengths=np.array([2]), direction="reverse")
    last = tanh(0.5 * -1.0 + 0.1)
    first = tanh(0.5 * 2.0 - 0.8 * last + 0.1)
    close(y, first, last, 0.0)
    close(h_n, first)


def test_rnn_gradient_of_two_steps():
    _, vjp = rnn_vjp(sequence(2.0, -1.0), **RNN, h0=column(0.3))
    gradients = vjp(sequence(1.5, -0.5), column(0.25))
    h1 = tanh(0.5 * 2.0 - 0.8 * 0.3 + 0.1)
    h2 = tanh(0.5 * -1.0 - 0.8 * h1 + 0.1)
    da2 = (-0.5 + 0.25) * (1 - h2**2)
    da1 = (1.5 - 0.8 * da2) * (1 - h1**2)
    close(gradients["x"], 0.5 * da1, 0.5 * da2)
    close(gradients["h0"], -0.8 * da1)
    close(gradients["W"], da1 * 2.0 + da2 * -1.0)
    close(gradients["R"], da1 * 0.3 + da2 * h1)
    close(gradients["b"], da1 + da2)


# lstm: gates i, f, g, o

LSTM = {"W": one(0.4, -0.3, 0.9, 0.7), "R": one(-0.2, 0.6, 0.5, -0.1), "b": column(0.1, 0.2, -0.3, 0.05)}
COUPLED = {name: array[[0, 2, 3]] for name, array in LSTM.items()}


def lstm_arguments(x, h):
    return (
        0.4 * x - 0.2 * h + 0.1,
        -0.3 * x + 0.6 * h + 0.2,
        0.9 * x + 0.5 * h - 0.3,
        0.7 * x - 0.1 * h + 0.05,
    )


def lstm_step(x, h, c):
    i, f, g, o = lstm_arguments(x, h)
    c = logistic(f) * c + logistic(i) * tanh(g)
    return logistic(o) * tanh(c), c


def test_lstm_cell():
    h, c = lstm_cell(column(1.5), column(0.3), column(-0.6), **LSTM)
    expected_h, expected_c = lstm_step(1.5, 0.3, -0.6)
    close(h, expected_h)
    close(c, expected_c)


def test_lstm_cell_coupled():
    h, c = lstm_cell(column(1.5), column(0.3), column(-0.6), **COUPLED, coupled=True)
    i, _, g, o = lstm_arguments(1.5, 0.3)
    expected = (1 - logistic(i)) * -0.6 + logistic(i) * tanh(g)
    close(c, expected)
    close(h, logistic(o) * tanh(expected))


def test_lstm_cell_activations_are_gate_candidate_output():
    h, c = lstm_cell(column(1.5), column(0.3), column(-0.6), **LSTM, activations=("tanh", "relu", "logistic"))
    i, f, g, o = lstm_arguments(1.5, 0.3)
    assert g > 0
    expected = tanh(f) * -0.6 + tanh(i) * g
    close(c, expected)
    close(h, tanh(o) * logistic(expected))


def test_lstm_cell_clips_every_argument_the_output_s_too():
    h, c = lstm_cell(column(1.5), column(0.3), column(4.0), **LSTM, clip=0.5)
    i, f, g, o = lstm_arguments(1.5, 0.3)
    assert i > 0.5
    assert -0.5 < f < 0.5
    assert g > 0.5
    assert o > 0.5
    expected = logistic(f) * 4.0 + logistic(0.5) * tanh(0.5)
    assert expected > 0.5
    close(c, expected)
    close(h, logistic(0.5) * tanh(0.5))


def test_lstm_cell_projection():
    h, c = lstm_cell(column(1.5), column(0.3), column(-0.6), **LSTM, P=column(2.5), projection=True)
    expected_h, expected_c = lstm_step(1.5, 0.3, -0.6)
    close(h, 2.5 * expected_h)
    close(c, expected_c)


def test_lstm_cell_gradient():
    _, vjp = lstm_cell_vjp(column(1.5), column(0.3), column(-0.6), **LSTM)
    gradients = vjp(column(2.0), column(-0.7))
    ai, af, ag, ao = lstm_arguments(1.5, 0.3)
    i, f, g, o = logistic(ai), logistic(af), tanh(ag), logistic(ao)
    c = f * -0.6 + i * g
    dc = -0.7 + 2.0 * o * (1 - tanh(c) ** 2)
    da = (dc * g * i * (1 - i), dc * -0.6 * f * (1 - f), dc * i * (1 - g**2), 2.0 * tanh(c) * o * (1 - o))
    assert gradients.keys() == {"x", "h_prev", "c_prev", "W", "R", "b"}
    close(gradients["c_prev"], dc * f)
    close(gradients["x"], 0.4 * da[0] - 0.3 * da[1] + 0.9 * da[2] + 0.7 * da[3])
    close(gradients["h_prev"], -0.2 * da[0] + 0.6 * da[1] + 0.5 * da[2] - 0.1 * da[3])
    close(gradients["W"], *(d * 1.5 for d in da))
    close(gradients["R"], *(d * 0.3 for d in da))
    close(gradients["b"], *da)


def test_lstm_cell_gradient_stops_at_a_clip():
    _, vjp = lstm_cell_vjp(column(1.5), column(0.3), column(4.0), **LSTM, clip=0.5)
    gradients = vjp(column(2.0), column(-0.7))
    f = logistic(lstm_arguments(1.5, 0.3)[1])
    close(gradients["c_prev"], -0.7 * f)
    close(gradients["b"], 0.0, -0.7 * 4.0 * f * (1 - f), 0.0, 0.0)


def test_lstm_cell_gradient_stops_at_a_clip_below_too():
    _, vjp = lstm_cell_vjp(column(-3.0), column(0.3), column(-4.0), **LSTM, clip=0.5)
    gradients = vjp(column(2.0), column(-0.7))
    ai, af, ag, ao = lstm_arguments(-3.0, 0.3)
    assert ai < -0.5
    assert af > 0.5
    assert ag < -0.5
    assert ao < -0.5
    close(gradients["c_prev"], -0.7 * logistic(0.5))
    close(gradients["b"], 0.0, 0.0, 0.0, 0.0)


def test_lstm_cell_coupled_and_projected_gradient():
    _, vjp = lstm_cell_vjp(
        column(1.5), column(0.3), column(-0.6), **COUPLED, P=column(2.5), coupled=True, projection=True
    )
    gradients = vjp(column(2.0), column(-0.7))
    ai, _, ag, ao = lstm_arguments(1.5, 0.3)
    i, g, o = logistic(ai), tanh(ag), logistic(ao)
    c = (1 - i) * -0.6 + i * g
    dm = 2.5 * 2.0
    dc = -0.7 + dm * o * (1 - tanh(c) ** 2)
    assert gradients.keys() == {"x", "h_prev", "c_prev", "W", "R", "b", "P"}
    close(gradients["c_prev"], dc * (1 - i))
    close(gradients["b"], dc * (g + 0.6) * i * (1 - i), dc * i * (1 - g**2), dm * tanh(c) * o * (1 - o))
    close(gradients["P"], 2.0 * o * tanh(c))


def test_lstm_takes_out_a_hole():
    x = sequence(1.0, math.nan, -2.0)
    y, h_n, c_n = lstm(x, **LSTM, mask=np.array([[True, False, True]]))
    h1, c1 = lstm_step(1.0, 0.0, 0.0)
    h2, c2 = lstm_step(-2.0, h1, c1)
    close(y, h1, 0.0, h2)
    close(h_n, h2)
    close(c_n, c2)


def test_lstm_gradient_passes_a_hole_by():
    given = {**LSTM, "h0": column(0.3), "c0": column(-0.6)}
    (_, *_), holed = lstm_vjp(sequence(1.0, math.nan, -2.0), **given, mask=np.array([[True, False, True]]))
    (_, *_), short = lstm_vjp(sequence(1.0, -2.0), **given)
    with_hole = holed(sequence(0.5, math.nan, 1.5), column(0.1), column(0.2))
    without = short(sequence(0.5, 1.5), column(0.1), column(0.2))
    assert with_hole.keys() == {"x", "W", "R", "b", "h0", "c0"}
    close(with_hole["x"], without["x"][0, 0, 0], 0.0, without["x"][0, 1, 0])
    for name in ("W", "R", "b", "h0", "c0"):
        close(with_hole[name], *np.ravel(without[name]))


# gru: gates r, z, n

GRU = {"W": one(0.4, -0.3, 0.9), "R": one(-0.2, 0.6, 0.5), "b": column(0.1, 0.2, -0.3)}
B_RN = np.array([0.25])


def gru_gates(x, h):
    return logistic(0.4 * x - 0.2 * h + 0.1), logistic(-0.3 * x + 0.6 * h + 0.2)


def test_gru_cell_resets_after_the_product():
    (h,) = gru_cell(column(1.5), column(0.8), **GRU, b_rn=B_RN)
    r, z = gru_gates(1.5, 0.8)
    n = tanh(0.9 * 1.5 - 0.3 + r * (0.5 * 0.8 + 0.25))
    close(h, (1 - z) * n + z * 0.8)


def test_gru_cell_resets_before_the_product():
    (h,) = gru_cell(column(1.5), column(0.8), **GRU, reset="before")
    r, z = gru_gates(1.5, 0.8)
    n = tanh(0.9 * 1.5 + 0.5 * (r * 0.8) - 0.3)
    close(h, (1 - z) * n + z * 0.8)


def test_gru_cell_update_admits():
    (h,) = gru_cell(column(1.5), column(0.8), **GRU, reset="before", update="admits")
    r, z = gru_gates(1.5, 0.8)
    n = tanh(0.9 * 1.5 + 0.5 * (r * 0.8) - 0.3)
    close(h, (1 - z) * 0.8 + z * n)


@pytest.mark.parametrize("update", ["keeps", "admits"])
@pytest.mark.parametrize("reset", ["before", "after"])
def test_gru_cell_gradient(reset, update):
    after = {"b_rn": B_RN} if reset == "after" else {}
    _, vjp = gru_cell_vjp(column(1.5), column(0.8), **GRU, **after, reset=reset, update=update)
    gradients = vjp(column(2.0))
    r, z = gru_gates(1.5, 0.8)
    q = 0.5 * 0.8 + 0.25
    n = tanh(0.9 * 1.5 - 0.3 + r * q) if after else tanh(0.9 * 1.5 + 0.5 * r * 0.8 - 0.3)
    of_n, of_h = (1 - z, z) if update == "keeps" else (z, 1 - z)
    daz = 2.0 * ((0.8 - n) if update == "keeps" else (n - 0.8)) * z * (1 - z)
    dan = 2.0 * of_n * (1 - n**2)
    dar = dan * (q if after else 0.5 * 0.8) * r * (1 - r)
    assert gradients.keys() == {"x", "h_prev", "W", "R", "b", *after}
    close(gradients["x"], 0.4 * dar - 0.3 * daz + 0.9 * dan)
    close(gradients["h_prev"], 2.0 * of_h - 0.2 * dar + 0.6 * daz + 0.5 * dan * r)
    close(gradients["W"], dar * 1.5, daz * 1.5, dan * 1.5)
    close(gradients["R"], dar * 0.8, daz * 0.8, dan * r * 0.8)
    close(gradients["b"], dar, daz, dan)
    if after:
        close(gradients["b_rn"], dan * r)


def test_gru_runs_forward():
    y, h_n = gru(sequence(1.5, -1.0), **GRU, b_rn=B_RN, h0=column(0.8))
    (first,) = gru_cell(column(1.5), column(0.8), **GRU, b_rn=B_RN)
    (second,) = gru_cell(column(-1.0), first, **GRU, b_rn=B_RN)
    close(y, first[0, 0], second[0, 0])
    close(h_n, second[0, 0])
