"""Weights carried between layouts: there and back, by the names that people's files have, or a clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner, Result

from rnnspec.backends.layouts import keras, onnx, torch
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.gates import GATES, Family, LayoutError
from rnnspec.conformance.cli import main
from rnnspec.conformance.weights.files import read_weights

XP = NumpyShaping()
Arrays = dict[str, np.ndarray[Any, Any]]


def parameters(family: Family, features: int = 3, hidden: int = 2, *, reset_after: bool = True) -> Arrays:
    rng = np.random.default_rng(0)
    gates = GATES[family]
    shapes = {"W": (gates, hidden, features), "R": (gates, hidden, hidden), "b": (gates, hidden)}
    if family == "gru" and reset_after:
        shapes["b_rn"] = (hidden,)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., Result]:
    def run(arrays: Arrays, to: str, target: str = "out.npz") -> Result:
        np.savez(tmp_path / "in.npz", **arrays)  # type: ignore[arg-type]  # NumPy's stubs take only what is no name
        arguments = [str(tmp_path / "in.npz"), str(tmp_path / target), "--to", to, "--json", str(tmp_path / "out.json")]
        return CliRunner().invoke(main, ["convert", *arguments])

    return run


def same(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("layout", [torch, keras])
@pytest.mark.parametrize("update", ["keeps", "admits"])
@pytest.mark.parametrize("family", GATES)
def test_there_and_back(family: Family, update: Any, layout: Any) -> None:
    arrays = parameters(family)
    named = layout.from_spec(XP, family, **arrays, update=update)
    assert same(layout.to_spec(XP, family, named, update=update), arrays)


def test_keras_order_of_the_gates() -> None:
    arrays = parameters("gru", features=1, hidden=1)
    kernel = keras.from_spec(XP, "gru", **arrays)["kernel"]
    r, z, n = arrays["W"][:, 0, 0]
    assert kernel.tolist() == [[z, r, n]]


def test_biases_add_up_where_they_may() -> None:
    arrays = parameters("gru", hidden=1)
    named = torch.from_spec(XP, "gru", **arrays)
    named["bias_hh"] = np.array([10, 20, 30], np.float32)
    read = torch.to_spec(XP, "gru", named)
    assert np.array_equal(read["b"][:, 0], arrays["b"][:, 0] + np.array([10, 20, 0], np.float32))
    assert read["b_rn"] == [30]
    two_rows = {**keras.from_spec(XP, "gru", **arrays)}
    two_rows["bias"] = two_rows["bias"] + np.array([[0, 0, 0], [10, 20, 30]], np.float32)
    read = keras.to_spec(XP, "gru", two_rows)
    assert np.array_equal(read["b"][:, 0], arrays["b"][:, 0] + np.array([20, 10, 0], np.float32))  # z stands first
    assert read["b_rn"] == arrays["b_rn"] + 30


def test_a_state_dict_and_back(convert: Callable[..., Result], tmp_path: Path) -> None:
    state = {}
    for path, suffix, family in (
        ("encoder.", "_l0", "lstm"),
        ("encoder.", "_l0_reverse", "lstm"),
        ("cell.", "", "gru"),
    ):
        named = torch.from_spec(XP, family, **parameters(family), suffix=suffix)  # type: ignore[arg-type]
        state |= {path + name: array for name, array in named.items()}
    result = convert({**state, "fc.weight": np.ones((2, 2))}, "keras", "keras.safetensors")
    assert result.exit_code == 0, result.output
    assert "left out: fc.weight" in result.output
    report = json.loads((tmp_path / "out.json").read_text())
    assert [(row["layer"], row["family"]) for row in report["layers"]] == [
        ("encoder/l0", "lstm"),
        ("encoder/l0_reverse", "lstm"),
        ("cell/cell", "gru"),
    ]
    back = CliRunner().invoke(
        main, ["convert", str(tmp_path / "keras.safetensors"), str(tmp_path / "back.npz"), "--to", "torch"]
    )
    assert back.exit_code == 0, back.output
    assert same(dict(np.load(tmp_path / "back.npz")), state)


def test_keras_own_paths(convert: Callable[..., Result], tmp_path: Path) -> None:
    arrays = {}
    for path in ("lstm_1/lstm_cell", "bidirectional/forward_gru/gru_cell", "bidirectional/backward_gru/gru_cell"):
        family: Family = "gru" if "gru" in path else "lstm"
        arrays |= {f"{path}/{name}": a for name, a in keras.from_spec(XP, family, **parameters(family)).items()}
    arrays |= {"dense/kernel": np.ones((2, 2)), "dense/bias": np.ones(2)}
    result = convert(arrays, "torch")
    assert result.exit_code == 0, result.output
    names = set(np.load(tmp_path / "out.npz").files)
    assert {"lstm_1.weight_ih_l0", "bidirectional.weight_hh_l0", "bidirectional.bias_hh_l0_reverse"} <= names
    assert json.loads((tmp_path / "out.json").read_text())["left_out"] == ["dense/kernel", "dense/bias"]


def test_bfloat16_goes_where_its_type_has_a_name(convert: Callable[..., Result], tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    named = torch.from_spec(XP, "rnn", **parameters("rnn"), suffix="_l0")
    halves = {name: array.astype(ml_dtypes.bfloat16) for name, array in named.items()}
    source = tmp_path / "in.safetensors"
    save_file(halves, source)
    target = tmp_path / "out.safetensors"
    assert CliRunner().invoke(main, ["convert", str(source), str(target), "--to", "spec"]).exit_code == 0
    assert b'"BF16"' in target.read_bytes()
    refused = CliRunner().invoke(main, ["convert", str(source), str(tmp_path / "out.npz"), "--to", "spec"])
    assert refused.exit_code == 2
    assert "use .safetensors" in refused.output
    assert not (tmp_path / "out.npz").exists()


def projected() -> Arrays:
    arrays = parameters("lstm")
    arrays |= {"R": arrays["R"][:, :, :1], "P": np.ones((1, 2), np.float32)}
    return torch.from_spec(XP, "lstm", **arrays, suffix="_l0")


@pytest.mark.parametrize(
    ("arrays", "to", "message"),
    {
        "projection": (projected(), "keras", "keras cannot represent l0: Keras's LSTM has no projection"),
        "reset before": (
            keras.from_spec(XP, "gru", **parameters("gru", reset_after=False)),
            "torch",
            "torch cannot represent l0: b_rn is missing",
        ),
        "nothing recurrent": (
            {"fc.weight": np.ones((2, 2))},
            "keras",
            ".npz: expected the recurrent layers of one layout",
        ),
        "two layouts": (
            {"weight_hh_l0": np.ones((1, 1)), "a/recurrent_kernel": np.ones((1, 1))},
            "spec",
            "got torch and keras",
        ),
        "two gates": ({"weight_ih_l0": np.ones((4, 1)), "weight_hh_l0": np.ones((4, 2))}, "spec", "expected 1 gate"),
        "missing": ({"weight_hh_l0": np.ones((8, 2))}, "spec", "weight_ih: missing among weight_hh"),
        "wrong shape": (
            {"kernel": np.ones((3, 6)), "recurrent_kernel": np.ones((2, 6)), "bias": np.ones(5)},
            "torch",
            "bias: expected shape (G*H = 6), got (5,)",
        ),
    }.values(),
)
def test_what_cannot_be_converted(
    convert: Callable[..., Result], tmp_path: Path, arrays: Arrays, to: str, message: str
) -> None:
    result = convert(arrays, to)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "out.npz").exists()


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("no zip")
    (tmp_path / "a.safetensors").write_text("no header")
    for name in ("a.npz", "a.safetensors", "there_is_none.npz", "a.pt"):
        result = CliRunner().invoke(main, ["convert", str(tmp_path / name), str(tmp_path / "out.npz"), "--to", "spec"])
        assert result.exit_code == 2
        assert name in result.output.replace("\n", "")
    with pytest.raises(LayoutError, match="family: expected rnn or lstm or gru, got 'lsmt'"):
        torch.to_spec(XP, "lsmt", {})  # type: ignore[arg-type]  # what a caller without types may pass


def a_state_dict() -> Arrays:
    """A bidirectional LSTM of two layers, a GRU that reads it and a cell, with two biases each."""
    rng = np.random.default_rng(1)
    state: Arrays = {}
    layers = [("a.", f"_l{n}{way}", "lstm", 3 - n) for n in (0, 1) for way in ("", "_reverse")]
    for path, suffix, family, features in [*layers, ("b.", "_l0", "gru", 3), ("c.", "", "rnn", 3)]:
        arrays = parameters(family, features, 1 if path == "a." else 3)  # type: ignore[arg-type]  # a family's name
        arrays["b_R"] = rng.normal(size=arrays["b"].shape).astype(np.float32)
        named = torch.from_spec(XP, family, **arrays, suffix=suffix)  # type: ignore[arg-type]
        state |= {path + name: array for name, array in named.items()}
    return state


def test_a_layer_without_a_path_keeps_its_place(convert: Callable[..., Result], tmp_path: Path) -> None:
    named = torch.from_spec(XP, "lstm", **parameters("lstm"), suffix="_l1_reverse")
    assert convert(named, "spec", "spec.npz").exit_code == 0
    assert "l1_reverse/W" in np.load(tmp_path / "spec.npz").files
    assert run(tmp_path / "spec.npz", tmp_path / "back.npz", "--to", "torch").exit_code == 0
    assert same(dict(np.load(tmp_path / "back.npz")), named)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["convert", *map(str, arguments)])


def test_both_biases_are_kept_through_onnx_and_back(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    state = a_state_dict()
    np.savez(tmp_path / "in.npz", **state)  # type: ignore[arg-type]  # NumPy's stubs take only what is no name
    first = run(tmp_path / "in.npz", tmp_path / "model.onnx", "--json", tmp_path / "out.json")
    assert first.exit_code == 0, first.output
    names = [row["name"] for row in json.loads((tmp_path / "out.json").read_text())["layers"]]
    assert names == ["a/l0", "a/l0", "a/l1", "a/l1", "b/l0", "c/cell"]
    assert run(tmp_path / "model.onnx", tmp_path / "back.npz", "--to", "torch").exit_code == 0
    assert same(dict(np.load(tmp_path / "back.npz")), state)
    assert run(tmp_path / "model.onnx", tmp_path / "spec.npz", "--to", "spec").exit_code == 0
    assert run(tmp_path / "spec.npz", tmp_path / "back.npz", "--to", "torch").exit_code == 0
    assert same(dict(np.load(tmp_path / "back.npz")), state)
    again = run(tmp_path / "in.npz", tmp_path / "again.onnx")
    assert again.exit_code == 0
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "model.onnx").read_bytes()


@pytest.mark.parametrize("target", ["model.weights.h5", "model.keras"])
def test_keras_files_and_back(target: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    state = {name: array for name, array in a_state_dict().items() if not name.startswith("b.")}
    state |= {name: np.zeros_like(array) for name, array in state.items() if "bias_hh" in name}  # Keras has one
    state = {name: array for name, array in state.items() if not name.startswith("c.") or target != "model.keras"}
    np.savez(tmp_path / "in.npz", **state)  # type: ignore[arg-type]  # NumPy's stubs take only what is no name
    result = run(tmp_path / "in.npz", tmp_path / target)
    assert result.exit_code == 0, result.output
    assert "Bidirectional(LSTM(1, return_sequences=True))" in result.output
    assert run(tmp_path / target, tmp_path / "back.npz", "--to", "torch").exit_code == 0
    assert same(dict(np.load(tmp_path / "back.npz")), state)


def test_an_older_file_of_keras(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "old.h5", "w") as file:
        for name, array in keras.from_spec(XP, "lstm", **parameters("lstm")).items():
            file[f"model_weights/mine/sequential/mine/lstm_cell/{name}:0"] = array
        file["model_weights/dense/dense/kernel:0"] = np.ones((2, 2))
    result = run(tmp_path / "old.h5", tmp_path / "out.npz", "--to", "torch")
    assert result.exit_code == 0, result.output
    assert "left out: dense/kernel" in result.output
    assert "mine.weight_ih_l0" in np.load(tmp_path / "out.npz").files


def test_bfloat16_among_keras_files(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    from safetensors.numpy import save_file

    halves = {
        name: np.ascontiguousarray(array.astype(ml_dtypes.bfloat16))
        for name, array in keras.from_spec(XP, "gru", **parameters("gru")).items()
    }
    save_file({f"mine/{name}": array for name, array in halves.items()}, tmp_path / "in.safetensors")
    assert run(tmp_path / "in.safetensors", tmp_path / "out.weights.h5").exit_code == 0
    assert run(tmp_path / "out.weights.h5", tmp_path / "out.safetensors", "--to", "keras").exit_code == 0
    (own,) = read_weights(tmp_path / "out.safetensors").own.values()
    assert same(own, halves)
    refused = run(tmp_path / "in.safetensors", tmp_path / "out.onnx")
    assert (refused.exit_code, "as ONNX's operators have" in " ".join(refused.output.split())) == (2, True)


def test_both_sides_are_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    np.savez(tmp_path / "in.npz", **a_state_dict())  # type: ignore[arg-type]  # NumPy's stubs take only what is no name
    result = run(tmp_path / "in.npz", tmp_path / "out.onnx", "--check", "--json", tmp_path / "out.json")
    assert result.exit_code == 0, result.output
    sides = json.loads((tmp_path / "out.json").read_text())["parity"]
    assert [side["layer"] for side in sides][-2:] == ["b/l0", "c/cell"]
    for side in sides:
        assert side["agrees"] is True
        assert side["source"]["by"].startswith("torch ")
        assert side["target"]["by"].startswith("onnx")
        assert 0 <= side["largest_difference"] < 1e-5


def test_a_wrong_conversion_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    np.savez(tmp_path / "in.npz", **parameters("gru"))  # type: ignore[arg-type]  # NumPy's stubs take only what is no name
    monkeypatch.setitem(onnx.ORDER, "gru", (0, 1, 2))  # type: ignore[arg-type]  # a dict, though its type is narrower
    wrong = onnx.from_spec(XP, "gru", **parameters("gru"))
    monkeypatch.undo()
    monkeypatch.setattr(onnx, "from_spec", lambda *_, **__: wrong)
    result = run(tmp_path / "in.npz", tmp_path / "out.onnx", "--check", "--json", tmp_path / "out.json")
    assert (result.exit_code, "differ" in result.output) == (1, True), result.output
    assert json.loads((tmp_path / "out.json").read_text())["parity"][0]["target"]["error_ratio"] > 100


def test_weights_that_are_no_numbers_are_not_judged(tmp_path: Path) -> None:
    arrays = parameters("lstm")
    arrays["W"][1, 0, 2] = np.nan
    np.savez(tmp_path / "in.npz", **arrays)  # type: ignore[arg-type]  # NumPy's stubs take only what is no name
    result = run(tmp_path / "in.npz", tmp_path / "out.npz", "--to", "spec", "--check")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines() if line.startswith(" l0 ")]
    assert rows[-1] == ["l0", *["not", "judged"] * 3, "NaN"]
    assert "l0: its outputs cannot be judged: 1 of 24 numbers of W are NaN" in result.output


@pytest.mark.parametrize(("places", "told"), [({"b.": "_l0", "a.": "_l0"}, True), ({"": "_l0"}, False)])
def test_the_order_of_a_chain_is_told_where_it_is_a_guess(places: dict[str, str], told: bool, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    state = {}
    for path, suffix in places.items():
        named = torch.from_spec(XP, "lstm", **parameters("lstm", 2), suffix=suffix)
        state |= {path + name: array for name, array in named.items()}
    np.savez(tmp_path / "in.npz", **state)  # type: ignore[arg-type]  # NumPy's stubs take only what is no name
    result = run(tmp_path / "in.npz", tmp_path / "out.keras")
    assert result.exit_code == 0, result.output
    assert ("weights do not say which layer reads which" in result.output) is told


def onnx_model(*nodes: object, constants: Arrays | None = None) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info("X", TensorProto.FLOAT, None)], [],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )  # fmt: skip
    return bytes(helper.make_model(graph).SerializeToString())


def onnx_node(**options: object) -> object:
    from onnx import helper

    return helper.make_node(
        "LSTM", ["X", "W", "R", "B", "", "", "", *options.pop("more", ())], ["Y"], "mine", **options
    )  # type: ignore[misc]


def test_what_onnx_models_may_not_have(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    arrays = onnx.from_spec(XP, "lstm", **parameters("lstm"))
    path = tmp_path / "in.onnx"
    for content, message in (
        (b"no model", "expected an ONNX model"),
        (onnx_model(), "expected a node RNN, LSTM or GRU, got none"),
        (onnx_model(onnx_node(), constants={"W": arrays["W"]}), "mine: R: expected an initialiser or a Constant"),
        (onnx_model(onnx_node(input_forget=1), constants=arrays), "input_forget=1 has no place"),
        (onnx_model(onnx_node(more=["P"]), constants=arrays), "without peepholes"),
        (onnx_model(onnx_node(direction="both"), constants=arrays), "expected forward, reverse or bidirectional"),
        (
            onnx_model(onnx_node(), constants=arrays | {"B": arrays["B"][:, :3]}),
            "B: expected shape (directions = 1, 2*G*H = 16)",
        ),
    ):
        path.write_bytes(content)
        result = run(path, tmp_path / "out.npz", "--to", "torch")
        assert (result.exit_code, result.output.count("\n")) == (2, 1), result.output
        assert message in result.output
    path.write_bytes(onnx_model(onnx_node(clip=3.0), constants=arrays))
    result = run(path, tmp_path / "out.npz", "--to", "torch")
    assert (result.exit_code, "its clip of 3 is none of the weights" in result.output) == (0, True)


def test_files_of_hdf5_have_arrays_of_their_own_alone(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "in.weights.h5"
    for fill, message in (
        (lambda file: file.__setitem__("a", h5py.ExternalLink("other.h5", "b")), "a link to elsewhere"),
        (lambda file: file.create_dataset("a", (2,), "f4", external=[("other", 0, 8)]), "one that stands in another"),
        (lambda file: file.create_dataset("a", (2**20,), "f4", chunks=(2**10,)), "less is there"),
        (lambda file: file.__setitem__("a", np.ones(2)), "expected the recurrent layers of one layout"),
    ):
        with h5py.File(path, "w") as file:
            fill(file)
        result = run(path, tmp_path / "out.npz", "--to", "torch")
        assert (result.exit_code, result.output.count("\n")) == (2, 1), result.output
        assert message in result.output


@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        ("out.h5", (), "expected a name that ends in .weights.h5"),
        ("out.npz", (), "expected --to torch, keras or spec"),
        ("out.npz", ("--to", "onnx"), "expected a file that ends in .onnx"),
        ("out.onnx", ("--to", "keras"), "expected --to onnx"),
        ("out.pt", ("--to", "torch"), "safetensors.torch.save_file"),
    ],
)
def test_a_target_says_its_layout(target: str, more: tuple[str, ...], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", **parameters("lstm"))  # type: ignore[arg-type]  # NumPy's stubs take only what is no name
    result = run(tmp_path / "in.npz", tmp_path / target, *more)
    assert (result.exit_code, message in result.output) == (2, True)
    assert not (tmp_path / target).exists()
