"""The adapters of libraries: each answers what its library offers as the reference does, and refuses the rest."""

from __future__ import annotations

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

SIZES = {"B": 3, "T": 4, "D": 2, "H": 3, "K": 3}
NEEDS = {
    "equinox": ("equinox",),
    "flax-nnx": ("flax",),
    "onnx-reference": ("onnx",),
    "onnxruntime": ("onnx", "onnxruntime"),
    "pytorch-crf": ("torchcrf",),
    "torch-struct": ("torch_struct",),
    "torchcrf": ("TorchCRF",),
    "torchrecurrent": ("torchrecurrent",),
}
CHOSEN = {"mgu": {"reset": "before", "update": "admits"}, "mgu_cell": {"reset": "before", "update": "admits"}}
PARTS = {
    "rnnspec.backends.libraries.onnx:OnnxReferenceBatchFirstBackend": ("onnx",),
    "rnnspec.backends.libraries.onnx:OnnxRuntimeFedBackend": ("onnx", "onnxruntime"),
}


def opened(name: str) -> Backend:
    for module in {**NEEDS, **PARTS}[name]:
        if find_spec(module) is None:
            pytest.skip(f"needs {module}")
    return open_backend(name)


def absent_in(backend: Backend, name: str) -> tuple[str, ...]:
    """Optional inputs that the method does not take."""
    return tuple(backend._taken(name).untaken - {"lengths", "mask"})


@pytest.mark.parametrize("name", [*NEEDS, *PARTS])
def test_it_answers_as_the_reference_does(name: str) -> None:
    backend, reference = opened(name), NumpyBackend()
    for one in backend.operations():
        attributes = {**operation(one).defaults(), **CHOSEN.get(one, {})}
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
    for one in backend.operations():
        op = operation(one)
        if not op.has_steps:
            continue
        plain: dict[str, Any] = {**op.defaults(), **CHOSEN.get(one, {})}
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
