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

from rnnspec.backends.layouts import keras, torch
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.gates import GATES, Family, LayoutError
from rnnspec.conformance.cli import main

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
        ("cell/cell", "gru"),
        ("encoder/l0", "lstm"),
        ("encoder/l0_reverse", "lstm"),
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
        "nothing recurrent": ({"fc.weight": np.ones((2, 2))}, "keras", "got none among fc.weight"),
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
