"""Encoder and decoder, against loops over single sequences that take the cells as parts."""

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.reference import context_vector, context_vector_vjp, lstm_cell, seq2seq, seq2seq_vjp
from rnnspec.spec import CallError

BATCH, STEPS, FEATURES, UNITS = 3, 4, 2, 3
OUT, OUT_FEATURES = 3, 2

KINDS = [
    ("rnn", {}),
    ("lstm", {}),
    ("lstm", {"coupled": True, "projection": True}),
    ("lstm_1997", {}),
    ("forget_only_lstm", {}),
    ("peephole_lstm", {}),
    ("layer_norm_lstm", {}),
    ("gru", {}),
    ("gru", {"reset": "before", "update": "admits"}),
    ("nested_lstm", {}),
]
GATES = {"rnn": 1, "lstm": 4, "lstm_1997": 3, "forget_only_lstm": 2, "peephole_lstm": 4, "layer_norm_lstm": 4, "gru": 3}
STATELESS = ("rnn", "gru", "forget_only_lstm")
MASK = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]], bool)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def state_size(attributes):
    return 2 if attributes.get("projection") else UNITS


def parameters(rng, kind, attributes, features):
    gates = 3 if attributes.get("coupled") else GATES.get(kind, 4)
    state = state_size(attributes)
    shapes = {"W": (gates, UNITS, features), "R": (gates, UNITS, state), "b": (gates, UNITS)}
    if attributes.get("projection"):
        shapes["P"] = (state, UNITS)
    if kind == "peephole_lstm":
        shapes["P"] = (3, UNITS)
    if kind == "gru" and attributes.get("reset") != "before":
        shapes["b_rn"] = (UNITS,)
    if kind == "layer_norm_lstm":
        shapes |= {"gain": (gates, UNITS), "gain_c": (UNITS,), "b_c": (UNITS,)}
    if kind == "nested_lstm":
        shapes |= {"W_inner": (2, 4, UNITS, UNITS), "R_inner": (2, 4, UNITS, UNITS), "b_inner": (2, 4, UNITS)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def draw(rng, kind, attributes, use):
    width = OUT_FEATURES + (state_size(attributes) if use == "every_step" else 0)
    encoder, decoder = parameters(rng, kind, attributes, FEATURES), parameters(rng, kind, attributes, width)
    return {
        "x": rng.standard_normal((BATCH, STEPS, FEATURES)),
        "z": rng.standard_normal((BATCH, OUT, OUT_FEATURES)),
        **{f"encoder_{name}": array for name, array in encoder.items()},
        **{f"decoder_{name}": array for name, array in decoder.items()},
    }


def run_one(kind, attributes, x, states, own):
    """States after each of the steps of one sequence, those before the first one in front."""
    cell = getattr(reference, f"{kind}_cell")
    trace = [states]
    for step in x:
        before = dict(zip(("h_prev", "c_prev"), (state[np.newaxis] for state in trace[-1]), strict=False))
        trace.append(tuple(state[0] for state in cell(x=step[np.newaxis], **before, **own, **attributes)))
    return trace


def zero_states(kind, attributes, dtype):
    h = np.zeros(state_size(attributes), dtype)
    if kind in STATELESS:
        return (h,)
    return h, np.zeros((3, UNITS) if kind == "nested_lstm" else UNITS, dtype)


def by_loop(kind, attributes, use, mask, inputs):
    def own(prefix):
        return {k.removeprefix(prefix): array for k, array in inputs.items() if k.startswith(prefix)}

    results = []
    for k in range(BATCH):
        zero = zero_states(kind, attributes, inputs["x"].dtype)
        encoded = run_one(kind, attributes, inputs["x"][k, mask[k]], zero, own("encoder_"))[-1]
        if use == "initial_state":
            u, begin = inputs["z"][k], encoded
        else:
            u, begin = np.array([np.concatenate((z, encoded[0])) for z in inputs["z"][k]]), zero
        trace = run_one(kind, attributes, u, begin, own("decoder_"))
        results.append((np.array([h for h, *_ in trace[1:]]), *trace[-1]))
    return tuple(np.stack(parts) for parts in zip(*results, strict=True))


def complex_step(function, inputs, cotangents):
    gradients = {}
    for name, array in inputs.items():
        gradients[name] = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            moved = {key: value.astype(complex) for key, value in inputs.items()}
            moved[name][place] += 1e-30j
            outputs = function(moved)
            gradients[name][place] = sum(np.sum(d * y.imag) for d, y in zip(cotangents, outputs, strict=True)) / 1e-30
    return gradients


def same(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-13)


def same_by_name(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, rtol=1e-10, atol=1e-12, err_msg=name)


# seq2seq


@pytest.mark.parametrize("use", ["initial_state", "every_step"])
@pytest.mark.parametrize(("kind", "attributes"), KINDS)
def test_seq2seq_is_one_layer_after_another(rng, kind, attributes, use):
    inputs = draw(rng, kind, attributes, use)
    expected = by_loop(kind, attributes, use, MASK, inputs)
    inputs["x"][~MASK] = np.nan
    outputs = seq2seq(**inputs, **attributes, layer=kind, context_use=use, mask=MASK)
    assert len(outputs) == len(expected)
    for a, b in zip(outputs, expected, strict=True):
        assert a.shape == b.shape
        same(a, b)


@pytest.mark.parametrize("use", ["initial_state", "every_step"])
@pytest.mark.parametrize(("kind", "attributes"), KINDS)
def test_seq2seq_gradient_is_that_of_the_loop(rng, kind, attributes, use):
    inputs = draw(rng, kind, attributes, use)
    outputs, vjp = seq2seq_vjp(**inputs, **attributes, layer=kind, context_use=use, mask=MASK)
    cotangents = tuple(rng.standard_normal(y.shape) for y in outputs)
    found = vjp(*cotangents)
    assert not found["x"][~MASK].any()
    same_by_name(found, complex_step(lambda moved: by_loop(kind, attributes, use, MASK, moved), inputs, cotangents))


def test_lengths_are_a_mask_of_the_source(rng):
    inputs = draw(rng, "lstm", {}, "initial_state")
    lengths = np.array([4, 0, 2])
    by_lengths = seq2seq(**inputs, lengths=lengths)
    by_mask = seq2seq(**inputs, mask=np.arange(STEPS) < lengths[:, np.newaxis])
    for a, b in zip(by_lengths, by_mask, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("use", ["initial_state", "every_step"])
def test_without_a_source_the_decoder_begins_at_zero(rng, use):
    inputs = draw(rng, "lstm", {}, use)
    outputs, vjp = seq2seq_vjp(**inputs, context_use=use, lengths=np.zeros(BATCH, np.int64))
    none, vjp_of_none = seq2seq_vjp(**{**inputs, "x": inputs["x"][:, :0]}, context_use=use)
    cotangents = tuple(rng.standard_normal(y.shape) for y in outputs)
    gradients, of_none = vjp(*cotangents), vjp_of_none(*cotangents)
    for a, b in zip(outputs, none, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not gradients["encoder_W"].any()
    assert of_none["x"].shape == (BATCH, 0, FEATURES)
    for name in inputs.keys() - {"x"}:
        same(gradients[name], of_none[name])


def test_the_encoder_s_memory_reaches_the_decoder(rng):
    inputs = draw(rng, "lstm", {}, "initial_state")
    encoder, decoder = ({name: inputs[f"{part}_{name}"] for name in ("W", "R", "b")} for part in ("encoder", "decoder"))
    h = c = np.zeros((BATCH, UNITS))
    for t in range(STEPS):
        h, c = lstm_cell(inputs["x"][:, t], h, c, **encoder)
    first, _ = lstm_cell(inputs["z"][:, 0], h, c, **decoder)
    y, *_ = seq2seq(**inputs)
    same(y[:, 0], first)


def test_truncation_leaves_the_way_to_the_encoder_open(rng):
    # Where no step hands anything back to the step before it, the decoder's first one still does to the encoder's last.
    inputs = draw(rng, "lstm", {}, "initial_state")
    (y, h_n, c_n), vjp = seq2seq_vjp(**inputs, truncate=1)
    dy = np.zeros_like(y)
    dy[:, 0] = rng.standard_normal((BATCH, UNITS))
    gradients = vjp(dy, np.zeros_like(h_n), np.zeros_like(c_n))
    assert gradients["x"][:, -1].all()
    assert not gradients["x"][:, :-1].any()
    dy[:, 0], dy[:, 1] = 0, 1
    assert not vjp(dy, np.zeros_like(h_n), np.zeros_like(c_n))["encoder_W"].any()


@pytest.mark.parametrize("use", ["initial_state", "every_step"])
def test_seq2seq_of_half_precision_is_rounded_once(rng, use):
    inputs = {name: array.astype(np.float16) for name, array in draw(rng, "lstm", {}, use).items()}
    wide = {name: array.astype(np.float32) for name, array in inputs.items()}
    outputs, vjp = seq2seq_vjp(**inputs, context_use=use)
    expected, wide_vjp = seq2seq_vjp(**wide, context_use=use)
    for a, b in zip(outputs, expected, strict=True):
        assert a.dtype == np.float16
        np.testing.assert_array_equal(a, b.astype(np.float16))
    cotangents = tuple(rng.standard_normal(y.shape).astype(np.float16) for y in outputs)
    of_wide = wide_vjp(*(d.astype(np.float32) for d in cotangents))
    for name, gradient in vjp(*cotangents).items():
        np.testing.assert_array_equal(gradient, of_wide[name].astype(np.float16))


def test_seq2seq_of_an_empty_batch(rng):
    inputs = draw(rng, "lstm", {}, "every_step")
    inputs |= {"x": inputs["x"][:0], "z": inputs["z"][:0]}
    outputs, vjp = seq2seq_vjp(**inputs, context_use="every_step")
    assert [y.shape for y in outputs] == [(0, OUT, UNITS), (0, UNITS), (0, UNITS)]
    assert not vjp(*outputs)["decoder_W"].any()


def test_what_another_layer_has_is_refused(rng):
    with pytest.raises(CallError):
        seq2seq(**draw(rng, "lstm", {}, "initial_state"), encoder_b_rn=np.zeros(UNITS))


# context_vector


def context_by_loop(source, mask, inputs):
    contexts = []
    for h, valid in zip(inputs["h"], mask, strict=True):
        states = h[valid]
        seen = np.zeros(h.shape[1], h.dtype)
        if len(states):
            seen = sum(states) / len(states) if source == "projected_mean" else states[-1]
        contexts.append(seen if source == "last" else np.tanh(inputs["W"] @ seen + inputs["b"]))
    return (np.array(contexts),)


def draw_states(rng, source):
    inputs = {"h": rng.standard_normal((BATCH, STEPS, UNITS))}
    if source != "last":
        inputs |= {"W": rng.standard_normal((2, UNITS)), "b": rng.standard_normal(2)}
    return inputs


@pytest.mark.parametrize("source", ["last", "projected_last", "projected_mean"])
def test_context_vector(rng, source):
    inputs = draw_states(rng, source)
    expected = context_by_loop(source, MASK, inputs)
    cotangents = (rng.standard_normal(expected[0].shape),)
    gradients = complex_step(lambda moved: context_by_loop(source, MASK, moved), inputs, cotangents)
    inputs["h"][~MASK] = np.nan
    outputs, vjp = context_vector_vjp(**inputs, mask=MASK, source=source)
    same(outputs[0], expected[0])
    same_by_name(vjp(*cotangents), gradients)
    np.testing.assert_array_equal(context_vector(**inputs, mask=MASK, source=source)[0], outputs[0])


def test_the_last_state_is_returned_as_it_is(rng):
    h = rng.standard_normal((BATCH, STEPS, UNITS)).astype(np.float32)
    (context,) = context_vector(h, lengths=np.array([4, 0, 1]))
    np.testing.assert_array_equal(context, [h[0, 3], np.zeros(UNITS), h[2, 0]])
    assert context.dtype == np.float32


def test_the_context_of_no_step_is_the_projected_zero(rng):
    inputs = draw_states(rng, "projected_mean")
    inputs["h"] = inputs["h"][:, :0]
    for source in ("projected_last", "projected_mean"):
        (context,), vjp = context_vector_vjp(**inputs, source=source)
        same(context, np.tanh(np.broadcast_to(inputs["b"], (BATCH, 2))))
        gradients = vjp(np.ones_like(context))
        assert gradients["h"].shape == (BATCH, 0, UNITS)
        assert not gradients["W"].any()
        same(gradients["b"], BATCH * (1 - np.tanh(inputs["b"]) ** 2))
    (context,) = context_vector(inputs["h"])
    np.testing.assert_array_equal(context, np.zeros((BATCH, UNITS)))


def test_a_mean_of_half_precision_does_not_overflow():
    h = np.full((1, 3, 1), 60000, np.float16)
    one, none = np.full((1, 1), 2.0**-16, np.float16), np.zeros(1, np.float16)
    (context,) = context_vector(h, one, none, source="projected_mean")
    np.testing.assert_array_equal(context, np.tanh(np.float32(60000 * 2.0**-16)).astype(np.float16)[None, None])


def test_the_gradient_does_not_depend_on_what_became_of_the_context(rng):
    (context,), vjp = context_vector_vjp(**draw_states(rng, "projected_last"), source="projected_last")
    before = vjp(np.ones_like(context))
    context[...] = 9
    same_by_name(vjp(np.ones_like(context)), before)
