"""The reference, judged by what shares no code with it: the literal equations, and complex-step derivatives."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from rnnspec import reference
from rnnspec.spec import evaluate, evaluate_gradient

OPERATIONS = ["rnn_cell", "rnn", "lstm_cell", "lstm", "gru_cell", "gru"]
LAYERS = ["rnn", "lstm", "gru"]
STATES = {"rnn": {"h0": "h_prev"}, "lstm": {"h0": "h_prev", "c0": "c_prev"}, "gru": {"h0": "h_prev"}}

Fixture = Callable[..., Any]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("name", OPERATIONS)
def test_values_are_those_of_the_literal_equations(
    random_call: Fixture, assert_agree: Fixture, name: str, seed: int
) -> None:
    call = random_call(name, seed)
    assert_agree(call.outputs(), evaluate(name, call.inputs, call.attributes))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_are_those_of_the_literal_equations(
    random_call: Fixture, assert_agree: Fixture, name: str, seed: int
) -> None:
    call = random_call(name, seed)
    outputs, gradients = call.outputs_and_gradients()
    assert_agree(outputs, call.outputs(), 0)
    assert_agree(gradients, evaluate_gradient(name, call.inputs, call.cotangents, call.attributes))


@pytest.mark.parametrize("seed", range(16))
@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_are_those_of_the_complex_step(
    random_call: Fixture, complex_step: Fixture, assert_agree: Fixture, name: str, seed: int
) -> None:
    call = random_call(name, seed)
    _, gradients = call.outputs_and_gradients()
    assert_agree(gradients, complex_step(call, evaluate))


@pytest.mark.parametrize("edge", ["no steps", "no sequences", "lengths of 0", "nothing valid"])
@pytest.mark.parametrize("name", LAYERS)
def test_where_there_is_nothing_to_do_the_literal_equations_still_hold(
    random_call: Fixture, assert_agree: Fixture, name: str, edge: str
) -> None:
    call = random_call(name, 1, steps=0 if edge == "no steps" else None, full=True)
    if edge == "no sequences":
        own = {"x", *STATES[name]}
        inputs = {key: array[:0] if key in own else array for key, array in call.inputs.items()}
        call = type(call)(name, inputs, call.attributes, tuple(d[:0] for d in call.cotangents))
    if edge == "lengths of 0":
        call.inputs["lengths"] = np.zeros(len(call.inputs["x"]), np.int64)
    if edge == "nothing valid":
        call.inputs["mask"] = np.zeros(call.inputs["x"].shape[:2], np.bool_)
    outputs, gradients = call.outputs_and_gradients()
    assert_agree(outputs, evaluate(name, call.inputs, call.attributes), 0)
    assert_agree(gradients, evaluate_gradient(name, call.inputs, call.cotangents, call.attributes), 0)


@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu"])
@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("projection", [False, True])
def test_every_attribute_of_lstm_has_the_gradient_of_the_complex_step(
    random_call: Fixture,
    complex_step: Fixture,
    assert_agree: Fixture,
    activation: str,
    clip: float | None,
    coupled: bool,
    projection: bool,
) -> None:
    call = random_call(
        "lstm", 1, full=True, activations=(activation,) * 3, clip=clip, coupled=coupled, projection=projection
    )
    _, gradients = call.outputs_and_gradients()
    assert_agree(gradients, complex_step(call, evaluate))


@pytest.mark.parametrize("reset", ["before", "after"])
@pytest.mark.parametrize("update", ["keeps", "admits"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_every_attribute_of_gru_has_the_gradient_of_the_complex_step(
    random_call: Fixture, complex_step: Fixture, assert_agree: Fixture, reset: str, update: str, direction: str
) -> None:
    call = random_call("gru", 1, full=True, reset=reset, update=update, direction=direction)
    _, gradients = call.outputs_and_gradients()
    assert_agree(gradients, complex_step(call, evaluate))


@pytest.mark.parametrize("name", LAYERS)
def test_a_long_sequence_has_the_values_and_gradients_of_the_literal_equations(
    random_call: Fixture, assert_agree: Fixture, name: str
) -> None:
    call = random_call(name, 1, steps=70, full=True).with_floats(lambda array: array / 2)
    outputs, gradients = call.outputs_and_gradients()
    assert_agree(outputs, evaluate(name, call.inputs, call.attributes))
    assert_agree(gradients, evaluate_gradient(name, call.inputs, call.cotangents, call.attributes))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(np.float32, 500 * 2.0**-24), (np.float16, 8 * 2.0**-11), (ml_dtypes.bfloat16, 8 * 2.0**-8)],
    ids=["float32", "float16", "bfloat16"],
)
def test_other_types_are_kept_and_agree_with_float64(
    random_call: Fixture, assert_agree: Fixture, name: str, seed: int, dtype: Any, tolerance: float
) -> None:
    # Without relu and clip, whose bends make a gradient jump where rounding moves an argument across.
    smooth = {"activations": ("logistic", "tanh", "logistic"), "clip": None} if name.startswith("lstm") else {}
    smooth |= {"activation": "tanh"} if name.startswith("rnn") else {}
    narrow = random_call(name, seed, **smooth).with_floats(lambda array: (array / 2).astype(dtype))
    wide = narrow.with_floats(lambda array: array.astype(np.float64))
    (outputs, gradients), (wide_outputs, wide_gradients) = narrow.outputs_and_gradients(), wide.outputs_and_gradients()
    assert {array.dtype for array in (*outputs, *gradients.values())} == {np.dtype(dtype)}
    assert {array.dtype for array in (*wide_outputs, *wide_gradients.values())} == {np.dtype(np.float64)}
    assert_agree(outputs, wide_outputs, tolerance)
    assert_agree(gradients, wide_gradients, tolerance)


def _strided(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same values, with gaps between them and the axes in the other order."""
    spread = np.full([2 * length for length in reversed(array.shape)], np.nan, array.dtype)
    view = spread[tuple(slice(None, None, 2) for _ in array.shape)].T
    view[...] = array
    return view


def _read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("laid_out", [_strided, _read_only])
def test_the_layout_of_the_inputs_does_not_matter(
    random_call: Fixture, assert_agree: Fixture, name: str, seed: int, laid_out: Fixture
) -> None:
    call = random_call(name, seed)
    outputs, gradients = call.outputs_and_gradients()
    other_outputs, other_gradients = call.with_floats(laid_out).outputs_and_gradients()
    assert_agree(other_outputs, outputs, 1e-14)
    assert_agree(other_gradients, gradients, 1e-13)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_and_cotangents_are_not_modified(random_call: Fixture, name: str, seed: int, dtype: Any) -> None:
    call = random_call(name, seed).with_floats(lambda array: array.astype(dtype))
    arrays = (*call.inputs.values(), *call.cotangents)
    before = [array.tobytes() for array in arrays]
    call.outputs()
    call.outputs_and_gradients()
    assert [array.tobytes() for array in arrays] == before


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", OPERATIONS)
def test_results_do_not_share_memory_with_inputs_or_each_other(random_call: Fixture, name: str, seed: int) -> None:
    call = random_call(name, seed)
    outputs, gradients = call.outputs_and_gradients()
    arrays = [*call.inputs.values(), *call.cotangents, *outputs, *gradients.values()]
    results = len(outputs) + len(gradients)
    for place, array in enumerate(arrays[-results:], start=len(arrays) - results):
        assert not any(np.shares_memory(array, other) for k, other in enumerate(arrays) if k != place)


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_vjp_may_be_taken_twice(random_call: Fixture, assert_agree: Fixture, name: str) -> None:
    call = random_call(name, 1)
    _, vjp = getattr(reference, f"{name}_vjp")(**call.inputs, **call.attributes)
    assert_agree(vjp(*call.cotangents), vjp(*call.cotangents), 0)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", LAYERS)
def test_padding_is_never_read(random_call: Fixture, assert_agree: Fixture, name: str, seed: int) -> None:
    call = random_call(name, 8 * seed + 1, output="sequence")
    batch, steps = call.inputs["x"].shape[:2]
    inputs = {key: array for key, array in call.inputs.items() if key not in ("lengths", "mask")}
    mask = np.random.default_rng(seed).random((batch, steps)) < 0.6
    clean = type(call)(name, {**inputs, "mask": mask}, call.attributes, call.cotangents)
    x, dy = inputs["x"].copy(), call.cotangents[0].copy()
    x[~mask] = dy[~mask] = np.nan
    spoilt = type(call)(name, {**clean.inputs, "x": x}, call.attributes, (dy, *call.cotangents[1:]))
    for found, wanted in zip(spoilt.outputs_and_gradients(), clean.outputs_and_gradients(), strict=True):
        assert_agree(found, wanted, 0)
    outputs, gradients = spoilt.outputs_and_gradients()
    assert not outputs[0][~mask].any()
    assert not gradients["x"][~mask].any()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_one_step_is_its_cell(
    random_call: Fixture, assert_agree: Fixture, name: str, seed: int, direction: str
) -> None:
    call = random_call(f"{name}_cell", seed)
    states = STATES[name]
    inputs = {initial: call.inputs[before] for initial, before in states.items()}
    inputs |= {key: array for key, array in call.inputs.items() if key not in states.values()}
    inputs["x"] = call.inputs["x"][:, np.newaxis]
    dh, *dc = call.cotangents
    attributes = {**call.attributes, "direction": direction}
    layer = type(call)(name, inputs, attributes, (dh[:, np.newaxis], np.zeros_like(dh), *dc))
    (y, h_n, *c_n), gradients = layer.outputs_and_gradients()
    cell_outputs, cell_gradients = call.outputs_and_gradients()
    assert_agree((y[:, 0], *c_n), cell_outputs, 1e-14)
    assert_agree((h_n,), (y[:, 0],), 0)
    gradients["x"] = gradients["x"][:, 0]
    renamed = {states.get(key, key): gradient for key, gradient in gradients.items()}
    assert_agree(renamed, cell_gradients, 1e-13)


def test_coupled_gates_are_an_uncoupled_lstm_whose_forget_gate_has_the_negated_argument(
    random_call: Fixture, assert_agree: Fixture
) -> None:
    # 1 - logistic(a) = logistic(-a)
    call = random_call("lstm", 1, full=True, activations=("logistic", "tanh", "tanh"), coupled=True)
    uncoupled = {
        key: np.stack((array[0], -array[0], array[1], array[2])) if key in ("W", "R", "b", "b_R") else array
        for key, array in call.inputs.items()
    }
    assert_agree(reference.lstm(**uncoupled, **{**call.attributes, "coupled": False}), call.outputs(), 1e-14)


def test_projection_by_the_identity_is_no_projection(random_call: Fixture, assert_agree: Fixture) -> None:
    call = random_call("lstm", 1, full=True, projection=False)
    identity = np.eye(call.inputs["W"].shape[1])
    assert_agree(
        reference.lstm(**call.inputs, P=identity, **{**call.attributes, "projection": True}), call.outputs(), 1e-14
    )


def test_a_clip_beyond_every_argument_is_no_clip(random_call: Fixture, assert_agree: Fixture) -> None:
    call = random_call("lstm", 1, full=True, clip=None)
    clipped = type(call)("lstm", call.inputs, {**call.attributes, "clip": 1e6}, call.cotangents)
    for found, wanted in zip(clipped.outputs_and_gradients(), call.outputs_and_gradients(), strict=True):
        assert_agree(found, wanted, 1e-14)


def test_the_update_gate_that_admits_is_the_one_that_keeps_with_the_negated_argument(
    random_call: Fixture, assert_agree: Fixture
) -> None:
    # 1 less a logistic function is the function of the negated argument; no other function has that.
    call = random_call("gru", 1, full=True, update="keeps", recurrent_activation="logistic")
    sign = np.array([1.0, -1.0, 1.0])
    of_gates = "W", "R", "b", "b_R"
    negated = {key: (array.T * sign).T if key in of_gates else array for key, array in call.inputs.items()}
    assert_agree(reference.gru(**negated, **{**call.attributes, "update": "admits"}), call.outputs(), 1e-14)
