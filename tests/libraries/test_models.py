"""``rnnspec validate --model``: the recurrent nodes of an ONNX file, with its weights, against the specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rnnspec.conformance.cases import Case
from rnnspec.conformance.cli import main
from rnnspec.spec import operation

onnx = pytest.importorskip("onnx")

from rnnspec.backends.libraries.onnx_export import exported  # noqa: E402  # it imports onnx
from rnnspec.backends.libraries.onnx_models import read_nodes  # noqa: E402

SIZES = {"B": 2, "T": 3, "D": 2, "H": 3}


def written(path: Path, name: str, *absent: str, **attributes: Any) -> Case:
    """Write a call of an operation as a model, and return it as a case."""
    case = Case(name, "float32", SIZES, {**operation(name).defaults(), **attributes}, absent=absent)
    family = "lstm" if name == "peephole_lstm" else name
    onnx.save(exported(family, case.call.inputs, case.attributes).model, path)
    return case


def no_runtime(model: Any, feed: Any) -> Any:
    raise AssertionError("nothing is run")


def validate(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["validate", "onnx-reference", "--model", *arguments])


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("rnn", {"activation": "leaky_relu:0.2", "direction": "reverse"}),
        ("lstm", {"coupled": True, "clip": 0.5, "activations": ("hard_sigmoid", "tanh", "relu")}),
        ("gru", {"reset": "before", "recurrent_activation": "relu", "activation": "elu:0.5"}),
        ("gru", {"reset": "after"}),
        ("peephole_lstm", {"coupled": True}),
    ],
)
def test_a_file_says_what_it_was_made_of(tmp_path: Path, name: str, attributes: dict[str, Any]) -> None:
    case = written(tmp_path / "model.onnx", name, "b_rn", **attributes)
    (node,) = read_nodes(tmp_path / "model.onnx", no_runtime)
    assert node.operation == name
    assert {**operation(name).defaults(), **node.attributes} == case.attributes
    assert {key: node.sizes[key] for key in SIZES} == SIZES
    for key, array in node.weights.items():
        np.testing.assert_array_equal(array, case.given.inputs[key])


def test_a_model_that_is_right_conforms_and_one_of_which_an_attribute_is_not_read_violates(tmp_path: Path) -> None:
    path = tmp_path / "gru.onnx"
    written(path, "gru", "b_rn", "h0")
    done = validate(str(path), "--json", str(tmp_path / "found.json"))
    assert done.exit_code == 0, done.output
    assert done.output.startswith("GRU 1: gru D=2 H=3 T=3 B=2\n  conforms, ")
    (node,) = json.loads((tmp_path / "found.json").read_text())["nodes"]
    assert (node["verdict"], node["operation"]) == ("conforms", "gru")
    assert 0 < node["worst_error_ratio"] <= 1
    written(path, "lstm", clip=0.5)
    done = validate(str(path))
    assert done.exit_code == 1, done.output
    assert "  violates, " in done.output
    assert "expected" in done.output


def test_both_directions_of_a_node_are_judged(tmp_path: Path) -> None:
    written(tmp_path / "one.onnx", "rnn", "h0")
    model = onnx.load(tmp_path / "one.onnx")
    (node,) = model.graph.node
    node.attribute.append(onnx.helper.make_attribute("direction", "bidirectional"))
    doubled = [np.concatenate([array, -array]) for array in map(onnx.numpy_helper.to_array, model.graph.initializer)]
    names = [one.name for one in model.graph.initializer]
    del model.graph.initializer[:]
    model.graph.initializer.extend(map(onnx.numpy_helper.from_array, doubled, names))
    onnx.save(model, tmp_path / "both.onnx")
    first, second = read_nodes(tmp_path / "both.onnx", no_runtime)
    assert (first.attributes["direction"], second.attributes["direction"]) == ("forward", "reverse")
    np.testing.assert_array_equal(first.weights["W"], -second.weights["W"])


def test_what_cannot_be_judged_is_one_line(tmp_path: Path) -> None:
    nothing, other, fed = (tmp_path / name for name in ("nothing.onnx", "other.onnx", "fed.onnx"))
    nothing.write_bytes(b"no model")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [value],
        [onnx.helper.make_tensor_value_info("y", 1, [1])],
    )
    onnx.save(onnx.helper.make_model(graph), other)
    case = Case("rnn", "float32", SIZES, operation("rnn").defaults())
    onnx.save(exported("rnn", case.call.inputs, case.attributes, constant_weights=False).model, fed)
    for path, said in (
        (nothing, "expected an ONNX model"),
        (other, "expected a node RNN, LSTM or GRU, got Identity"),
        (fed, "RNN 1: expected constant weights, got W from what the model is fed"),
    ):
        done = validate(str(path))
        assert done.exit_code == 2
        assert said in done.output
        assert "Traceback" not in done.output
    done = CliRunner().invoke(main, ["validate", "numpy", "--model", str(fed)])
    assert "expected a runtime of ONNX such as onnxruntime, got numpy" in done.output
