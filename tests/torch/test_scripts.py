"""Repro scripts: torch alone computes what the adapter does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnspec.backends.torch import TorchBackend  # noqa: E402
from rnnspec.backends.torch.natives import NATIVES  # noqa: E402
from rnnspec.conformance.cases import Case  # noqa: E402
from rnnspec.conformance.pages.frameworks import probes  # noqa: E402
from rnnspec.conformance.run.repro.source import LINES_OF_A_CALL  # noqa: E402
from rnnspec.spec import operations  # noqa: E402

WITHOUT = ("one_to_many", "alternating_stack", "bidirectional_stack")  # several calls of torch's layers
SCRIPTED = [name for name in NATIVES if name not in WITHOUT]


def native_cases(operation: str) -> Iterator[Case]:
    """Cases of an operation in every attribute value that torch has, and with steps and states of every sort."""
    op, backend = operations()[operation], TorchBackend()
    usual = [replace(probe, sizes={**probe.sizes, "B": 3, "T": 4, "H": 5, "S": 3}, seed=3) for probe in probes(op)]
    if op.has_steps:
        usual += [replace(case, steps=steps) for case in usual for steps in ("lengths", "right_mask")]
        usual += [replace(case, sizes={**case.sizes, "B": 0}) for case in usual[-2:]]
    states = tuple(name for name in ("h0", "c0") if name in usual[0].items)
    usual += [replace(case, absent=absent) for case in usual[:6] for absent in (states, states[1:]) if absent]
    for case in usual:
        if backend.refusal(case.call) is None and case.attributes.get("dropout") is None:
            yield case


def widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array


def executed(source: str | None, case: Case, **given: Any) -> dict[str, Any]:
    assert source is not None
    assert "rnnspec" not in source
    assert len(source.splitlines()) <= LINES_OF_A_CALL + (3 if "directions" in given else 0)
    assert max(len(line) for line in source.splitlines()) <= 120
    inputs = {name: widened(array) for name, array in case.call.inputs.items()}
    scope: dict[str, Any] = {"inputs": inputs, "dtype": case.dtype, **given}
    with torch.enable_grad():  # a script without gradients switches them off for good
        exec(source, scope)
    return scope


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("operation", SCRIPTED)
def test_a_script_computes_what_the_adapter_does(operation: str, dtype: str) -> None:
    backend, judged = TorchBackend(), 0
    for each in native_cases(operation):
        case = replace(each, dtype=dtype)
        scope = executed(backend.script(case.call), case)
        assert "gradients" not in scope
        for got, expected in zip(scope["outputs"], backend.run(case.call), strict=True):
            np.testing.assert_array_equal(got, widened(expected), err_msg=str(case), strict=True)
        judged += 1
        if not NATIVES[operation].differentiable:
            assert backend.script(case.call, tuple(case.call.float_inputs)) is None
            continue
        gradients = backend.gradients(case.call, case.cotangents)
        source = backend.script(case.call, tuple(gradients))
        scope = executed(source, case, cotangents=[widened(cotangent) for cotangent in case.cotangents])
        assert set(scope["gradients"]) == set(gradients)
        for name, expected in gradients.items():
            np.testing.assert_array_equal(scope["gradients"][name], widened(expected), err_msg=str(case), strict=True)
    assert judged


def test_an_output_that_is_not_used_and_inputs_that_are_constants() -> None:
    (case, *_) = native_cases("lstm")
    backend = TorchBackend()
    cotangents = (None, case.cotangents[1], None)
    gradients = backend.gradients(case.call, cotangents, ["W"])
    scope = executed(backend.script(case.call, ["W"]), case, cotangents=list(cotangents))
    assert list(scope["gradients"]) == ["W"]
    np.testing.assert_array_equal(scope["gradients"]["W"], gradients["W"])
    assert not scope["t"]["x"].requires_grad


@pytest.mark.parametrize("operation", ["gru", "lstm_cell", "cross_entropy"])
def test_second_order(operation: str) -> None:
    (case, *_) = native_cases(operation)
    backend = TorchBackend()
    directions = {name: np.sin(array) for name, array in list(case.call.float_inputs.items())[:2]}
    expected = backend.second_order(case.call, case.cotangents, directions)
    source = backend.script(case.call, tuple(expected), tuple(directions))
    scope = executed(source, case, cotangents=list(case.cotangents), directions=directions)
    assert set(scope["gradients"]) == set(expected)
    for name, gradient in expected.items():
        np.testing.assert_array_equal(scope["gradients"][name], gradient)


def test_what_is_no_single_call_of_torch_has_no_script() -> None:
    backend = TorchBackend()
    for name in ("token_accuracy", *WITHOUT):
        (case, *_) = probes(operations()[name])
        assert backend.script(case.call) is None
