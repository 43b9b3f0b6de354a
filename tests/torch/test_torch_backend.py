"""Torch's recurrent modules through the adapter against plain loops of the equations; refusals and errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnspec.backends import Call, Unsupported, open_backend  # noqa: E402
from rnnspec.backends.numpy import NumpyBackend  # noqa: E402
from rnnspec.backends.torch import TorchBackend, from_spec, to_spec  # noqa: E402
from rnnspec.spec import operation  # noqa: E402

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
        shapes["c_prev" if cell else "c0"] = (B, H)
    if family == "gru":
        shapes["b_rn"] = (H,)
    if state != H:
        shapes["P"] = (S, H)
    inputs = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    if lengths is not None:
        inputs["lengths"] = np.array(lengths)
    name = family + "_cell" * cell
    return Call(name, inputs, {**operation(name).defaults(), **attributes, **more})


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
        three = {key: call.inputs[key][:3] for key in ("W", "R", "b")}
        calls[f"{name} coupled"] = changed(call, {"coupled": True}, **three), "coupled"
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
def test_what_torch_lacks_is_composed_for_the_reason_given(name: str) -> None:
    call, reason = refusals()[name]
    backend = TorchBackend()
    assert re.search(reason, backend.refusal(call) or "")
    assert backend.script(call) is None
    with pytest.raises(Unsupported, match=reason):
        backend.natives[call.operation](**tensors(call), **call.attributes)
    outputs = backend.run(call)
    assert [output.shape for output in outputs] == [output.shape for output in NumpyBackend().run(call)]


def tensors(call: Call) -> dict[str, Any]:
    return {name: TorchBackend().to_native(array) for name, array in call.inputs.items()}


def widened(array: np.ndarray, axis: int) -> np.ndarray:
    return np.concatenate([array, np.take(array, [0], axis)], axis)


def silently_accepted() -> dict[str, Call]:
    """Bad input that torch itself computes with; docs/frameworks.md lists it."""
    ragged = {kind: make_call(kind, lengths=[2, 4, 1]) for kind in ("rnn", "lstm", "gru")}
    lstm, gru = make_call("lstm"), make_call("gru")
    cells = {kind: make_call(kind, cell=True) for kind in ("rnn", "lstm")}
    float32 = changed(lstm, **{name: array.astype(np.float32) for name, array in lstm.inputs.items()})
    bad = {}
    bad["rnn_cell: all int64"] = changed(
        cells["rnn"], **{name: array.astype(np.int64) for name, array in cells["rnn"].inputs.items()}
    )
    bad["lstm: W longer on axis 2"] = changed(float32, W=widened(float32.inputs["W"], 2))
    bad["lstm: x longer on axis 2"] = changed(float32, x=widened(float32.inputs["x"], 2))
    bad["lstm: c0 float32"] = changed(lstm, c0=lstm.inputs["c0"].astype(np.float32))
    bad["lstm_cell: c_prev int64"] = changed(cells["lstm"], c_prev=cells["lstm"].inputs["c_prev"].astype(np.int64))
    bad["gru: b float32"] = changed(gru, b=gru.inputs["b"].astype(np.float32))
    for kind, call in ragged.items():
        bad[f"{kind}: surplus rows in h0"] = changed(call, h0=widened(call.inputs["h0"], 0))
        bad[f"{kind}: too few lengths"] = changed(call, lengths=np.array([2, 1]))
        bad[f"{kind}: lengths with fractions"] = changed(call, lengths=np.array([2.5, 4.0, 1.0]))
        bad[f"{kind}: lengths of bool"] = changed(call, lengths=np.array([True, True, True]))
    loss = {"prediction": np.ones((B, T, D)), "target": np.ones((B, T, D))}
    for name in ("mean_absolute_error", "mean_squared_error"):
        call = Call(name, loss, {"reduction": "mean", "weighted": False})
        bad[f"{name}: target float32"] = changed(call, target=np.ones((B, T, D), np.float32))
    logits = {"logits": np.ones((B, T)), "target": np.full((B, T), 7.0)}
    bad["binary_cross_entropy: target 7"] = Call(
        "binary_cross_entropy", logits, {"given": "logits", "reduction": "sum", "weighted": False}
    )
    distribution = {"logits": np.ones((B, T, D)), "target": np.full((B, T, D), 7.0)}
    bad["cross_entropy: weights of 7"] = Call(
        "cross_entropy", distribution, {"targets": "distribution", "reduction": "sum", "weighted": False}
    )
    ids = {"logits": np.ones((B, T, D)), "ids": np.full((B, T), -100)}
    bad["cross_entropy: id -100"] = Call(
        "cross_entropy", ids, {"targets": "ids", "reduction": "sum", "weighted": False}
    )
    ids = {"logits": np.ones((B, T, D)), "ids": np.zeros((B, T), np.uint8)}
    bad["cross_entropy: ids of uint8"] = Call(
        "cross_entropy", ids, {"targets": "ids", "reduction": "sum", "weighted": False}
    )
    bad["embedding: ids of int32"] = Call("embedding", {"ids": np.zeros((B, T), np.int32), "E": np.ones((D, H))}, {})
    bad["dense: b of one unit"] = Call(
        "dense", {"x": np.ones((B, D)), "W": np.ones((H, D)), "b": np.ones(1)}, {"activation": "tanh"}
    )
    return bad


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("name", silently_accepted())
def test_what_torch_silently_accepts_is_an_error(name: str) -> None:
    call = silently_accepted()[name]
    TorchBackend().natives[call.operation](**tensors(call), **call.attributes)
    with pytest.raises(ValueError, match="expected"):
        TorchBackend().run(call)
    with pytest.raises(ValueError, match="expected"):
        TorchBackend().prepare(call)


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


BAD_WEIGHTS: dict[str, tuple[dict[str, Any], str]] = {
    "gates": ({"W": torch.ones(4, H, D)}, r"W: expected shape \(G = 3, H, D\), got \(4, "),
    "rank": ({"W": torch.ones(H, D)}, r"W: expected shape \(G = 3, H, D\)"),
    "R": ({"R": torch.ones(3, H, D)}, r"R: expected shape \(G = 3, H = 5, S = 5\)"),
    "b": ({"b": torch.ones(1, H)}, r"b: expected shape \(G = 3, H = 5\)"),
    "b_rn": ({"b_rn": torch.ones(1)}, r"b_rn: expected shape \(H = 5\)"),
    "P": ({"P": torch.ones(2, H)}, r"R: expected shape \(G = 3, H = 5, S = 2\)"),
    "update": ({"update": "ignores"}, "update: expected keeps or admits"),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_weights_of_another_shape_are_an_error(name: str) -> None:
    change, message = BAD_WEIGHTS[name]
    arrays = {"W": torch.ones(3, H, D), "R": torch.ones(3, H, H), "b": torch.ones(3, H), "b_rn": torch.ones(H)}
    with pytest.raises(ValueError, match=message):
        from_spec("gru", **{**arrays, **change})


def test_parameters_of_another_module_are_an_error() -> None:
    lstm = torch.nn.LSTM(D, H).state_dict()
    with pytest.raises(ValueError, match="weight_ih, weight_hh: missing among weight_ih_l0"):
        to_spec("lstm", lstm)
    with pytest.raises(ValueError, match="weight_ih_l0: expected 3 gates of the gru, got 20 rows"):
        to_spec("gru", lstm, suffix="_l0")
    with pytest.raises(ValueError, match="update: expected keeps or admits"):
        to_spec("gru", torch.nn.GRU(D, H).state_dict(), update="ignores", suffix="_l0")


def test_weights_are_differentiable() -> None:
    arrays = [torch.ones(shape, requires_grad=True) for shape in ((3, H, D), (3, H, H), (3, H), (H,))]
    total = sum(parameter.sum() for parameter in from_spec("gru", *arrays, update="admits").values())
    for gradient in torch.autograd.grad(total, arrays):
        expected = 1.0 if gradient.dim() == 1 else [1.0, -1.0, 1.0]
        np.testing.assert_array_equal(gradient.numpy().reshape(len(gradient), -1).T[0], expected)


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


# Arrays as they lie in memory.


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool"])
@pytest.mark.parametrize(
    "laid",
    [
        lambda a: np.array(a, order="F"),
        lambda a: np.array(a.transpose(1, 0, 2)).transpose(1, 0, 2),
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: np.broadcast_to(a[..., :1], a.shape),
        lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
        lambda a: np.repeat(a, 2, axis=1)[:, 1::2],
    ],
)
def test_strides_reach_torch(laid: Any, dtype: str) -> None:
    array = laid(np.arange(24).reshape(2, 3, 4).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype))
    before = array.copy()
    tensor = TorchBackend().to_native(array)
    assert tensor.stride() == tuple(stride // array.itemsize for stride in array.strides)
    np.testing.assert_array_equal(TorchBackend().to_numpy(tensor), array)
    tensor.untyped_storage().fill_(0)
    np.testing.assert_array_equal(array, before)


def test_what_torch_has_no_strides_for_is_copied_in_order() -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    record = np.zeros(3, [("mark", "i1"), ("number", "f8")])["number"]
    for laid in (array[:, ::-1], array[::-1, ::-1, ::-1], record, array[:0].transpose(1, 0, 2)):
        tensor = TorchBackend().to_native(laid)
        assert tensor.is_contiguous()
        np.testing.assert_array_equal(tensor.numpy(), laid)


def test_one_array_is_one_tensor_and_each_gradient_its_own() -> None:
    call = make_call("lstm")
    shared = changed(call, c0=call.inputs["h0"])
    apart = changed(call, c0=call.inputs["h0"].copy())
    backend = TorchBackend()
    tensors = backend.inputs_to_native(shared.inputs)
    assert tensors["h0"] is tensors["c0"]
    assert len({id(tensor) for tensor in tensors.values()}) == len(tensors) - 1
    cotangents = cotangents_for(call)
    found, due = backend.gradients(shared, cotangents), backend.gradients(apart, cotangents)
    for name in due:
        np.testing.assert_array_equal(found[name], due[name])
    assert not np.array_equal(found["h0"], found["c0"])
