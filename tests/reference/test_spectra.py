"""Powers of recurrent weights with known spectra; the state's Jacobian against gradients and closed forms."""

import math

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.reference import recurrent_power_spectrum, state_jacobian

RNG = np.random.default_rng(11)
H, D = 3, 2


def close(actual, expected, rtol=1e-12):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-14)


def test_powers_of_a_diagonal_matrix():
    entries, singular = recurrent_power_spectrum(np.diag([0.5, -2.0]), powers=3)
    close(entries, [[-2, 0, 0, 0.5], [0, 0, 0.25, 4], [-8, 0, 0, 0.125]])
    close(singular, [[2, 0.5], [4, 0.25], [8, 0.125]])


def test_powers_of_a_rotation_neither_grow_nor_shrink():
    angle = 0.3
    R = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    _, singular = recurrent_power_spectrum(R, powers=50)
    close(singular, np.ones((50, 2)))


def test_a_matrix_may_grow_before_it_vanishes():
    _, singular = recurrent_power_spectrum(np.array([[0.0, 9.0], [0.0, 0.0]]), powers=2)
    close(singular, [[9, 0], [0, 0]])


def test_powers_too_large_for_the_type_are_infinite():
    entries, singular = recurrent_power_spectrum(np.full((2, 2), 1e20, np.float32), powers=3)
    assert singular[0, 0] == pytest.approx(2e20)
    assert np.isinf(entries[1:]).all()
    assert np.isinf(singular[1:]).all()
    assert singular.dtype == np.float32


def test_one_power_of_float16():
    entries, singular = recurrent_power_spectrum(np.array([[-3]], np.float16), powers=1)
    assert entries.dtype == singular.dtype == np.float16
    close(entries, [[-3]])
    close(singular, [[3]])


LAYERS = [
    ("rnn", {"activation": "tanh"}),
    ("rnn", {"activation": "relu"}),
    ("lstm", {}),
    ("lstm", {"coupled": True, "projection": True}),
    ("gru", {}),
    ("gru", {"reset": "before", "update": "admits"}),
    ("lstm_1997", {}),
    ("forget_only_lstm", {}),
    ("peephole_lstm", {}),
    ("layer_norm_lstm", {"memory": "normalised"}),
    ("nested_lstm", {}),
    ("lstm", {"gradient": "cell_only"}),
    ("lstm", {"truncate": 2}),
]


def draw(layer, attributes, batch, steps):
    gates = {"rnn": 1, "gru": 3, "lstm_1997": 3, "forget_only_lstm": 2}.get(layer, 4) - attributes.get("coupled", False)
    S = 2 if attributes.get("projection") else H
    shapes = {
        "x": (batch, steps, D),
        "W": (gates, H, D),
        "R": (gates, H, S),
        "b": (gates, H),
        "h0": (batch, S),
        "c0": (batch, 2, H) if layer == "nested_lstm" else (batch, H),
        "P": (3, H) if layer == "peephole_lstm" else (S, H),
        "b_rn": (H,),
        "gain": (4, H),
        "gain_c": (H,),
        "b_c": (H,),
        "W_inner": (1, 4, H, H),
        "R_inner": (1, 4, H, H),
        "b_inner": (1, 4, H),
    }
    own = {
        "rnn": (),
        "gru": ("b_rn",) if attributes.get("reset") != "before" else (),
        "lstm": ("c0", "P") if attributes.get("projection") else ("c0",),
        "lstm_1997": ("c0",),
        "forget_only_lstm": (),
        "peephole_lstm": ("c0", "P"),
        "layer_norm_lstm": ("c0", "gain", "gain_c", "b_c"),
        "nested_lstm": ("c0", "W_inner", "R_inner", "b_inner"),
    }[layer]
    return {name: RNG.standard_normal(shapes[name]) for name in ("x", "W", "R", "b", "h0", *own)}


def by_the_layers_gradient(layer, attributes, inputs):
    """Rows of the Jacobian of the final state by the initial one, each the gradient for one unit vector."""
    outputs, vjp = getattr(reference, f"{layer}_vjp")(**inputs, **attributes)
    finals, names = outputs[1:], [name for name in ("h0", "c0") if name in inputs]
    sizes = [math.prod(final.shape[1:]) for final in finals]
    batch = len(inputs["x"])
    rows = []
    for row in range(sum(sizes)):
        unit = np.zeros((batch, sum(sizes)))
        unit[:, row] = 1
        apart = np.split(unit, np.cumsum(sizes)[:-1], axis=1)
        cotangents = (d.reshape(final.shape) for d, final in zip(apart, finals, strict=True))
        gradients = vjp(np.zeros_like(outputs[0]), *cotangents)
        rows.append(np.concatenate([gradients[name].reshape(batch, -1) for name in names], axis=1))
    return np.stack(rows, axis=1)


@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_jacobian_is_that_which_the_layers_gradient_goes_through(layer, attributes):
    inputs = draw(layer, attributes, batch=2, steps=4)
    jacobian, norm = state_jacobian(**inputs, layer=layer, **attributes)
    for t in range(4):
        first = {**inputs, "x": inputs["x"][:, : t + 1]}
        close(jacobian[:, t], by_the_layers_gradient(layer, attributes, first))
    close(norm, np.linalg.norm(jacobian, 2, axis=(2, 3)))


def test_jacobian_of_a_plain_network_in_closed_form():
    inputs = draw("rnn", {}, batch=1, steps=3)
    y, _ = reference.rnn(**inputs)
    jacobian, _ = state_jacobian(**inputs, layer="rnn")
    expected = np.eye(H)
    for t in range(3):
        expected = np.diag(1 - y[0, t] ** 2) @ inputs["R"][0] @ expected
        close(jacobian[0, t], expected)


@pytest.mark.parametrize(("layer", "attributes"), LAYERS[:11])
def test_jacobians_multiply(layer, attributes):
    inputs = draw(layer, attributes, batch=2, steps=5)
    whole, _ = state_jacobian(**inputs, layer=layer, **attributes)
    late, norm = state_jacobian(**inputs, layer=layer, since=3, **attributes)
    assert not late[:, :3].any()
    assert not norm[:, :3].any()
    close(whole[:, 4], late[:, 4] @ whole[:, 2])


def test_steps_taken_out_are_passed_by():
    inputs = draw("lstm", {}, batch=3, steps=5)
    mask = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    inputs["x"][~mask] = math.nan
    jacobian, norm = state_jacobian(**inputs, mask=mask, since=1)
    assert not jacobian[~mask].any()
    assert not jacobian[1].any()
    without = {**inputs, "x": inputs["x"][:1, [0, 2, 3]], "h0": inputs["h0"][:1], "c0": inputs["c0"][:1]}
    close(jacobian[0, [0, 2, 3]], state_jacobian(**without, since=1)[0][0])
    alone = {**inputs, "x": inputs["x"][2:], "h0": inputs["h0"][2:], "c0": inputs["c0"][2:]}
    close(jacobian[2], state_jacobian(**alone, since=1)[0][0])
    assert np.isfinite(norm).all()


def test_a_step_beyond_the_sequence_leaves_nothing():
    inputs = draw("gru", {}, batch=2, steps=3)
    jacobian, norm = state_jacobian(**inputs, layer="gru", since=3)
    assert not jacobian.any()
    assert not norm.any()


@pytest.mark.parametrize(("batch", "steps"), [(0, 3), (2, 0)])
def test_jacobian_of_nothing(batch, steps):
    jacobian, norm = state_jacobian(**draw("lstm", {}, batch, steps))
    assert jacobian.shape == (batch, steps, 2 * H, 2 * H)
    assert norm.shape == (batch, steps)


def test_jacobian_without_initial_states_starts_from_zeros():
    inputs = draw("lstm", {}, batch=2, steps=3)
    zeros = {**inputs, "h0": np.zeros((2, H)), "c0": np.zeros((2, H))}
    del inputs["h0"], inputs["c0"]
    close(state_jacobian(**inputs)[0], state_jacobian(**zeros)[0])


def test_an_open_forget_gate_keeps_the_norm_at_1_and_a_closed_one_does_not():
    inputs = {"x": np.zeros((1, 40, 1)), "W": np.zeros((4, 2, 1)), "R": np.zeros((4, 2, 2)), "b": np.zeros((4, 2))}
    inputs["b"][1] = 20.0
    _, opened = state_jacobian(**inputs)
    inputs["b"][1] = -20.0
    _, closed = state_jacobian(**inputs)
    assert opened[0, -1] > 0.99
    assert closed[0, -1] < 1e-30
