"""The rarer cells against the equations written out in plain numbers, and what the cells and layers have in common."""

import math

import ml_dtypes
import numpy as np
import pytest

from rnnspec.reference import (
    forget_only_lstm,
    forget_only_lstm_cell,
    forget_only_lstm_cell_vjp,
    forget_only_lstm_vjp,
    gru_vjp,
    layer_norm_lstm,
    layer_norm_lstm_cell,
    layer_norm_lstm_cell_vjp,
    layer_norm_lstm_vjp,
    lstm,
    lstm_1997,
    lstm_1997_cell,
    lstm_1997_cell_vjp,
    lstm_1997_vjp,
    lstm_cell,
    lstm_cell_vjp,
    lstm_vjp,
    nested_lstm,
    nested_lstm_cell,
    nested_lstm_cell_vjp,
    nested_lstm_vjp,
    peephole_lstm,
    peephole_lstm_cell,
    peephole_lstm_cell_vjp,
    peephole_lstm_vjp,
    rnn_vjp,
)
from rnnspec.spec import CallError, operation

B, T, D, H, N = 3, 7, 2, 4, 2
tanh = math.tanh

CELLS = {
    "lstm": lstm_cell_vjp,
    "lstm_1997": lstm_1997_cell_vjp,
    "forget_only_lstm": forget_only_lstm_cell_vjp,
    "peephole_lstm": peephole_lstm_cell_vjp,
    "layer_norm_lstm": layer_norm_lstm_cell_vjp,
    "nested_lstm": nested_lstm_cell_vjp,
}
LAYERS = {
    "rnn": rnn_vjp,
    "gru": gru_vjp,
    "lstm": lstm_vjp,
    "lstm_1997": lstm_1997_vjp,
    "forget_only_lstm": forget_only_lstm_vjp,
    "peephole_lstm": peephole_lstm_vjp,
    "layer_norm_lstm": layer_norm_lstm_vjp,
    "nested_lstm": nested_lstm_vjp,
}
NEW_LAYERS = {
    "lstm_1997": lstm_1997,
    "forget_only_lstm": forget_only_lstm,
    "peephole_lstm": peephole_lstm,
    "layer_norm_lstm": layer_norm_lstm,
    "nested_lstm": nested_lstm,
}
VARIANTS = [*((name, {}) for name in LAYERS), ("layer_norm_lstm", {"memory": "normalised"})]


def logistic(a):
    return 1 / (1 + math.exp(-a))


def one(*gates):
    """One input, one unit: a weight per gate."""
    return np.array(gates, float).reshape(-1, 1, 1)


def column(*entries):
    return np.array(entries, float).reshape(-1, 1)


def close(actual, *expected):
    np.testing.assert_allclose(np.ravel(actual), expected, rtol=1e-13, atol=1e-15)


def same(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-13)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def draw(rng, name, **sizes):
    """Random float inputs of an operation, initial states included, by its symbolic shapes."""
    op = operation(name)
    known = {"B": B, "T": T, "D": D, "H": H, "S": H, "N": N, "M": N + 1, "G": len(op.gates), **sizes}
    floats = {key: item for key, item in op.inputs_for(op.defaults()).items() if item.kind == "float"}
    return {
        key: rng.standard_normal([int(axis) if axis.isdigit() else known[axis] for axis in item.shape])
        for key, item in floats.items()
    }


def cotangents_of(rng, outputs):
    return tuple(rng.standard_normal(output.shape).astype(output.dtype) for output in outputs)


# lstm_1997: gates i, g, o

LSTM_1997 = {"W": one(0.4, 0.9, 0.7), "R": one(-0.2, 0.5, -0.1), "b": column(0.1, -0.3, 0.05)}


def test_lstm_1997_cell():
    h, c = lstm_1997_cell(column(1.5), column(0.3), column(-0.6), **LSTM_1997)
    i, g, o = 0.4 * 1.5 - 0.2 * 0.3 + 0.1, 0.9 * 1.5 + 0.5 * 0.3 - 0.3, 0.7 * 1.5 - 0.1 * 0.3 + 0.05
    expected = -0.6 + logistic(i) * tanh(g)
    close(c, expected)
    close(h, logistic(o) * tanh(expected))


def test_lstm_1997_cell_gradient():
    _, vjp = lstm_1997_cell_vjp(column(1.5), column(0.3), column(-0.6), **LSTM_1997)
    gradients = vjp(column(2.0), column(-0.7))
    i = logistic(0.4 * 1.5 - 0.2 * 0.3 + 0.1)
    g = tanh(0.9 * 1.5 + 0.5 * 0.3 - 0.3)
    o = logistic(0.7 * 1.5 - 0.1 * 0.3 + 0.05)
    u = tanh(-0.6 + i * g)
    dc = -0.7 + 2.0 * o * (1 - u * u)
    da = (dc * g * i * (1 - i), dc * i * (1 - g * g), 2.0 * u * o * (1 - o))
    close(gradients["c_prev"], dc)
    close(gradients["h_prev"], -0.2 * da[0] + 0.5 * da[1] - 0.1 * da[2])
    close(gradients["x"], 0.4 * da[0] + 0.9 * da[1] + 0.7 * da[2])
    close(gradients["W"], *(d * 1.5 for d in da))
    close(gradients["R"], *(d * 0.3 for d in da))
    close(gradients["b"], *da)


def test_lstm_1997_is_an_lstm_whose_forget_gate_is_open(rng):
    inputs = draw(rng, "lstm_1997")
    opened = {
        "W": np.insert(inputs["W"], 1, 0.0, axis=0),
        "R": np.insert(inputs["R"], 1, 0.0, axis=0),
        "b": np.insert(inputs["b"], 1, 1e4, axis=0),
    }
    for actual, expected in zip(lstm_1997(**inputs), lstm(**{**inputs, **opened}), strict=True):
        same(actual, expected)


def test_a_memory_that_nothing_writes_keeps_its_gradient_for_ever(rng):
    inputs = draw(rng, "lstm_1997", T=300)
    inputs["W"][0], inputs["R"][0], inputs["b"][0] = 0, 0, -1e4
    (y, _, c_n), vjp = lstm_1997_vjp(**inputs)
    np.testing.assert_array_equal(c_n, inputs["c0"])
    dc = rng.standard_normal(c_n.shape)
    np.testing.assert_array_equal(vjp(np.zeros_like(y), np.zeros_like(c_n), dc)["c0"], dc)


# forget_only_lstm: gates f, g

FORGET_ONLY = {"W": one(-0.3, 0.9), "R": one(0.6, 0.5), "b": column(0.2, -0.3)}


def test_forget_only_lstm_cell():
    (h,) = forget_only_lstm_cell(column(1.5), column(0.8), **FORGET_ONLY)
    f, g = logistic(-0.3 * 1.5 + 0.6 * 0.8 + 0.2), tanh(0.9 * 1.5 + 0.5 * 0.8 - 0.3)
    close(h, f * 0.8 + (1 - f) * g)


@pytest.mark.parametrize("gradient", ["full", "cell_only"])
def test_forget_only_lstm_cell_gradient(gradient):
    _, vjp = forget_only_lstm_cell_vjp(column(1.5), column(0.8), **FORGET_ONLY, gradient=gradient)
    gradients = vjp(column(2.0))
    f, g = logistic(-0.3 * 1.5 + 0.6 * 0.8 + 0.2), tanh(0.9 * 1.5 + 0.5 * 0.8 - 0.3)
    da_f, da_g = 2.0 * (0.8 - g) * f * (1 - f), 2.0 * (1 - f) * (1 - g * g)
    through_gates = 0.6 * da_f + 0.5 * da_g if gradient == "full" else 0.0
    close(gradients["h_prev"], 2.0 * f + through_gates)
    close(gradients["x"], -0.3 * da_f + 0.9 * da_g)
    close(gradients["W"], da_f * 1.5, da_g * 1.5)
    close(gradients["R"], da_f * 0.8, da_g * 0.8)
    close(gradients["b"], da_f, da_g)


# peephole_lstm: gates i, f, g, o; peepholes i, f, o

LSTM = {"W": one(0.4, -0.3, 0.9, 0.7), "R": one(-0.2, 0.6, 0.5, -0.1), "b": column(0.1, 0.2, -0.3, 0.05)}
P = column(0.8, -0.5, 1.2)


def peephole_gates(x, h, c):
    i = logistic(0.4 * x - 0.2 * h + 0.8 * c + 0.1)
    f = logistic(-0.3 * x + 0.6 * h - 0.5 * c + 0.2)
    g = tanh(0.9 * x + 0.5 * h - 0.3)
    after = f * c + i * g
    return i, f, g, logistic(0.7 * x - 0.1 * h + 1.2 * after + 0.05), after


def test_peephole_lstm_cell():
    h, c = peephole_lstm_cell(column(1.5), column(0.3), column(-0.6), **LSTM, P=P)
    *_, o, after = peephole_gates(1.5, 0.3, -0.6)
    close(c, after)
    close(h, o * tanh(after))


def test_peephole_lstm_cell_gradient():
    _, vjp = peephole_lstm_cell_vjp(column(1.5), column(0.3), column(-0.6), **LSTM, P=P)
    gradients = vjp(column(2.0), column(-0.7))
    i, f, g, o, c = peephole_gates(1.5, 0.3, -0.6)
    da_o = 2.0 * tanh(c) * o * (1 - o)
    dc = -0.7 + 2.0 * o * (1 - tanh(c) ** 2) + 1.2 * da_o
    da_i, da_f, da_g = dc * g * i * (1 - i), dc * -0.6 * f * (1 - f), dc * i * (1 - g * g)
    close(gradients["c_prev"], dc * f + 0.8 * da_i - 0.5 * da_f)
    close(gradients["h_prev"], -0.2 * da_i + 0.6 * da_f + 0.5 * da_g - 0.1 * da_o)
    close(gradients["P"], da_i * -0.6, da_f * -0.6, da_o * c)
    close(gradients["b"], da_i, da_f, da_g, da_o)


def test_without_peepholes_it_is_an_lstm(rng):
    inputs = draw(rng, "peephole_lstm")
    inputs["P"][...] = 0
    outputs, vjp = peephole_lstm_vjp(**inputs)
    del inputs["P"]
    expected, expected_vjp = lstm_vjp(**inputs)
    cotangents = cotangents_of(rng, outputs)
    gradients = vjp(*cotangents)
    for actual, wanted in zip(outputs, expected, strict=True):
        same(actual, wanted)
    for name, wanted in expected_vjp(*cotangents).items():
        same(gradients[name], wanted)
    assert np.all(gradients["P"] != 0)


# layer_norm_lstm: gates i, f, g, o

NORMED = {
    "W": np.array([[[0.4], [-0.6]], [[-0.3], [0.9]], [[0.9], [0.2]], [[0.7], [-0.5]]]),
    "R": np.array([[[0.1, -0.2], [0.3, 0.4]]] * 4),
    "b": np.array([[0.1, 0.0], [0.2, -0.1], [-0.3, 0.4], [0.05, 0.6]]),
    "gain": np.array([[1.1, 0.9], [0.8, 1.3], [1.0, -0.7], [0.5, 1.2]]),
    "gain_c": np.array([1.5, -0.8]),
    "b_c": np.array([0.2, -0.4]),
}


def normalised(pair, epsilon):
    """Two numbers with their mean taken off, over the root of variance and epsilon."""
    half = (pair[0] - pair[1]) / 2
    return half / math.sqrt(half * half + epsilon), -half / math.sqrt(half * half + epsilon)


@pytest.mark.parametrize("memory", ["raw", "normalised"])
@pytest.mark.parametrize("epsilon", [1e-5, 0.3])
def test_layer_norm_lstm_cell_of_two_units(epsilon, memory):
    x, before, c_before = 1.5, (0.3, -0.2), (-0.6, 0.9)
    h, c = layer_norm_lstm_cell(
        column(x), np.array([before]), np.array([c_before]), **NORMED, epsilon=epsilon, memory=memory
    )
    arguments = []
    for gate in range(4):
        W, R = NORMED["W"][gate], NORMED["R"][gate]
        z = [W[unit, 0] * x + R[unit, 0] * before[0] + R[unit, 1] * before[1] for unit in range(2)]
        n = normalised(z, epsilon)
        arguments.append([NORMED["gain"][gate, unit] * n[unit] + NORMED["b"][gate, unit] for unit in range(2)])
    i, f, g, o = arguments
    raw = [logistic(f[unit]) * c_before[unit] + logistic(i[unit]) * tanh(g[unit]) for unit in range(2)]
    n = normalised(raw, epsilon)
    shown = [NORMED["gain_c"][unit] * n[unit] + NORMED["b_c"][unit] for unit in range(2)]
    close(c, *(raw if memory == "raw" else shown))
    close(h, *(logistic(o[unit]) * tanh(shown[unit]) for unit in range(2)))


def test_layer_norm_of_one_unit_is_its_bias():
    x, h_prev, c_prev = column(1.5), column(0.3), column(-0.6)
    norm = {"gain": column(2.0, 3.0, 4.0, 5.0), "gain_c": np.array([6.0]), "b_c": np.array([0.7])}
    (h, c), vjp = layer_norm_lstm_cell_vjp(x, h_prev, c_prev, **LSTM, **norm)
    i, f, g, o = (logistic(0.1), logistic(0.2), tanh(-0.3), logistic(0.05))
    close(c, f * -0.6 + i * g)
    close(h, o * tanh(0.7))
    gradients = vjp(column(2.0), column(-0.7))
    for name in ("x", "h_prev", "W", "R", "gain", "gain_c"):
        assert np.all(gradients[name] == 0)
    close(gradients["b_c"], 2.0 * o * (1 - tanh(0.7) ** 2))
    close(gradients["c_prev"], -0.7 * f)


def test_layer_norm_does_not_see_a_shift_or_a_scale_of_its_argument(rng):
    inputs = draw(rng, "layer_norm_lstm_cell")
    shifted = {**inputs, "W": 1e3 * inputs["W"], "R": 1e3 * inputs["R"]}
    shifted["W"] = shifted["W"] + rng.standard_normal((4, 1, D))
    shifted["R"] = shifted["R"] + rng.standard_normal((4, 1, H))
    for actual, expected in zip(
        layer_norm_lstm_cell(**shifted, epsilon=1e-300), layer_norm_lstm_cell(**inputs, epsilon=1e-300), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-10)


def test_layer_norm_of_equal_units_is_finite():
    inputs = draw(np.random.default_rng(0), "layer_norm_lstm_cell")
    for name in ("W", "R", "b", "gain", "c_prev"):
        inputs[name] = np.full_like(inputs[name], 0.5)
    outputs, vjp = layer_norm_lstm_cell_vjp(**inputs)
    gradients = vjp(*(np.ones_like(output) for output in outputs))
    assert all(np.all(np.isfinite(array)) for array in (*outputs, *gradients.values()))


# nested_lstm: gates i, f, g, o on every level

INNER = {
    "W_inner": np.array([[0.3, 0.8, -0.7, 0.2], [0.5, -0.4, 0.6, 1.1]]).reshape(2, 4, 1, 1),
    "R_inner": np.array([[-0.6, 0.1, 0.9, -0.3], [0.7, 0.2, -0.8, 0.4]]).reshape(2, 4, 1, 1),
    "b_inner": np.array([[0.2, -0.1, 0.3, 0.4], [-0.2, 0.6, 0.1, -0.5]]).reshape(2, 4, 1),
}


def nested(x, h, memories, weights):
    """One step of levels of one unit, by recursion: the state shown, and the memories."""
    (w, r, b), *inner = weights
    i, f, g, o = (w[k] * x + r[k] * h + b[k] for k in range(4))
    written, kept = logistic(i) * tanh(g), logistic(f) * memories[0]
    c, further = nested(written, kept, memories[1:], inner) if inner else (kept + written, [])
    return logistic(o) * tanh(c), [c, *further]


@pytest.mark.parametrize("inner", [1, 2])
def test_nested_lstm_cell(inner):
    memories = [-0.6, 0.9, 0.4][: inner + 1]
    weights = [[np.ravel(LSTM[name]) for name in ("W", "R", "b")]]
    weights += [[np.ravel(INNER[name][m]) for name in INNER] for m in range(inner)]
    held = {name: array[:inner] for name, array in INNER.items()}
    h, c = nested_lstm_cell(column(1.5), column(0.3), np.array(memories).reshape(1, -1, 1), **LSTM, **held)
    expected_h, expected_c = nested(1.5, 0.3, memories, weights)
    close(h, expected_h)
    close(c, *expected_c)


@pytest.mark.parametrize("inner", [1, 2, 3])
def test_nested_lstm_gradient_is_that_of_the_complex_step(rng, inner):
    inputs = draw(rng, "nested_lstm", T=3, N=inner, M=inner + 1)
    outputs, vjp = nested_lstm_vjp(**inputs)
    cotangents = cotangents_of(rng, outputs)
    gradients = vjp(*cotangents)
    for name in ("c0", "W_inner", "R_inner", "b_inner"):
        for index in np.ndindex(inputs[name].shape[-2:]):
            place = (0,) * (inputs[name].ndim - 2) + index
            moved = {key: array.astype(complex) for key, array in inputs.items()}
            moved[name][place] += 1e-30j
            found = nested_lstm(**moved)
            slope = sum(np.sum(d * output.imag) for d, output in zip(cotangents, found, strict=True)) / 1e-30
            np.testing.assert_allclose(gradients[name][place], slope, rtol=1e-11, atol=1e-13)


def test_an_inner_level_that_adds_makes_the_level_around_it_an_lstm(rng):
    inputs = draw(rng, "nested_lstm_cell", N=1, M=2)
    e = 1e-4
    for name in INNER:
        inputs[name][...] = 0
    inputs["W_inner"][0, 2] = inputs["R_inner"][0, 2] = e * np.eye(H)
    inputs["b_inner"][0] = np.array([1e4, -1e4, 0.0, 1e4])[:, np.newaxis]
    _, c = nested_lstm_cell(**inputs)
    outer = {name: array for name, array in inputs.items() if not name.endswith("_inner")}
    outer["c_prev"] = inputs["c_prev"][:, 0]
    _, expected = lstm_cell(**outer)
    np.testing.assert_allclose(c[:, 0] / e, expected, rtol=1e-7, atol=1e-7)


def test_inner_levels_without_weights_hear_nothing_from_outside(rng):
    inputs = draw(rng, "nested_lstm_cell")
    inputs["W_inner"][...] = inputs["R_inner"][...] = 0
    _, c = nested_lstm_cell(**inputs)
    _, other = nested_lstm_cell(**{**inputs, "x": 2 * inputs["x"], "h_prev": -inputs["h_prev"]})
    np.testing.assert_array_equal(c, other)


def test_one_level_is_refused(rng):
    inputs = draw(rng, "nested_lstm_cell", N=0, M=1)
    with pytest.raises(CallError):
        nested_lstm_cell(**inputs)


def test_as_many_memories_as_levels(rng):
    inputs = draw(rng, "nested_lstm", N=2, M=4)
    with pytest.raises(CallError, match="c0"):
        nested_lstm(**inputs)


def test_absent_memories_are_zeros_for_every_level(rng):
    inputs = draw(rng, "nested_lstm")
    given = nested_lstm(**{**inputs, "c0": np.zeros((B, N + 1, H))})
    del inputs["c0"]
    for actual, expected in zip(nested_lstm(**inputs), given, strict=True):
        np.testing.assert_array_equal(actual, expected)


# lstm, coupled


def test_a_coupled_lstm_has_a_forget_gate_at_one_minus_i(rng):
    inputs = draw(rng, "lstm")
    of_gates = "W", "R", "b", "b_R"
    inputs = {name: array[:3] if name in of_gates else array for name, array in inputs.items()}
    # 1 - logistic(a) = logistic(-a)
    spelt_out = {
        name: np.stack([array[0], -array[0], array[1], array[2]]) if name in of_gates else array
        for name, array in inputs.items()
    }
    for actual, expected in zip(lstm(**inputs, coupled=True), lstm(**spelt_out), strict=True):
        same(actual, expected)


# gradient = "cell_only"


@pytest.mark.parametrize("name", CELLS)
def test_cell_only_has_the_same_outputs_and_all_gradients_but_that_of_the_state(rng, name):
    inputs = draw(rng, f"{name}_cell")
    full, full_vjp = CELLS[name](**inputs)
    outputs, vjp = CELLS[name](**inputs, gradient="cell_only")
    cotangents = cotangents_of(rng, outputs)
    gradients, full_gradients = vjp(*cotangents), full_vjp(*cotangents)
    for actual, expected in zip(outputs, full, strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert gradients.keys() == full_gradients.keys()
    for key, gradient in gradients.items():
        if key != "h_prev":
            np.testing.assert_array_equal(gradient, full_gradients[key])
        else:
            assert np.any(full_gradients[key] != gradient)
            assert name == "forget_only_lstm" or np.all(gradient == 0)


@pytest.mark.parametrize("name", CELLS)
def test_cell_only_is_the_full_gradient_where_there_are_no_recurrent_weights(rng, name):
    inputs = draw(rng, name)
    inputs["R"][...] = 0
    outputs, full_vjp = LAYERS[name](**inputs)
    _, vjp = LAYERS[name](**inputs, gradient="cell_only")
    cotangents = cotangents_of(rng, outputs)
    gradients = vjp(*cotangents)
    for key, expected in full_vjp(*cotangents).items():
        same(gradients[key], expected)


def test_cell_only_of_an_lstm_by_hand():
    x = np.array([[[1.5], [-0.8]]])
    _, vjp = lstm_vjp(x, **LSTM, h0=column(0.3), c0=column(-0.6), gradient="cell_only")
    dy, nothing = np.array([[[0.0], [2.0]]]), column(0.0)
    (h1, c1), first = lstm_cell_vjp(column(1.5), column(0.3), column(-0.6), **LSTM)
    _, second = lstm_cell_vjp(column(-0.8), h1, c1, **LSTM)
    later = second(column(2.0), nothing)
    earlier = first(nothing, later["c_prev"])
    gradients = vjp(dy, nothing, nothing)
    close(gradients["x"], earlier["x"][0, 0], later["x"][0, 0])
    close(gradients["R"], *np.ravel(earlier["R"] + later["R"]))
    close(gradients["c0"], earlier["c_prev"][0, 0])
    close(gradients["h0"], 0.0)


# truncate


def run(rng, layer, inputs, **arguments):
    outputs, vjp = LAYERS[layer](**inputs, **arguments)
    cotangents = cotangents_of(rng, outputs)
    return outputs, cotangents, vjp(*cotangents)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize(("layer", "attributes"), VARIANTS)
def test_truncation_beyond_the_last_step_is_none(rng, layer, attributes, direction):
    inputs = draw(rng, layer)
    outputs, vjp = LAYERS[layer](**inputs, **attributes, direction=direction, lengths=np.array([7, 3, 0]))
    cotangents = cotangents_of(rng, outputs)
    _, cut = LAYERS[layer](**inputs, **attributes, direction=direction, lengths=np.array([7, 3, 0]), truncate=7)
    gradients = cut(*cotangents)
    for name, expected in vjp(*cotangents).items():
        np.testing.assert_array_equal(gradients[name], expected)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize(("layer", "attributes"), VARIANTS)
def test_truncation_is_full_gradients_of_chunks_with_constant_initial_states(rng, layer, attributes, direction, k):
    inputs = draw(rng, layer)
    function = LAYERS[layer]
    outputs, (dy, *dfinal), gradients = run(rng, layer, inputs, **attributes, direction=direction, truncate=k)
    for actual, expected in zip(outputs, function(**inputs, **attributes, direction=direction)[0], strict=True):
        np.testing.assert_array_equal(actual, expected)
    names = list(operation(layer).carries)
    states = {name: inputs[name] for name in names}
    summed, dx = {}, np.zeros_like(inputs["x"])
    order = list(range(T)) if direction == "forward" else list(reversed(range(T)))
    for start in range(0, T, k):
        steps = sorted(order[start : start + k])
        chunk = {**inputs, **states, "x": inputs["x"][:, steps]}
        (_, *final), vjp = function(**chunk, **attributes, direction=direction)
        last = start + k >= T
        found = vjp(dy[:, steps], *(d if last else np.zeros_like(d) for d in dfinal))
        dx[:, steps] = found.pop("x")
        for name, d in found.items():
            if name not in names:
                summed[name] = summed.get(name, 0) + d
            elif start == 0:
                summed[name] = d
        states = dict(zip(names, final, strict=True))
    same(gradients["x"], dx)
    for name, expected in summed.items():
        same(gradients[name], expected)


def test_truncation_counts_valid_steps_alone(rng):
    inputs = draw(rng, "lstm")
    mask = np.array([[1, 0, 1, 1, 0, 1, 1], [0, 0, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1, 1]], bool)
    _, (dy, *dfinal), gradients = run(rng, "lstm", inputs, mask=mask, truncate=2)
    for b in range(B):
        alone = {name: inputs[name][b : b + 1] for name in ("h0", "c0")}
        _, vjp = lstm_vjp(**{**inputs, **alone, "x": inputs["x"][b : b + 1, mask[b]]}, truncate=2)
        expected = vjp(dy[b : b + 1, mask[b]], *(d[b : b + 1] for d in dfinal))
        same(gradients["x"][b, mask[b]], expected["x"][0])
        same(gradients["c0"][b], expected["c0"][0])


def test_the_first_step_hands_on_to_the_initial_state(rng):
    inputs = draw(rng, "gru")
    outputs, vjp = gru_vjp(**inputs, truncate=1)
    _, first = gru_vjp(**{**inputs, "x": inputs["x"][:, :1]})
    dy, dh_n = cotangents_of(rng, outputs)
    same(vjp(dy, dh_n)["h0"], first(dy[:, :1], np.zeros_like(dh_n))["h0"])


# recurrent_dropout


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize(("layer", "attributes"), VARIANTS)
def test_recurrent_dropout_scales_the_state_before_every_step(rng, layer, attributes, direction):
    inputs, p = draw(rng, layer), 0.25
    keep = rng.random((B, H)) < 0.6
    (y, *final), _ = LAYERS[layer](
        **inputs, **attributes, direction=direction, recurrent_dropout=p, recurrent_keep=keep
    )
    states = [inputs.pop(name) for name in operation(layer).carries]
    x = inputs.pop("x")
    cell = {**CELLS, "rnn": rnn_vjp, "gru": gru_vjp}[layer]
    for t in range(T) if direction == "forward" else reversed(range(T)):
        seen = [states[0] * keep / (1 - p), *states[1:]]
        if layer in CELLS:
            names = [f"{name.removesuffix('0')}_prev" for name in operation(layer).carries]
            before = dict(zip(names, seen, strict=True))
            states, _ = cell(x[:, t], **before, **inputs, **attributes)
        else:
            (_, *states), _ = cell(x=x[:, t : t + 1], h0=seen[0], **inputs)
        same(y[:, t], states[0])
    for actual, expected in zip(final, states, strict=True):
        same(actual, expected)


def test_recurrent_dropout_of_nothing_is_none(rng):
    inputs = draw(rng, "lstm")
    kept = lstm(**inputs, recurrent_dropout=0.0, recurrent_keep=np.ones((B, H), bool))
    for actual, expected in zip(kept, lstm(**inputs), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_a_unit_that_is_dropped_has_no_recurrent_gradient(rng):
    inputs = draw(rng, "lstm")
    keep = np.ones((B, H), bool)
    keep[:, 1] = False
    _, _, gradients = run(rng, "lstm", inputs, recurrent_dropout=0.5, recurrent_keep=keep)
    assert np.all(gradients["R"][:, :, 1] == 0)
    assert np.all(gradients["h0"][:, 1] == 0)
    assert np.all(gradients["R"][:, :, 0] != 0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"recurrent_dropout": 0.5},
        {"recurrent_keep": np.ones((B, H), bool)},
        {"recurrent_dropout": 1.0, "recurrent_keep": np.ones((B, H), bool)},
        {"recurrent_dropout": 0.5, "recurrent_keep": np.ones((B, H))},
        {"recurrent_dropout": 0.5, "recurrent_keep": np.ones((B, H + 1), bool)},
        {"truncate": 0},
        {"truncate": 1.5},
        {"gradient": "half"},
    ],
)
def test_what_makes_no_sense_is_refused(rng, arguments):
    with pytest.raises(CallError):
        lstm(**draw(rng, "lstm"), **arguments)


# Edge numbers and types


@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("name", NEW_LAYERS)
def test_large_arguments_saturate_and_stay_finite(rng, name, size):
    inputs = draw(rng, name, T=60)
    inputs = {key: array * size if key in ("x", "b") else array for key, array in inputs.items()}
    outputs, vjp = LAYERS[name](**inputs)
    gradients = vjp(*cotangents_of(rng, outputs))
    assert all(np.all(np.isfinite(array)) for array in (*outputs, *gradients.values()))
    assert np.all(np.abs(outputs[0]) <= max(1.0, np.abs(inputs["h0"]).max()))


def test_lstm_1997_adds_up_over_a_thousand_steps():
    steps = 1000
    W, R = np.zeros((3, 1, 1)), np.zeros((3, 1, 1))
    b = column(1e4, 1e4, 1e4)
    y, _, c_n = lstm_1997(np.ones((1, steps, 1)), W, R, b)
    assert c_n[0, 0] == steps
    assert y[0, -1, 0] == 1


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("name", NEW_LAYERS)
def test_two_byte_floats_are_float32_rounded_once(rng, name, dtype):
    narrow = {key: array.astype(dtype) for key, array in draw(rng, name).items()}
    wide = {key: array.astype(np.float32) for key, array in narrow.items()}
    outputs, cotangents, gradients = run(rng, name, narrow)
    expected, vjp = LAYERS[name](**wide)
    for actual, wanted in zip(outputs, expected, strict=True):
        assert actual.dtype == dtype
        np.testing.assert_array_equal(actual, wanted.astype(dtype))
    for key, wanted in vjp(*(cotangent.astype(np.float32) for cotangent in cotangents)).items():
        np.testing.assert_array_equal(gradients[key], wanted.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NEW_LAYERS)
def test_types_are_kept(rng, name, dtype):
    inputs = {key: array.astype(dtype) for key, array in draw(rng, name).items()}
    outputs, _, gradients = run(rng, name, inputs, truncate=2, gradient="cell_only")
    assert {array.dtype for array in (*outputs, *gradients.values())} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", NEW_LAYERS)
def test_values_alone_are_those_beside_the_gradient(rng, name):
    inputs = draw(rng, name)
    for actual, expected in zip(NEW_LAYERS[name](**inputs), LAYERS[name](**inputs)[0], strict=True):
        np.testing.assert_array_equal(actual, expected)
