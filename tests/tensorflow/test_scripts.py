"""Repro scripts: Keras and TensorFlow alone compute what the adapter does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from rnnspec.backends.scripting import WIDEST
from rnnspec.backends.tensorflow import TensorFlowBackend, TensorFlowFunctionBackend, TensorFlowXlaBackend
from rnnspec.backends.tensorflow.natives import NATIVES, SCRIPTS
from rnnspec.conformance.cases import Case
from rnnspec.conformance.pages.frameworks import probes
from rnnspec.conformance.run.repro.source import LINES_OF_A_CALL
from rnnspec.spec import operations

EAGER = TensorFlowBackend()
SCRIPTED = list(SCRIPTS)


def native_cases(operation: str) -> Iterator[Case]:
    """Cases of an operation in every attribute value that Keras has, and with steps and states of every sort."""
    op = operations()[operation]
    usual = [replace(probe, sizes={**probe.sizes, "B": 3, "T": 4, "H": 5, "S": 5}, seed=3) for probe in probes(op)]
    if op.has_steps:
        usual += [replace(case, steps=steps) for case in usual for steps in ("lengths", "mask")]
        usual += [replace(case, sizes={**case.sizes, "B": 0}) for case in usual[-2:]]
    states = tuple(name for name in ("h0", "c0") if name in usual[0].items)
    usual += [replace(case, absent=absent) for case in usual[:6] for absent in (states, states[1:]) if absent]
    for case in usual:
        if EAGER.refusal(case.call) is None:
            yield case


def widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array


def executed(source: str | None, case: Case, **given: Any) -> dict[str, Any]:
    assert source is not None
    assert "rnnspec" not in source
    assert len(source.splitlines()) <= LINES_OF_A_CALL + 4 * ("tf.function" in source)
    assert max(len(line) for line in source.splitlines()) <= WIDEST
    inputs = {name: widened(array) for name, array in case.call.inputs.items()}
    scope: dict[str, Any] = {"inputs": inputs, "dtype": case.dtype, **given}
    exec(source, scope)
    return scope


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("operation", SCRIPTED)
def test_a_script_computes_what_the_adapter_does(operation: str, dtype: str) -> None:
    judged = 0
    for each in native_cases(operation):
        case = replace(each, dtype=dtype)
        if EAGER.refusal(case.call) is not None:  # the library has some operations in some types alone
            continue
        scope = executed(EAGER.script(case.call), case)
        assert "gradients" not in scope
        for got, expected in zip(scope["outputs"], EAGER.run(case.call), strict=True):
            np.testing.assert_array_equal(got, widened(expected), err_msg=str(case), strict=True)
        judged += 1
        if not NATIVES[operation].differentiable:
            assert EAGER.script(case.call, tuple(case.call.float_inputs)) is None
            continue
        gradients = EAGER.gradients(case.call, case.cotangents)
        source = EAGER.script(case.call, tuple(gradients))
        scope = executed(source, case, cotangents=[widened(cotangent) for cotangent in case.cotangents])
        assert set(scope["gradients"]) == set(gradients)
        for name, expected in gradients.items():
            np.testing.assert_array_equal(scope["gradients"][name], widened(expected), err_msg=str(case), strict=True)
    assert judged or (operation, dtype) == ("ctc_loss", "float64")


@pytest.mark.parametrize("backend", [TensorFlowFunctionBackend(), TensorFlowXlaBackend()], ids=lambda each: each.name)
@pytest.mark.parametrize("operation", ["gru", "stacked", "cross_entropy"])
def test_graphs_are_graphs_in_scripts_too(backend: TensorFlowBackend, operation: str) -> None:
    (case, *_) = native_cases(operation)
    source = backend.script(case.call)
    assert f"jit_compile={backend.name == 'tensorflow-xla'}" in str(source) or "tf.function" in str(source)
    for got, expected in zip(executed(source, case)["outputs"], backend.run(case.call), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
    gradients = backend.gradients(case.call, case.cotangents)
    found = executed(backend.script(case.call, tuple(gradients)), case, cotangents=list(case.cotangents))["gradients"]
    for name, expected in gradients.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_an_output_that_is_not_used_and_inputs_that_are_constants() -> None:
    (case, *_) = native_cases("lstm")
    cotangents = (None, case.cotangents[1], None)
    gradients = EAGER.gradients(case.call, cotangents, ["W"])
    scope = executed(EAGER.script(case.call, ["W"]), case, cotangents=list(cotangents))
    assert list(scope["gradients"]) == ["W"]
    np.testing.assert_array_equal(scope["gradients"]["W"], gradients["W"])


def test_what_is_composed_has_no_script() -> None:
    for name in ("token_accuracy", "crf_log_partition"):
        (case, *_) = probes(operations()[name])
        assert EAGER.script(case.call) is None
