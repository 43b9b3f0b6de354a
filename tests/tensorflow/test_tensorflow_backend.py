"""The TensorFlow backends against the reference: values, gradients, refusals, and what they leave as it was."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from rnnspec.backends import open_backend
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.backends.tensorflow import (
    TensorFlowBackend,
    TensorFlowCellsBackend,
    TensorFlowFunctionBackend,
    TensorFlowXlaBackend,
)
from rnnspec.backends.tensorflow.framework import keras, tf
from rnnspec.conformance.cases import Case
from rnnspec.conformance.run.expected import load_expected
from rnnspec.spec import operation

SIZES = {"B": 3, "T": 4, "D": 2, "H": 5, "S": 5, "U": 2, "L": 2, "A": 1, "V": 6, "K": 3, "E": 2, "N": 4, "M": 3}
EAGER, GRAPH, XLA = TensorFlowBackend(), TensorFlowFunctionBackend(), TensorFlowXlaBackend()
BACKENDS = {backend.name: backend for backend in (EAGER, GRAPH, XLA)}
NATIVE: dict[str, tuple[str, Mapping[str, Any]]] = {
    "dense": ("dense", {"activation": "softmax"}),
    "embedding": ("embedding", {}),
    "softmax": ("softmax", {}),
    "mean_absolute_error": ("mean_absolute_error", {"reduction": "none"}),
    "mean_squared_error": ("mean_squared_error", {}),
    "binary_cross_entropy": ("binary_cross_entropy", {"reduction": "sum"}),
    "cross_entropy": ("cross_entropy", {}),
    "rnn_cell": ("rnn_cell", {"activation": "relu"}),
    "rnn": ("rnn", {"activation": "logistic", "direction": "reverse"}),
    "lstm_cell": ("lstm_cell", {}),
    "lstm": ("lstm", {"activations": ("tanh", "relu", "relu")}),
    "lstm reverse": ("lstm", {"direction": "reverse"}),
    "gru_cell": ("gru_cell", {"reset": "before", "update": "admits"}),
    "gru": ("gru", {"reset": "after", "update": "admits"}),
    "gru before": ("gru", {"reset": "before", "direction": "reverse"}),
    "bidirectional": ("bidirectional", {"layer": "lstm", "merge": "mul"}),
    "bidirectional none": ("bidirectional", {"layer": "gru", "merge": "none"}),
    "stacked": ("stacked", {"layer": "gru"}),
    "alternating_stack": ("alternating_stack", {"layer": "lstm"}),
    "attention_scores": ("attention_scores", {"score": "additive"}),
    "attention_weights": ("attention_weights", {}),
    "clip_by_value": ("clip_by_value", {"threshold": 0.7}),
    "clip_by_norm": ("clip_by_norm", {}),
    "clip_by_global_norm": ("clip_by_global_norm", {}),
}
COMPOSED = {
    "lstm clipped": ("lstm", {"clip": 1.5}),
    "gru truncated": ("gru", {"truncate": 2, "direction": "reverse"}),
    "peephole_lstm": ("peephole_lstm", {}),
    "crf_log_partition": ("crf_log_partition", {}),
}


def make(kind: str, steps: Any = "all", dtype: str = "float64", **sizes: int) -> Case:
    name, attributes = {**NATIVE, **COMPOSED}[kind]
    op = operation(name)
    known = {symbol: size for symbol, size in {**SIZES, **sizes}.items() if symbol in op.sizes}
    return Case(name, dtype, known, {**op.defaults(), **attributes}, steps=steps if op.has_steps else "all", seed=3)


def agree(backend: TensorFlowBackend, case: Case) -> None:
    call, reference = case.call, NumpyBackend()
    expected = reference.run(call)
    for got, due in zip(backend.run(call), expected, strict=True):
        assert got.dtype == due.dtype
        np.testing.assert_allclose(got, due, rtol=1e-10, atol=1e-12)
    due = reference.gradients(call, case.cotangents)
    came = backend.gradients(call, case.cotangents)
    assert set(came) == set(due)
    for name, gradient in due.items():
        np.testing.assert_allclose(came[name], gradient, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("steps", ["all", "lengths", "mask"])
def test_what_keras_has_follows_the_reference(kind: str, steps: str) -> None:
    case = make(kind, steps)
    if steps != "all" and case.steps == "all":
        pytest.skip("no steps")
    assert EAGER.refusal(case.call, gradient=True) is None
    agree(EAGER, case)


@pytest.mark.parametrize("kind", COMPOSED)
def test_what_keras_has_not_is_composed(kind: str) -> None:
    case = make(kind, "mask")
    assert EAGER.refusal(case.call)
    agree(EAGER, case)


@pytest.mark.parametrize("backend", [GRAPH, XLA], ids=lambda backend: backend.name)
@pytest.mark.parametrize("kind", ["gru", "gru truncated", "crf_log_partition"])
def test_graphs_follow_the_reference(backend: TensorFlowBackend, kind: str) -> None:
    agree(backend, make(kind, "mask"))


@pytest.mark.parametrize("steps", ["all", "mask"])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "gru before", "stacked"])
def test_cells_unrolled_follow_the_reference(kind: str, steps: str) -> None:
    agree(TensorFlowCellsBackend(), make(kind, steps))


def test_a_stack_of_cells_is_one_layer_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = []
    stacked_cells = keras.layers.StackedRNNCells
    monkeypatch.setattr(keras.layers, "StackedRNNCells", lambda *a, **k: stacks.append(1) or stacked_cells(*a, **k))
    agree(TensorFlowCellsBackend(), make("stacked", L=4))
    assert stacks


def test_sequences_of_no_steps_are_composed() -> None:
    case = make("lstm", "lengths", T=0)
    assert "no steps" in str(EAGER.refusal(case.call))
    agree(EAGER, case)


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("lstm", {"clip": 1.0}, "does not clip"),
        ("lstm", {"gradient": "cell_only"}, "no gradient but the full one"),
        ("lstm", {"activations": ("logistic", "tanh", "relu")}, "one activation for the candidate and the output"),
        ("gru", {"truncate": 2}, "do not truncate"),
        ("clip_by_norm", {"epsilon": 0.1}, "adds nothing to the norm"),
        ("attention_scores", {"score": "dot"}, None),
        ("attention_scores", {"score": "general"}, "no layer that gives the score general"),
    ],
)
def test_refusals_say_why(kind: str, change: dict[str, Any], reason: str | None) -> None:
    case = make(kind)
    changed = Case(case.operation, case.dtype, case.sizes, {**case.attributes, **change}, seed=3)
    refusal = EAGER.refusal(changed.call)
    assert refusal is None if reason is None else reason in str(refusal)


def test_a_graph_is_traced_once_for_each_shape_and_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, traced = TensorFlowFunctionBackend(), []
    own = backend.differentiate
    monkeypatch.setattr(backend, "differentiate", lambda *given: traced.append(1) or own(*given))
    case, other = make("rnn_cell"), make("rnn_cell", B=2)
    for _ in range(3):
        backend.gradients(case.call, case.cotangents)
    assert len(traced) == 1
    backend.gradients(other.call, other.cotangents)
    assert len(traced) == 2


def test_tracing_often_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    backend = TensorFlowFunctionBackend()
    with caplog.at_level(logging.WARNING, "tensorflow"):
        for batch in range(1, 9):
            backend.run(make("clip_by_value", N=batch).call)
    assert not caplog.records
    assert not logging.getLogger("tensorflow").filters


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_arrays_come_back_as_they_went(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    native = EAGER.to_native(array)
    back = EAGER.to_numpy(native)
    assert native.dtype.name == dtype
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    back[:] = 0
    np.testing.assert_array_equal(EAGER.to_numpy(native), array)


@pytest.mark.parametrize("name", BACKENDS)
def test_backends_are_found_by_name(name: str) -> None:
    backend = open_backend(name)
    assert type(backend) is type(BACKENDS[name])
    assert backend.versions()["tensorflow"] == tf.__version__
    assert "keras" in backend.versions()


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a device in cpu.*got 'gpu:99'"):
        TensorFlowBackend("gpu:99")


def test_the_known_faults_are_of_checks_and_operations_that_there_are() -> None:
    path = TensorFlowBackend.expected_failures()
    assert path is not None
    assert load_expected(path, {"tensorflow": "2.21.0", "keras": "3.15.1"})
    assert not load_expected(path, {"tensorflow": "9.0", "keras": "9.0"})


def test_loading_is_silent_and_leaves_the_environment() -> None:
    program = (
        "import os; before = dict(os.environ)\n"
        "from rnnspec.backends.tensorflow import TensorFlowBackend\n"
        "from rnnspec.backends.tensorflow.framework import tf\n"
        "tf.function(lambda a: a @ a, jit_compile=True)(tf.ones((2, 2)))\n"
        "assert dict(os.environ) == before\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
