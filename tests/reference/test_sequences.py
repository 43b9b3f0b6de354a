"""Properties of every layer: empty inputs, padding, holes, arrays of any kind."""

import ml_dtypes
import numpy as np
import pytest

from rnnspec import reference
from rnnspec.spec import CallError

BATCH, STEPS, FEATURES, UNITS = 3, 5, 2, 4

LAYERS = [
    ("rnn", {}),
    ("rnn", {"activation": "relu"}),
    ("lstm", {}),
    ("lstm", {"coupled": True, "projection": True}),
    ("lstm", {"activations": ("relu", "tanh", "relu"), "clip": 0.5}),
    ("gru", {}),
    ("gru", {"reset": "before", "update": "admits"}),
]
MASK = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]], bool)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture(params=["forward", "reverse"])
def direction(request):
    return request.param


def draw(rng, layer, attributes, batch=BATCH, steps=STEPS):
    gates = {"rnn": 1, "gru": 3, "lstm": 3 if attributes.get("coupled") else 4}[layer]
    state = 3 if attributes.get("projection") else UNITS
    shapes = {
        "x": (batch, steps, FEATURES),
        "W": (gates, UNITS, FEATURES),
        "R": (gates, UNITS, state),
        "b": (gates, UNITS),
        "h0": (batch, state),
    }
    if layer == "lstm":
        shapes["c0"] = (batch, UNITS)
    if attributes.get("projection"):
        shapes["P"] = (state, UNITS)
    if layer == "gru" and attributes.get("reset") != "before":
        shapes["b_rn"] = (UNITS,)
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def run(rng, layer, inputs, attributes, **others):
    """Outputs, cotangents drawn for them, and the gradients."""
    outputs, vjp = getattr(reference, layer + "_vjp")(**inputs, **attributes, **others)
    cotangents = tuple(rng.standard_normal(output.shape).astype(output.dtype) for output in outputs)
    return outputs, cotangents, vjp(*cotangents)


def same(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_a_mask_takes_steps_out(rng, direction, layer, attributes):
    inputs = draw(rng, layer, attributes)
    function = getattr(reference, layer + "_vjp")
    outputs, (dy, *dfinal), gradients = run(rng, layer, inputs, attributes, mask=MASK, direction=direction)
    summed = {name: 0.0 for name in ("W", "R", "b", "P", "b_rn") if name in inputs}
    for k in range(BATCH):
        own = {name: inputs[name][k : k + 1] for name in ("h0", "c0") if name in inputs}
        alone = {**inputs, **own, "x": inputs["x"][k : k + 1, MASK[k]]}
        (y, *final), vjp = function(**alone, **attributes, direction=direction)
        same(outputs[0][k, MASK[k]], y[0])
        assert np.all(outputs[0][k, ~MASK[k]] == 0)
        for a, b in zip(outputs[1:], final, strict=True):
            same(a[k], b[0])
        expected = vjp(dy[k : k + 1, MASK[k]], *(d[k : k + 1] for d in dfinal))
        same(gradients["x"][k, MASK[k]], expected["x"][0])
        assert np.all(gradients["x"][k, ~MASK[k]] == 0)
        for name in own:
            same(gradients[name][k], expected[name][0])
        for name in summed:
            summed[name] = summed[name] + expected[name]
    for name, gradient in summed.items():
        same(gradients[name], gradient)


@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_lengths_are_a_mask(rng, direction, layer, attributes):
    inputs = draw(rng, layer, attributes)
    function = getattr(reference, layer)
    lengths = np.array([4, 0, 5])
    by_lengths = function(**inputs, **attributes, direction=direction, lengths=lengths)
    by_mask = function(**inputs, **attributes, direction=direction, mask=np.arange(STEPS) < lengths[:, np.newaxis])
    for a, b in zip(by_lengths, by_mask, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("padding", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_padding_changes_nothing(rng, direction, layer, attributes, padding):
    inputs = draw(rng, layer, attributes)
    function = getattr(reference, layer + "_vjp")
    outputs, cotangents, gradients = run(rng, layer, inputs, attributes, mask=MASK, direction=direction)
    x = np.where(MASK[:, :, np.newaxis], inputs["x"], padding)
    dy = np.where(MASK[:, :, np.newaxis], cotangents[0], padding)
    padded, vjp = function(**{**inputs, "x": x}, **attributes, mask=MASK, direction=direction)
    for a, b in zip(padded, outputs, strict=True):
        np.testing.assert_array_equal(a, b)
    for name, gradient in vjp(dy, *cotangents[1:]).items():
        np.testing.assert_array_equal(gradient, gradients[name])


@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_no_steps_keep_the_initial_states(rng, direction, layer, attributes):
    inputs = draw(rng, layer, attributes, steps=0)
    (y, *final), (_, *dfinal), gradients = run(rng, layer, inputs, attributes, direction=direction)
    assert y.shape == (BATCH, 0, inputs["h0"].shape[1])
    for name, state, d in zip(("h0", "c0"), final, dfinal, strict=False):
        np.testing.assert_array_equal(state, inputs[name])
        assert not np.shares_memory(state, inputs[name])
        np.testing.assert_array_equal(gradients[name], d)
        assert not np.shares_memory(gradients[name], d)
    for name in inputs.keys() - {"h0", "c0"}:
        assert gradients[name].shape == inputs[name].shape
        assert np.all(gradients[name] == 0)


@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_an_empty_batch_has_empty_outputs_and_zero_gradients(rng, direction, layer, attributes):
    inputs = draw(rng, layer, attributes, batch=0)
    outputs, _, gradients = run(rng, layer, inputs, attributes, direction=direction)
    assert all(output.shape[0] == 0 for output in outputs)
    for name, array in inputs.items():
        assert gradients[name].shape == array.shape
        assert np.all(gradients[name] == 0)


@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_absent_initial_states_are_zero_and_have_no_gradient(rng, layer, attributes):
    inputs = draw(rng, layer, attributes)
    states = {name: np.zeros_like(inputs.pop(name)) for name in ("h0", "c0") if name in inputs}
    absent, _, gradients = run(rng, layer, inputs, attributes)
    present = getattr(reference, layer)(**inputs, **states, **attributes)
    assert gradients.keys() == inputs.keys()
    for a, b in zip(absent, present, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_a_sequence_is_its_cell_step_by_step(rng, layer, attributes):
    inputs = draw(rng, layer, attributes)
    y, *final = getattr(reference, layer)(**inputs, **attributes)
    x, *states = (inputs.pop(name) for name in ("x", "h0", "c0") if name in inputs)
    for t in range(STEPS):
        before = dict(zip(("h_prev", "c_prev"), states, strict=False))
        states = getattr(reference, layer + "_cell")(x=x[:, t], **before, **inputs, **attributes)
        same(y[:, t], states[0])
    for a, b in zip(final, states, strict=True):
        same(a, b)


def strided(array):
    """Read-only array of the same entries, with no axis contiguous and one running backwards."""
    big = np.zeros([2 * size for size in reversed(array.shape)], array.dtype)
    view = big[tuple(slice(None, None, 2) for _ in array.shape)].T[::-1]
    view[...] = array
    view.flags.writeable = False
    return view


@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_strided_read_only_inputs_are_as_good(rng, layer, attributes):
    inputs = draw(rng, layer, attributes)
    outputs, cotangents, gradients = run(rng, layer, inputs, attributes, mask=MASK)
    function = getattr(reference, layer + "_vjp")
    again, vjp = function(**{k: strided(v) for k, v in inputs.items()}, **attributes, mask=strided(MASK))
    for a, b in zip(again, outputs, strict=True):
        same(a, b)
    for name, gradient in vjp(*map(strided, cotangents)).items():
        same(gradient, gradients[name])


@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_the_vjp_can_be_called_again_whatever_became_of_the_outputs(rng, layer, attributes):
    inputs = draw(rng, layer, attributes)
    outputs, vjp = getattr(reference, layer + "_vjp")(**inputs, **attributes)
    cotangents = tuple(rng.standard_normal(output.shape) for output in outputs)
    first = vjp(*cotangents)
    for output in outputs:
        output[...] = 7
    second = vjp(*cotangents)
    for name, gradient in first.items():
        np.testing.assert_array_equal(gradient, second[name])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_two_byte_floats_are_float32_rounded_once(rng, layer, attributes, dtype):
    narrow = {name: array.astype(dtype) for name, array in draw(rng, layer, attributes).items()}
    wide = {name: array.astype(np.float32) for name, array in narrow.items()}
    outputs, cotangents, gradients = run(rng, layer, narrow, attributes)
    expected, vjp = getattr(reference, layer + "_vjp")(**wide, **attributes)
    wide_gradients = vjp(*(cotangent.astype(np.float32) for cotangent in cotangents))
    for a, b in zip(outputs, expected, strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(a, b.astype(dtype))
    for name, gradient in gradients.items():
        assert gradient.dtype == dtype
        np.testing.assert_array_equal(gradient, wide_gradients[name].astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("layer", "attributes"), LAYERS)
def test_types_are_kept(rng, layer, attributes, dtype):
    inputs = {name: array.astype(dtype) for name, array in draw(rng, layer, attributes).items()}
    outputs, _, gradients = run(rng, layer, inputs, attributes, mask=MASK)
    assert {array.dtype for array in (*outputs, *gradients.values())} == {np.dtype(dtype)}


def test_a_call_that_breaks_the_specification_is_refused(rng):
    inputs = draw(rng, "lstm", {})
    with pytest.raises(CallError, match="h0"):
        reference.lstm(**{**inputs, "h0": inputs["h0"][:, 1:]})
