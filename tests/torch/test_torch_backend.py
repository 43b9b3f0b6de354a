"""The torch adapter against plain loops of the equations, its refusals, its errors and its scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnspec.backends import Call, Unsupported, open_backend  # noqa: E402
from rnnspec.backends.torch import TorchBackend, from_spec, to_spec  # noqa: E402

B, T, D, H, S = 3, 4, 2, 5, 3
LENGTHS = {"full": None, "ragged": [2, 4, 1], "some empty": [0, 3, 4], "all empty": [0, 0, 0]}
LAYERS = {
    "rnn": ("rnn", {"activation": "tanh"}),
    "rnn relu": ("rnn", {"activation": "relu"}),
    "lstm": ("lstm", {"projection": False}),
    "lstm projected": ("lstm", {"projection": True}),
    "gru": ("gru", {"update": "keeps"}),
    "gru admits": ("gru", {"update": "admits"}),
}
LSTM_DEFAULTS = {"activations": ("logistic", "tanh", "tanh"), "clip": None, "coupled": False, "gradient": "full"}
UNROLLING_DEFAULTS = {"direction": "forward", "truncate": None, "recurrent_dropout": None}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """So small are the arrays that threads only wait for one another, on a busy machine for long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_call(kind: str, *, cell: bool = False, lengths: list[int] | None = None, seed: int = 0, **more: Any) -> Call:
    family, attributes = LAYERS[kind]
    rng = np.random.default_rng(seed)
    state = S if attributes.get("projection") else H
    shapes = {"x": (B, D) if cell else (B, T, D), "W": (GATES[family], H, D), "R": (GATES[family], H, state)}
    shapes |= {"b": (GATES[family], H), "h_prev" if cell else "h0": (B, state)}
    if family == "lstm":
        attributes = LSTM_DEFAULTS | attributes
        shapes["c_prev" if cell else "c0"] = (B, H)
    if family == "gru":
        attributes = {"reset": "after"} | attributes
        shapes["b_rn"] = (H,)
    if state != H:
        shapes["P"] = (S, H)
    inputs = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    if lengths is not None:
        inputs["lengths"] = np.array(lengths)
    if not cell:
        attributes = UNROLLING_DEFAULTS | attributes
    return Call(family + "_cell" * cell, inputs, attributes | more)


def changed(call: Call, attributes: dict[str, Any] | None = None, **inputs: Any) -> Call:
    merged = {name: array for name, array in {**call.inputs, **inputs}.items() if array is not None}
    return Call(call.operation, merged, {**call.attributes, **(attributes or {})})


def cotangents_for(call: Call) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    return tuple(rng.normal(size=output.shape).astype(output.dtype) for output in TorchBackend().run(call))


def logistic(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def step(family: str, x: np.ndarray, states: tuple[np.ndarray, ...], i: dict[str, Any], a: dict[str, Any]) -> Any:
    """One step of one sequence, as the equations have it."""
    W, R, b, h = i["W"], i["R"], i["b"], states[0]
    if family == "rnn":
        argument = W[0] @ x + R[0] @ h + b[0]
        return (np.tanh(argument) if a["activation"] == "tanh" else np.maximum(argument, 0),)
    if family == "lstm":
        gates = W @ x + R @ h + b
        c = logistic(gates[1]) * states[1] + logistic(gates[0]) * np.tanh(gates[2])
        h = logistic(gates[3]) * np.tanh(c)
        return (i["P"] @ h if "P" in i else h), c
    r, z = logistic(W[:2] @ x + R[:2] @ h + b[:2])
    n = np.tanh(W[2] @ x + b[2] + r * (R[2] @ h + i["b_rn"]))
    return (z * h + (1 - z) * n if a["update"] == "keeps" else (1 - z) * h + z * n,)


def loop(call: Call) -> list[np.ndarray]:
    """Outputs of a layer by plain loops."""
    i, a = call.inputs, call.attributes
    counts = i.get("lengths", [T] * B)
    finals = [np.array(i[name]) for name in ("h0", "c0") if name in i]
    y = np.zeros((B, T, finals[0].shape[1]))
    for row, count in enumerate(counts):
        states = tuple(final[row] for final in finals)
        for t in range(count) if a["direction"] == "forward" else reversed(range(count)):
            states = step(call.operation, i["x"][row, t], states, i, a)
            y[row, t] = states[0]
        for final, state in zip(finals, states, strict=True):
            final[row] = state
    return [y, *finals]


every_layer = pytest.mark.parametrize("kind", LAYERS)
every_direction = pytest.mark.parametrize("direction", ["forward", "reverse"])
every_raggedness = pytest.mark.parametrize("ragged", LENGTHS)


# Values and gradients.


@every_layer
@every_direction
@every_raggedness
def test_layers_follow_the_equations(kind: str, direction: str, ragged: str) -> None:
    call = make_call(kind, lengths=LENGTHS[ragged], direction=direction)
    for got, expected in zip(TorchBackend().run(call), loop(call), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "lstm projected"])
def test_cells_follow_the_equations(kind: str) -> None:
    call = make_call(kind, cell=True)
    family, attributes = LAYERS[kind]
    before = [call.inputs[name] for name in ("h_prev", "c_prev") if name in call.inputs]
    for row in range(B):
        states = tuple(state[row] for state in before)
        expected = step(family, call.inputs["x"][row], states, dict(call.inputs), attributes)
        for got, wanted in zip(TorchBackend().run(call), expected, strict=True):
            np.testing.assert_allclose(got[row], wanted, rtol=1e-12, atol=1e-13)


@every_layer
@every_direction
@every_raggedness
def test_gradients_are_the_slopes_of_the_outputs(kind: str, direction: str, ragged: str) -> None:
    call = make_call(kind, lengths=LENGTHS[ragged], direction=direction)
    cotangents = cotangents_for(call)
    gradients = TorchBackend().gradients(call, cotangents)
    assert set(gradients) == set(call.inputs) - {"lengths"}
    rng, small = np.random.default_rng(2), 1e-6
    for name, gradient in gradients.items():
        along = rng.normal(size=gradient.shape)
        ends = []
        for sign in (1, -1):
            outputs = loop(changed(call, **{name: call.inputs[name] + sign * small * along}))
            ends.append(sum(np.sum(output * seed) for output, seed in zip(outputs, cotangents, strict=True)))
        np.testing.assert_allclose(np.sum(gradient * along), (ends[0] - ends[1]) / (2 * small), rtol=1e-6, atol=1e-7)


@every_layer
@every_direction
@pytest.mark.parametrize("ragged", ["ragged", "some empty", "all empty"])
def test_padding_never_matters(kind: str, direction: str, ragged: str) -> None:
    backend, call = TorchBackend(), make_call(kind, lengths=LENGTHS[ragged], direction=direction)
    padding = np.arange(T) >= call.inputs["lengths"][:, None]
    x = call.inputs["x"].copy()
    x[padding] = np.nan
    garbled = changed(call, x=x)
    cotangents = cotangents_for(call)
    for got, expected in zip(backend.run(garbled), backend.run(call), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert (backend.run(garbled)[0][padding] == 0).all()
    gradients = backend.gradients(garbled, cotangents)
    for name, expected in backend.gradients(call, cotangents).items():
        np.testing.assert_array_equal(gradients[name], expected)
    assert (gradients["x"][padding] == 0).all()


@every_layer
@every_direction
def test_a_mask_padded_at_the_right_is_lengths(kind: str, direction: str) -> None:
    by_lengths = make_call(kind, lengths=[0, 3, 4], direction=direction)
    mask = np.arange(T) < by_lengths.inputs["lengths"][:, None]
    by_mask = changed(by_lengths, lengths=None, mask=mask)
    for got, expected in zip(TorchBackend().run(by_mask), TorchBackend().run(by_lengths), strict=True):
        np.testing.assert_array_equal(got, expected)


@every_layer
def test_absent_states_are_zero(kind: str) -> None:
    call = make_call(kind, lengths=[2, 0, 4])
    zeros = {name: np.zeros_like(call.inputs[name]) for name in ("h0", "c0") if name in call.inputs}
    absent = changed(call, **dict.fromkeys(zeros))
    for got, expected in zip(TorchBackend().run(absent), TorchBackend().run(changed(call, **zeros)), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert set(TorchBackend().gradients(absent, cotangents_for(absent))) == set(absent.inputs) - {"lengths"}


@every_layer
@every_direction
def test_an_empty_batch_has_gradients_of_zero(kind: str, direction: str) -> None:
    call = make_call(kind, direction=direction)
    empty = {name: call.inputs[name][:0] for name in ("x", "h0", "c0") if name in call.inputs}
    for more in ({}, {"lengths": np.zeros(0, np.int64)}):
        none = changed(call, **empty, **more)
        assert TorchBackend().run(none)[0].shape[:2] == (0, T)
        gradients = TorchBackend().gradients(none, cotangents_for(none))
        assert all((gradient == 0).all() for gradient in gradients.values())


# Number types.


@pytest.mark.parametrize("cell", [False, True], ids=["layer", "cell"])
@pytest.mark.parametrize("dtype", TorchBackend().dtypes())
@every_layer
def test_every_dtype_computes_and_differentiates(kind: str, dtype: str, cell: bool) -> None:
    if cell and kind == "lstm projected":
        pytest.skip("torch's cell has no projection")
    wide = make_call(kind, cell=cell, lengths=None if cell else [2, 0, 4])
    native = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    narrow = changed(wide, **{name: array.astype(native) for name, array in wide.inputs.items() if name != "lengths"})
    wide = changed(narrow, **{name: narrow.inputs[name].astype(np.float64) for name in narrow.float_inputs})
    eps = 30 * float(ml_dtypes.finfo(native).eps)
    for got, expected in zip(TorchBackend().run(narrow), TorchBackend().run(wide), strict=True):
        assert got.dtype == native
        np.testing.assert_allclose(got.astype(np.float64), expected, rtol=0, atol=eps * max(1, np.abs(expected).max()))
    cotangents = cotangents_for(narrow)
    wide_gradients = TorchBackend().gradients(wide, tuple(c.astype(np.float64) for c in cotangents))
    for name, got in TorchBackend().gradients(narrow, cotangents).items():
        assert got.dtype == native
        expected = wide_gradients[name]
        np.testing.assert_allclose(got.astype(np.float64), expected, rtol=0, atol=eps * max(1, np.abs(expected).max()))


def test_bfloat16_goes_there_and_back_bit_for_bit() -> None:
    bits = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    backend = TorchBackend()
    tensor = backend.to_native(bits.view(ml_dtypes.bfloat16))
    assert tensor.dtype == torch.bfloat16
    np.testing.assert_array_equal(backend.to_numpy(tensor).view(np.uint16), bits)
    np.testing.assert_array_equal(backend.to_numpy(tensor.T).view(np.uint16), bits.T)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "bool", ml_dtypes.bfloat16])
def test_conversions_copy(dtype: Any) -> None:
    array = np.zeros((2, 3), dtype)[::-1, ::2]
    array.flags.writeable = False
    backend = TorchBackend()
    tensor = backend.to_native(array)
    back = backend.to_numpy(tensor)
    back[...] = 1
    assert back.dtype == array.dtype
    assert (backend.to_numpy(tensor) == 0).all()
    tensor[...] = 1
    assert (array == 0).all()


# Refusals and bad input.


def refusals() -> dict[str, tuple[Call, str]]:
    rnn, lstm, gru = make_call("rnn"), make_call("lstm"), make_call("gru")
    calls: dict[str, tuple[Call, str]] = {}
    for name, call in {"rnn": rnn, "rnn_cell": make_call("rnn", cell=True)}.items():
        calls[f"{name} logistic"] = changed(call, {"activation": "logistic"}), "nonlinearity"
    for name, call in {"lstm": lstm, "lstm_cell": make_call("lstm", cell=True)}.items():
        calls[f"{name} activations"] = changed(call, {"activations": ("logistic", "tanh", "relu")}), "activations"
        calls[f"{name} clip"] = changed(call, {"clip": 3.0}), "clip"
        calls[f"{name} memory's gradient alone"] = changed(call, {"gradient": "cell_only"}), "gradient"
        calls[f"{name} coupled"] = changed(call, {"coupled": True}, W=call.inputs["W"][:3]), "coupled"
    for name, call in {"gru": gru, "gru_cell": make_call("gru", cell=True)}.items():
        calls[f"{name} reset before"] = changed(call, {"reset": "before"}, b_rn=None), "after the product"
    calls["lstm_cell projection"] = make_call("lstm projected", cell=True), "projection"
    wide = {"P": np.ones((H, H)), "R": np.ones((4, H, H)), "h0": np.ones((B, H))}
    calls["projection to as many units"] = changed(make_call("lstm projected"), **wide), "proj_size"
    mask = np.ones((B, T), bool)
    mask[1, 0] = False
    calls["left padding"] = changed(gru, mask=mask), "left padding"
    holes = np.ones((B, T), bool)
    holes[1, 2] = False
    calls["holes"] = changed(gru, mask=holes), "holes"
    for name, call in {"rnn": rnn, "lstm": lstm, "gru": gru}.items():
        calls[f"{name} truncate"] = changed(call, {"truncate": 2}), "truncate"
        keep = np.ones((B, H), bool)
        calls[f"{name} dropout"] = changed(call, {"recurrent_dropout": 0.5}, recurrent_keep=keep), "dropout"
        calls[f"{name} T = 0"] = changed(call, x=np.zeros((B, 0, D))), "T = 0"
        calls[f"{name} T = 0 with lengths"] = changed(call, x=np.zeros((B, 0, D)), lengths=np.zeros(B, int)), "T = 0"
    return calls


@pytest.mark.parametrize("name", refusals())
def test_what_torch_lacks_is_refused_with_the_reason(name: str) -> None:
    call, reason = refusals()[name]
    with pytest.raises(Unsupported, match=reason):
        TorchBackend().run(call)
    assert TorchBackend().script(call) is None


def widened(array: np.ndarray, axis: int) -> np.ndarray:
    return np.concatenate([array, np.take(array, [0], axis)], axis)


def bad_calls() -> dict[str, Call]:
    """Calls in float64; one float32 array among them is an error."""
    bad = {}
    every = {kind: make_call(kind) for kind in LAYERS}
    every |= {f"{kind} ragged": make_call(kind, lengths=[2, 4, 1]) for kind in LAYERS}
    every |= {f"{kind} some empty": make_call(kind, lengths=[2, 0, 1]) for kind in LAYERS}
    every |= {f"{kind} cell": make_call(kind, cell=True) for kind in LAYERS if kind != "lstm projected"}
    for kind, call in every.items():
        for name, array in call.inputs.items():
            if name == "lengths":
                continue
            for axis in range(array.ndim):
                if (name, axis) == ("x", 1) and array.ndim == 3:
                    continue  # another T is not an error
                bad[f"{kind}: {name} longer on axis {axis}"] = changed(call, **{name: widened(array, axis)})
                if axis or array.ndim == 1:
                    bad[f"{kind}: {name} of 1 on axis {axis}"] = changed(call, **{name: array.take([0], axis)})
            bad[f"{kind}: {name} of lower rank"] = changed(call, **{name: array[0]})
            bad[f"{kind}: {name} of higher rank"] = changed(call, **{name: array[None]})
            bad[f"{kind}: {name} float32"] = changed(call, **{name: array.astype(np.float32)})
            bad[f"{kind}: {name} int64"] = changed(call, **{name: array.astype(np.int64)})
        integers = {name: call.inputs[name].astype(np.int64) for name in call.float_inputs}
        bad[f"{kind}: all int64"] = changed(call, **integers)
    for kind in LAYERS:
        call = make_call(kind)
        for what, lengths in {
            "beyond T": [2, T + 1, 1],
            "negative": [2, -1, 1],
            "float": [2.0, 1.0, 1.0],
            "bool": [True, False, True],
            "int32": np.array([2, 1, 1], np.int32),
            "too few": [2, 1],
            "too many": [2, 1, 1, 1],
            "of rank 2": [[2, 1, 1]],
        }.items():
            bad[f"{kind}: lengths {what}"] = changed(call, lengths=np.array(lengths))
        ones = np.ones((B, T), bool)
        bad[f"{kind}: integer mask"] = changed(call, mask=ones.astype(np.int64))
        bad[f"{kind}: float mask"] = changed(call, mask=ones.astype(np.float64))
        bad[f"{kind}: mask of too few steps"] = changed(call, mask=ones[:, :-1])
        bad[f"{kind}: mask of too few rows"] = changed(call, mask=ones[:1])
        bad[f"{kind}: mask of rank 1"] = changed(call, mask=ones[0])
        bad[f"{kind}: lengths and mask"] = changed(call, lengths=np.full(B, T), mask=ones)
    for kind in ("rnn", "lstm", "gru"):
        bad[f"{kind}: recurrent_keep without dropout"] = changed(make_call(kind), recurrent_keep=np.ones((B, H), bool))
    bad["lstm: unknown gradient"] = make_call("lstm", gradient="half")
    bad["rnn: unbatched"] = changed(make_call("rnn"), x=np.ones((T, D)), h0=np.ones(H))
    bad["rnn: unbatched without state"] = changed(make_call("rnn"), x=np.ones((T, D)), h0=None)
    bad["rnn: unknown direction"] = make_call("rnn", direction="sideways")
    bad["gru: unknown update"] = make_call("gru", update="ignores")
    bad["gru: without b_rn"] = changed(make_call("gru"), b_rn=None)
    bad["lstm: P without projection"] = changed(make_call("lstm"), P=np.ones((S, H)))
    bad["lstm: projection without P"] = changed(make_call("lstm projected"), P=None)
    return bad


BAD_CALLS = bad_calls()


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_input_is_an_error_never_a_number(name: str) -> None:
    call = BAD_CALLS[name]
    swap = {np.dtype(np.float64): np.float32, np.dtype(np.float32): np.float64}
    # Torch has other kernels for float32 (oneDNN's), with other checks.
    swapped = {name: array.astype(swap.get(array.dtype, array.dtype)) for name, array in call.inputs.items()}
    for each in (call, changed(call, **swapped)):
        with pytest.raises((ValueError, RuntimeError), match=r"(?i)expected|must|inconsistent|cannot be multiplied"):
            TorchBackend().run(each)


# Weights.


@pytest.mark.parametrize("update", ["keeps", "admits"])
@pytest.mark.parametrize("suffix", ["", "_l0"])
@every_layer
def test_weights_go_there_and_back(kind: str, suffix: str, update: str) -> None:
    family, _ = LAYERS[kind]
    if family != "gru" and update == "admits":
        pytest.skip("an attribute of the GRU")
    call = make_call(kind)
    arrays = {name: torch.tensor(call.inputs[name]) for name in ("W", "R", "b", "b_rn", "P") if name in call.inputs}
    parameters = from_spec(family, **arrays, update=update, suffix=suffix)
    back = to_spec(family, parameters, update=update, suffix=suffix)
    assert set(back) == set(arrays)
    assert all(torch.equal(back[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("module", [torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU])
def test_a_layers_own_weights_give_its_outputs(module: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = module(D, H, batch_first=True, dtype=torch.float64)
    for parameter in layer.parameters():
        parameter.data.normal_(generator=generator)
    family = module.__name__.lower()
    call = make_call(family)
    arrays = to_spec(family, layer.state_dict(), suffix="_l0")
    y, *_ = TorchBackend().run(changed(call, **{name: array.numpy() for name, array in arrays.items()}))
    states = [torch.tensor(call.inputs[name])[None] for name in ("h0", "c0") if name in call.inputs]
    with torch.no_grad():
        expected, _ = layer(torch.tensor(call.inputs["x"]), tuple(states) if len(states) > 1 else states[0])
    np.testing.assert_allclose(y, expected.numpy(), rtol=1e-12, atol=1e-13)


def test_weights_are_differentiable() -> None:
    arrays = [torch.ones(shape, requires_grad=True) for shape in ((3, H, D), (3, H, H), (3, H), (H,))]
    total = sum(parameter.sum() for parameter in from_spec("gru", *arrays, update="admits").values())
    for gradient in torch.autograd.grad(total, arrays):
        expected = 1.0 if gradient.dim() == 1 else [1.0, -1.0, 1.0]
        np.testing.assert_array_equal(gradient.numpy().reshape(len(gradient), -1).T[0], expected)


# Scripts.


def scripted_calls() -> dict[str, Call]:
    calls = {
        f"{kind} {direction} {ragged}": make_call(kind, lengths=LENGTHS[ragged], direction=direction)
        for kind in LAYERS
        for direction in ("forward", "reverse")
        for ragged in LENGTHS
    }
    calls |= {f"{kind} cell": make_call(kind, cell=True) for kind in LAYERS if kind != "lstm projected"}
    calls["masked"] = changed(make_call("gru"), mask=np.arange(T) < np.array([[2], [4], [0]]))
    calls["without states"] = changed(make_call("lstm projected", lengths=[2, 0, 1]), h0=None, c0=None)
    calls["without memory"] = changed(make_call("lstm projected", lengths=[2, 4, 1]), c0=None)
    empty = {name: make_call("lstm").inputs[name][:0] for name in ("x", "h0", "c0")}
    calls["empty batch"] = changed(make_call("lstm"), **empty, lengths=np.zeros(0, np.int64))
    return calls


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", scripted_calls())
def test_a_script_computes_what_the_adapter_does(name: str, dtype: str) -> None:
    backend, call = TorchBackend(), scripted_calls()[name]
    native = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    call = changed(call, **{name: array.astype(native) for name, array in call.float_inputs.items()})
    cotangents = cotangents_for(call)
    source = backend.script(call)
    assert source is not None
    assert "rnnspec" not in source
    assert len(source.splitlines()) <= 30
    assert max(len(line) for line in source.splitlines()) <= 120

    def widen(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array

    scope: dict[str, Any] = {"inputs": {name: widen(array) for name, array in call.inputs.items()}, "dtype": dtype}
    exec(source, scope)
    assert "gradients" not in scope
    for got, expected in zip(scope["outputs"], backend.run(call), strict=True):
        np.testing.assert_array_equal(got, expected.astype(np.float64))
    scope["cotangents"] = [widen(cotangent) for cotangent in cotangents]
    exec(source, scope)
    expected_gradients = backend.gradients(call, cotangents)
    assert set(scope["gradients"]) == set(expected_gradients)
    for name, expected in expected_gradients.items():
        np.testing.assert_array_equal(scope["gradients"][name], expected.astype(np.float64))


# The backend itself.


def test_it_opens_by_name_and_lists_its_operations() -> None:
    backend = open_backend("torch")
    assert set(backend.operations()) >= {"rnn_cell", "lstm_cell", "gru_cell", "rnn", "lstm", "gru"}
    assert backend.versions() == {"torch": str(torch.__version__)}
    assert backend.devices()[0] == "cpu"
    with pytest.raises(ValueError, match="expected a device in cpu"):
        TorchBackend("abacus")


def test_it_changes_no_global_state() -> None:
    def state() -> tuple[Any, ...]:
        generator = torch.get_rng_state().tolist()
        return torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), generator

    before = state()
    for kind in LAYERS:
        call = make_call(kind, lengths=[2, 0, 4])
        TorchBackend().gradients(call, cotangents_for(call))
    assert state() == before


def test_inputs_are_left_as_they_were() -> None:
    call = make_call("gru admits", lengths=[2, 0, 4], direction="reverse")
    copies = {name: array.copy() for name, array in call.inputs.items()}
    TorchBackend().gradients(call, cotangents_for(call))
    for name, array in call.inputs.items():
        np.testing.assert_array_equal(array, copies[name])


def test_a_call_is_prepared_for_timing() -> None:
    call = make_call("lstm")
    prepared = TorchBackend().prepare(call)
    prepared.synchronise()
    np.testing.assert_array_equal(prepared.run()[0].numpy(), TorchBackend().run(call)[0])
