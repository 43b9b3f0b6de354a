"""The adapters of libraries: each answers what its library offers as the reference does, and refuses the rest."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Backend, open_backend
from rnnspec.backends.discovery import is_own, offered
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.run.expected import expected_failures
from rnnspec.spec import operation

# pytorchcrf makes its masks bytes, which torch warns of; the adapter has no part in it.
pytestmark = pytest.mark.filterwarnings("ignore:where received a uint8 condition tensor:UserWarning")

SIZES = {"B": 3, "T": 4, "D": 2, "H": 3, "K": 3}
NEEDS = {
    "allencrf": ("allencrf",),
    "bi-lstm-crf": ("bi_lstm_crf",),
    "equinox": ("equinox",),
    "flax-linen": ("flax",),
    "flax-nnx": ("flax",),
    "haiku": ("haiku",),
    "keras-jax": ("keras", "jax"),
    "keras-torch": ("keras", "torch"),
    "mlx": ("mlx",),
    "ncnn": ("ncnn",),
    "onnx-reference": ("onnx",),
    "onnxruntime": ("onnx", "onnxruntime"),
    "opacus": ("opacus",),
    "openvino": ("onnx", "openvino"),
    "pytorch-crf": ("torchcrf",),
    "pytorch-partial-crf": ("pytorch_partial_crf",),
    "pytorchcrf": ("pytorchcrf",),
    "tinygrad": ("tinygrad",),
    "torch-export": ("torch",),
    "torch-onnx": ("onnxscript", "onnxruntime"),
    "torch-onnx-traced": ("onnx", "onnxruntime"),
    "torch-quantizable": ("torch",),
    "torch-script": ("torch",),
    "torch-struct": ("torch_struct",),
    "torchcrf": ("TorchCRF",),
    "torchrecurrent": ("torchrecurrent",),
}
BROKEN = {"openvino": {"peephole_lstm"}}
"""Operations that a library has and gets wrong in every call."""

PARTS = {
    "rnnspec.backends.libraries.onnx:OnnxReferenceBatchFirstBackend": ("onnx",),
    "rnnspec.backends.libraries.onnx:OnnxRuntimeFedBackend": ("onnx", "onnxruntime"),
}


def opened(name: str) -> Backend:
    for module in {**NEEDS, **PARTS}[name]:
        if find_spec(module) is None:
            pytest.skip(f"needs {module}")
    if name.startswith("keras-") and "keras" in sys.modules and sys.modules["keras"].backend.backend() != name[6:]:
        pytest.skip("Keras runs on another framework in this process")
    if name == "tinygrad" and shutil.which("clang") is None and os.environ.get("DEV") != "PYTHON":
        pytest.skip("tinygrad needs clang, or DEV=PYTHON")
    return open_backend(name)


def chosen_in(backend: Backend, name: str) -> dict[str, Any]:
    """The default attributes, but where the method declares that it takes others."""
    declared = backend._taken(name).declared.values
    return {
        key: value if (only := declared.get(key, {value})) == value or value in _set(only) else min(_set(only), key=str)
        for key, value in operation(name).defaults().items()
    }


def _set(only: Any) -> set[Any]:
    return only if isinstance(only, set | frozenset) else {only}


def absent_in(backend: Backend, name: str) -> tuple[str, ...]:
    """Optional inputs that the method does not take."""
    return tuple(backend._taken(name).untaken - {"lengths", "mask"})


@pytest.mark.parametrize("name", [*NEEDS, *PARTS])
def test_it_answers_as_the_reference_does(name: str) -> None:
    backend, reference = opened(name), NumpyBackend()
    for one in set(backend.operations()) - BROKEN.get(name, set()):
        attributes = chosen_in(backend, one)
        case = Case(one, "float32", SIZES, attributes, absent=absent_in(backend, one))
        for got, due in zip(backend.run(case.call), reference.run(case.call), strict=True):
            assert got.dtype == due.dtype
            np.testing.assert_allclose(got, due, rtol=1e-4, atol=1e-5, err_msg=one)
        if backend.has_gradients(one):
            due_gradients = reference.gradients(case.call, case.cotangents)
            gradients = backend.gradients(case.call, case.cotangents)
            assert set(gradients) == set(due_gradients)
            for key, gradient in gradients.items():
                np.testing.assert_allclose(gradient, due_gradients[key], rtol=1e-3, atol=1e-4, err_msg=f"{one} {key}")


@pytest.mark.parametrize("name", [name for name in NEEDS if name != "onnx-reference"])
def test_lengths_and_directions_are_answered_or_refused(name: str) -> None:
    backend, reference = opened(name), NumpyBackend()
    for one in set(backend.operations()) - BROKEN.get(name, set()):
        op = operation(one)
        if not op.has_steps:
            continue
        plain = chosen_in(backend, one)
        ways = [plain] if "direction" not in plain else [plain, {**plain, "direction": "reverse"}]
        for attributes in ways:
            case = Case(one, "float32", SIZES, attributes, steps="equal", absent=absent_in(backend, one))
            refusal = backend.refuses(case.call)
            if refusal is not None:
                assert refusal.startswith(f"{name}'s {one}")
                continue
            for got, due in zip(backend.run(case.call), reference.run(case.call), strict=True):
                np.testing.assert_allclose(got, due, rtol=1e-4, atol=1e-5, err_msg=one)


@pytest.mark.parametrize("name", NEEDS)
def test_its_known_faults_can_be_read(name: str) -> None:
    backend = opened(name)
    for entry in expected_failures(backend):
        assert set(entry.operations) <= set(backend.operations())


def test_each_has_an_entry_point_and_a_process_of_its_own() -> None:
    assert set(NEEDS) <= offered().own
    assert not any(is_own(name) for name in NEEDS)
    assert is_own("numpy")
    assert is_own("jax")


def test_the_second_bias_is_part_of_what_onnx_is_given() -> None:
    backend = opened("onnx-reference")
    case = Case("lstm", "float64", SIZES, operation("lstm").defaults())
    assert "b_R" in case.call.inputs
    for got, due in zip(backend.run(case.call), NumpyBackend().run(case.call), strict=True):
        np.testing.assert_allclose(got, due, rtol=1e-12)


def test_what_pytorch_crf_refuses_is_left_out_of_a_batch() -> None:
    backend = opened("pytorch-crf")
    case = Case("crf_viterbi", "float32", SIZES, {}, steps="one_empty")
    for got, due in zip(backend.run(case.call), NumpyBackend().run(case.call), strict=True):
        np.testing.assert_allclose(got, due, rtol=1e-5)
