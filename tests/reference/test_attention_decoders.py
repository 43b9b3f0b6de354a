"""Both decoders against loops over sequences and steps, for every cell and every score; and their gradients."""

import math

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.reference import bahdanau_decoder, bahdanau_decoder_vjp, luong_decoder, luong_decoder_vjp
from rnnspec.spec import CallError

BATCH, STEPS, KEYS, D, E, H, A, Z = 2, 3, 4, 2, 3, 2, 3, 4
MASK = np.array([[True, False, True, True], [False, True, False, True]])

CELLS = [
    ("rnn_cell", {}),
    ("lstm_cell", {}),
    ("lstm_cell", {"coupled": True, "projection": True}),
    ("lstm_1997_cell", {}),
    ("forget_only_lstm_cell", {}),
    ("peephole_lstm_cell", {}),
    ("layer_norm_lstm_cell", {}),
    ("layer_norm_lstm_cell", {"memory": "normalised"}),
    ("gru_cell", {}),
    ("gru_cell", {"reset": "before", "update": "admits"}),
    ("nested_lstm_cell", {}),
]
SCORES = ["dot", "scaled_dot", "general", "additive", "concat", "cosine"]
GATES = {"rnn_cell": 1, "lstm_1997_cell": 3, "forget_only_lstm_cell": 2, "gru_cell": 3}
ONE_STATE = ("rnn_cell", "forget_only_lstm_cell", "gru_cell")
DECODERS = {"bahdanau": bahdanau_decoder_vjp, "luong": luong_decoder_vjp}


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def cell_shapes(cell, attributes, features):
    """Of the cell's parameters and initial states."""
    gates = 3 if attributes.get("coupled") else GATES.get(cell, 4)
    state = 3 if attributes.get("projection") else H
    shapes = {"W": (gates, H, features), "R": (gates, H, state), "b": (gates, H), "h0": (BATCH, state)}
    if cell not in ONE_STATE:
        shapes["c0"] = (BATCH, 2, H) if cell == "nested_lstm_cell" else (BATCH, H)
    if attributes.get("projection"):
        shapes["P"] = (state, H)
    if cell == "gru_cell" and attributes.get("reset") != "before":
        shapes["b_rn"] = (H,)
    if cell == "peephole_lstm_cell":
        shapes["P"] = (3, H)
    if cell == "layer_norm_lstm_cell":
        shapes |= {"gain": (gates, H), "gain_c": (H,), "b_c": (H,)}
    if cell == "nested_lstm_cell":
        shapes |= {"W_inner": (1, 4, H, H), "R_inner": (1, 4, H, H), "b_inner": (1, 4, H)}
    return shapes, state


def score_shapes(score, state, width):
    return {
        "general": {"W_a": (state, width)},
        "additive": {"W_q": (A, state), "W_k": (A, width), "b_a": (A,), "v_a": (A,)},
        "concat": {"W_a": (A, state + width), "b_a": (A,), "v_a": (A,)},
    }.get(score, {})


def draw(rng, decoder, cell, attributes, score, feeding=False):
    features = D + Z if feeding else D
    state = 3 if attributes.get("projection") else H
    width = E if score in ("general", "additive", "concat") else state
    shapes, state = cell_shapes(cell, attributes, D + width if decoder == "bahdanau" else features)
    shapes |= {"x": (BATCH, STEPS, D), "annotations": (BATCH, KEYS, width), **score_shapes(score, state, width)}
    if decoder == "luong":
        shapes["W_c"] = (Z, width + state)
    if feeding:
        shapes["y0"] = (BATCH, Z)
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def one_score(score, q, k, p):
    """Of one query and one key."""
    if score == "dot":
        return np.sum(q * k)
    if score == "scaled_dot":
        return np.sum(q * k) / math.sqrt(len(q))
    if score == "general":
        return np.sum(p["W_a"] * np.outer(q, k))
    if score == "cosine":
        norms = math.sqrt(np.sum(q * q)) * math.sqrt(np.sum(k * k))
        return np.sum(q * k) / norms if norms > 0 else 0.0
    both = np.concatenate((q, k))
    W = p["W_a"] if score == "concat" else np.concatenate((p["W_q"], p["W_k"]), axis=1)
    return sum(p["v_a"][a] * math.tanh(np.sum(W[a] * both) + p["b_a"][a]) for a in range(A))


def attend(score, q, memory, p):
    """Context and weights of one query, over the valid annotations of one source."""
    exponentials = np.array([math.exp(one_score(score, q, k, p)) for k in memory])
    weights = exponentials / np.sum(exponentials)
    return sum((w * k for w, k in zip(weights, memory, strict=True)), np.zeros(memory.shape[1])), weights


OWN = ("x", "annotations", "h0", "c0", "y0", "W_c", "W_a", "W_q", "W_k", "b_a", "v_a")


def looped(decoder, inputs, cell, attributes, score, feeding, mask):
    """The outputs, one sequence and one step at a time; the cell's step is the reference's own."""
    step = getattr(reference, cell)
    parameters = {name: array for name, array in inputs.items() if name not in OWN}
    names = ("h",) if cell in ONE_STATE else ("h", "c")
    rows = []
    for b in range(len(inputs["x"])):
        memory = inputs["annotations"][b, mask[b]]
        states = [inputs[f"{name}0"][b] for name in names]
        before = inputs["y0"][b] if feeding else None
        y, all_weights = [], np.zeros((STEPS, KEYS))
        for i in range(STEPS):
            u = inputs["x"][b, i]
            if decoder == "bahdanau":
                context, weights = attend(score, states[0], memory, inputs)
                u = np.concatenate((u, context))
            elif feeding:
                u = np.concatenate((u, before))
            prev = {f"{name}_prev": state[np.newaxis] for name, state in zip(names, states, strict=True)}
            states = [state[0] for state in step(x=u[np.newaxis], **prev, **parameters, **attributes)]
            if decoder == "luong":
                context, weights = attend(score, states[0], memory, inputs)
                before = np.tanh(inputs["W_c"] @ np.concatenate((context, states[0])))
            y.append(states[0] if decoder == "bahdanau" else before)
            all_weights[i, mask[b]] = weights
        rows.append((np.array(y), all_weights, *states))
    return tuple(np.stack(outputs) for outputs in zip(*rows, strict=True))


def differences(loops, inputs, cotangents):
    """Gradients of the loops by central differences."""
    gradients = {}
    for name, array in inputs.items():
        gradients[name] = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            totals = []
            for move in (1e-5, -1e-5):
                moved = array.copy()
                moved[index] += move
                pairs = zip(loops({**inputs, name: moved}), cotangents, strict=True)
                totals.append(sum(np.sum(output * d) for output, d in pairs))
            gradients[name][index] = (totals[0] - totals[1]) / 2e-5
    return gradients


def check(rng, decoder, cell, attributes, score, feeding=False, mask=None, gradients=True):
    inputs = draw(rng, decoder, cell, attributes, score, feeding)
    chosen = {"cell": cell, "score": score, **attributes, **({"input_feeding": True} if feeding else {})}
    taken = np.ones((BATCH, KEYS), bool) if mask is None else mask
    spoilt = {**inputs, "annotations": np.where(taken[:, :, np.newaxis], inputs["annotations"], np.nan)}
    outputs, vjp = DECODERS[decoder](**spoilt, mask=mask, **chosen)

    def loops(given):
        return looped(decoder, given, cell, attributes, score, feeding, taken)

    expected = loops(inputs)
    assert len(outputs) == len(expected)
    for output, wanted in zip(outputs, expected, strict=True):
        assert output.shape == wanted.shape
        np.testing.assert_allclose(output, wanted, rtol=1e-12, atol=1e-13)
    if not gradients:
        return
    cotangents = tuple(rng.standard_normal(output.shape) for output in outputs)
    found = vjp(*cotangents)
    assert found.keys() == inputs.keys()
    for name, wanted in differences(loops, inputs, cotangents).items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-8, err_msg=name)
    assert np.all(found["annotations"][~taken] == 0)
    for name, again in vjp(*cotangents).items():
        np.testing.assert_array_equal(found[name], again)


@pytest.mark.parametrize(("cell", "attributes"), CELLS)
def test_bahdanau_of_every_cell(rng, cell, attributes):
    check(rng, "bahdanau", cell, attributes, "additive", mask=MASK)


@pytest.mark.parametrize(("cell", "attributes"), CELLS)
@pytest.mark.parametrize("feeding", [False, True])
def test_luong_of_every_cell(rng, cell, attributes, feeding):
    check(rng, "luong", cell, attributes, "general", feeding, mask=MASK)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("mask", [None, MASK])
def test_every_score(rng, decoder, score, mask):
    check(rng, decoder, "gru_cell", {}, score, feeding=decoder == "luong", mask=mask)


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_gradient_through_the_state_but_through_attention(rng, decoder):
    """With cell_only, a plain difference would not do: h[i - 1] is a constant in the gates, and still asks."""
    inputs = draw(rng, decoder, "lstm_cell", {}, "additive")
    given = {**inputs, "cell": "lstm_cell", "score": "additive", "gradient": "cell_only"}
    (_, weights, *_), vjp = DECODERS[decoder](**given)
    (y, *others), _ = DECODERS[decoder](**inputs, cell="lstm_cell", score="additive")
    cotangents = [np.zeros_like(y), np.zeros_like(weights), *(np.zeros_like(other) for other in others[1:])]
    cotangents[1][:, 0] = rng.standard_normal(weights[:, 0].shape)
    dh0 = vjp(*cotangents)["h0"]
    # Bahdanau's first weights are made with h0 itself; Luong's with h[0], which h0 reaches through the gates alone.
    assert np.all(dh0 != 0) if decoder == "bahdanau" else np.all(dh0 == 0)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("score", SCORES)
def test_a_source_without_annotations(rng, decoder, score):
    inputs = draw(rng, decoder, "gru_cell", {}, score)
    inputs["annotations"][1] = np.nan
    lengths = np.array([KEYS, 0])
    outputs, vjp = DECODERS[decoder](**inputs, cell="gru_cell", score=score, lengths=lengths)
    np.testing.assert_array_equal(outputs[1][1], np.zeros((STEPS, KEYS)))
    assert all(np.all(np.isfinite(output)) for output in outputs)
    gradients = vjp(*(np.ones_like(output) for output in outputs))
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients.values())
    np.testing.assert_array_equal(gradients["annotations"][1], np.zeros_like(inputs["annotations"][1]))
    # The same as with no annotation at all.
    alone = {
        name: array[1:] if array.shape[0] == BATCH and name in OWN[:4] else array for name, array in inputs.items()
    }
    alone["annotations"] = alone["annotations"][:, :0]
    (y, *_), none_vjp = DECODERS[decoder](**alone, cell="gru_cell", score=score)
    np.testing.assert_allclose(y[0], outputs[0][1], rtol=1e-12)
    assert none_vjp(np.ones_like(y), np.zeros((1, STEPS, 0)), np.ones((1, H)))["annotations"].shape[1] == 0


def test_bahdanau_by_hand():
    x, memory = np.array([[[0.5], [-1.0]]]), np.array([[[1.0], [-2.0]]])
    given = {
        "W": np.array([[[0.3, 0.7]]]),
        "R": np.array([[[-0.4]]]),
        "b": np.array([[0.1]]),
        "h0": np.array([[0.6]]),
    }
    y, weights, h_n = bahdanau_decoder(x, memory, **given, cell="rnn_cell", score="dot")
    h, states, all_weights = 0.6, [], []
    for u in (0.5, -1.0):
        w = math.exp(h) / (math.exp(h) + math.exp(-2 * h))
        context = w - 2 * (1 - w)
        h = math.tanh(0.3 * u + 0.7 * context - 0.4 * h + 0.1)
        states.append(h)
        all_weights.append([w, 1 - w])
    np.testing.assert_allclose(y[0, :, 0], states)
    np.testing.assert_allclose(weights[0], all_weights)
    np.testing.assert_allclose(h_n, [[h]])


def test_luong_with_input_feeding_by_hand():
    x, memory = np.array([[[0.5], [-1.0]]]), np.array([[[1.0], [-2.0]]])
    given = {
        "W": np.array([[[0.3, 0.7]]]),
        "R": np.array([[[-0.4]]]),
        "b": np.array([[0.1]]),
        "W_c": np.array([[0.8, -0.5]]),
        "h0": np.array([[0.6]]),
        "y0": np.array([[-0.2]]),
    }
    y, weights, h_n = luong_decoder(x, memory, **given, cell="rnn_cell", score="dot", input_feeding=True)
    h, out, outputs, all_weights = 0.6, -0.2, [], []
    for u in (0.5, -1.0):
        h = math.tanh(0.3 * u + 0.7 * out - 0.4 * h + 0.1)
        w = math.exp(h) / (math.exp(h) + math.exp(-2 * h))
        context = w - 2 * (1 - w)
        out = math.tanh(0.8 * context - 0.5 * h)
        outputs.append(out)
        all_weights.append([w, 1 - w])
    np.testing.assert_allclose(y[0, :, 0], outputs)
    np.testing.assert_allclose(weights[0], all_weights)
    np.testing.assert_allclose(h_n, [[h]])


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("score", ["cosine", "general"])
def test_absent_initial_states_are_zero_and_finite(rng, decoder, score):
    inputs = draw(rng, decoder, "lstm_cell", {}, score, feeding=decoder == "luong")
    absent = {name: array for name, array in inputs.items() if name not in ("h0", "c0", "y0")}
    zeros = {name: np.zeros_like(inputs[name]) for name in inputs.keys() - absent.keys()}
    chosen = {"cell": "lstm_cell", "score": score, **({"input_feeding": True} if decoder == "luong" else {})}
    without, without_vjp = DECODERS[decoder](**absent, **chosen)
    with_zeros, with_vjp = DECODERS[decoder](**absent, **zeros, **chosen)
    for a, b in zip(without, with_zeros, strict=True):
        np.testing.assert_array_equal(a, b)
    cotangents = tuple(rng.standard_normal(output.shape) for output in without)
    gradients, more = without_vjp(*cotangents), with_vjp(*cotangents)
    assert gradients.keys() == absent.keys()
    for name, gradient in more.items():
        assert np.all(np.isfinite(gradient))
        if name in gradients:
            np.testing.assert_array_equal(gradients[name], gradient)


@pytest.mark.parametrize("decoder", DECODERS)
def test_two_byte_floats_are_rounded_once(rng, decoder):
    inputs = {name: a.astype("float16") for name, a in draw(rng, decoder, "gru_cell", {}, "concat").items()}
    wide = {name: array.astype("float32") for name, array in inputs.items()}
    outputs, vjp = DECODERS[decoder](**inputs, cell="gru_cell", score="concat")
    expected, wide_vjp = DECODERS[decoder](**wide, cell="gru_cell", score="concat")
    cotangents = tuple(rng.standard_normal(output.shape).astype("float16") for output in outputs)
    for output, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(output, wanted.astype("float16"))
    wanted = wide_vjp(*(d.astype("float32") for d in cotangents))
    for name, gradient in vjp(*cotangents).items():
        np.testing.assert_array_equal(gradient, wanted[name].astype("float16"))


@pytest.mark.parametrize("decoder", DECODERS)
def test_writing_to_the_outputs_changes_no_gradient(rng, decoder):
    inputs = draw(rng, decoder, "gru_cell", {}, "additive")
    outputs, vjp = DECODERS[decoder](**inputs, cell="gru_cell", score="additive")
    cotangents = tuple(rng.standard_normal(output.shape) for output in outputs)
    expected = vjp(*cotangents)
    for output in outputs:
        output[...] = np.nan
    for name, gradient in vjp(*cotangents).items():
        np.testing.assert_array_equal(gradient, expected[name])


@pytest.mark.parametrize("decoder", DECODERS)
def test_an_empty_batch(rng, decoder):
    inputs = draw(rng, decoder, "lstm_cell", {}, "additive")
    none = {name: array[:0] if name in OWN[:4] else array for name, array in inputs.items()}
    outputs, vjp = DECODERS[decoder](**none, cell="lstm_cell", score="additive")
    assert all(output.shape[0] == 0 for output in outputs)
    gradients = vjp(*outputs)
    np.testing.assert_array_equal(gradients["W_q"], np.zeros_like(inputs["W_q"]))
    np.testing.assert_array_equal(gradients["W"], np.zeros_like(inputs["W"]))


def test_outputs_alone_are_those_with_the_way_back(rng):
    bahdanau = draw(rng, "bahdanau", "gru_cell", {}, "additive")
    for a, b in zip(bahdanau_decoder(**bahdanau), bahdanau_decoder_vjp(**bahdanau)[0], strict=True):
        np.testing.assert_array_equal(a, b)
    luong = draw(rng, "luong", "lstm_cell", {}, "general")
    for a, b in zip(luong_decoder(**luong), luong_decoder_vjp(**luong)[0], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "elman_cell"}, "cell"),
        ({"P": np.zeros((H, H))}, "P"),
        ({"y0": np.zeros((BATCH, Z))}, "y0"),
        ({"colour": "blue"}, "colour"),
        ({"annotations": np.zeros((BATCH, KEYS))}, "annotations"),
        ({"W_c": np.zeros((Z, 1))}, "W_c"),
    ],
)
def test_what_is_not_defined_is_refused(rng, change, message):
    inputs = draw(rng, "luong", "gru_cell", {}, "general")
    with pytest.raises(CallError, match=message):
        luong_decoder(**{**inputs, "cell": "gru_cell", "score": "general", **change})
