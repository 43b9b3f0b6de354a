"""JAX's backends: conversions, differentiation, and the functions where JAX's own would be wrong."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

jax = pytest.importorskip("jax")

from rnnspec.backends import Backend, open_backend  # noqa: E402
from rnnspec.backends.jax import JaxBackend, JaxJitBackend, JaxLibrary  # noqa: E402
from rnnspec.backends.jax.arrays import JaxArrays  # noqa: E402
from rnnspec.backends.numpy import NumpyBackend  # noqa: E402
from rnnspec.conformance.cases import Case  # noqa: E402
from rnnspec.spec import operation, operations  # noqa: E402

SIZES = {"B": 2, "T": 3, "D": 2, "H": 3, "S": 2, "K": 3, "L": 2}

every_backend = pytest.mark.parametrize("backend", [JaxBackend, JaxJitBackend])


def case_of(name: str, dtype: str = "float64", **attributes: Any) -> Case:
    return Case(name, dtype, SIZES, {**operation(name).defaults(), **attributes})


@every_backend
def test_every_operation_is_there(backend: type[Backend]) -> None:
    assert backend.operations() == tuple(operations())


@every_backend
@pytest.mark.parametrize("name", ["gru", "crf_marginals"])
def test_values_and_gradients_are_the_references(backend: type[Backend], name: str) -> None:
    case, mine, reference = case_of(name), backend(), NumpyBackend()
    for got, due in zip(mine.run(case.call), reference.run(case.call), strict=True):
        np.testing.assert_allclose(got, due, rtol=1e-12, atol=1e-14)
    due_gradients = reference.gradients(case.call, case.cotangents)
    for name, got in mine.gradients(case.call, case.cotangents).items():
        np.testing.assert_allclose(got, due_gradients[name], rtol=1e-10, atol=1e-13)


@every_backend
def test_second_order_is_the_references(backend: type[Backend]) -> None:
    case = case_of("rnn_cell")
    asked = (case.call, case.cotangents, {"W": case.call.inputs["W"], "x": case.call.inputs["x"]})
    due = NumpyBackend().second_order(*asked)
    for name, got in backend().second_order(*asked).items():
        np.testing.assert_allclose(got, due[name], rtol=1e-10, atol=1e-13)


@every_backend
def test_an_output_that_is_not_used_has_no_cotangent(backend: type[Backend]) -> None:
    case = case_of("lstm_cell")
    dh, dc = case.cotangents
    with_zeros = backend().gradients(case.call, (dh, np.zeros_like(dc)))
    without = backend().gradients(case.call, (dh, None), ("x", "W"))
    assert set(without) == {"x", "W"}
    for name, gradient in without.items():
        np.testing.assert_allclose(gradient, with_zeros[name], rtol=1e-12)


def test_a_call_is_compiled_once_for_its_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    relu = JaxArrays.relu
    monkeypatch.setattr(JaxArrays, "relu", lambda self, array: traced.append(array.shape) or relu(array))
    backend, case = JaxJitBackend(), case_of("rnn_cell", activation="relu")
    for _ in range(3):
        backend.run(case.call)
    assert len(traced) == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_types_are_kept(dtype: str) -> None:
    array = np.array([[1.5, -2.25]], ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    backend = JaxLibrary()
    back = backend.to_numpy(backend.to_native(array))
    assert back.dtype == array.dtype
    assert (back == array).all()


def test_whole_numbers_have_64_bits() -> None:
    assert JaxLibrary().to_native(np.array([2**40])).item() == 2**40


def test_abs_has_no_slope_at_0() -> None:
    assert jax.grad(JaxArrays().abs)(0.0) == 0
    assert jax.grad(JaxArrays().abs)(-2.0) == -1


def test_layer_norm_keeps_the_digits_of_numbers_that_are_nearly_equal() -> None:
    array = 1000 + np.array([0.001, -0.002, 0.001])
    apart = array - array.mean()
    due = apart / np.sqrt((apart**2).mean())
    np.testing.assert_allclose(JaxArrays().layer_norm(jax.numpy.asarray(array), 0.0), due, rtol=1e-6)


def test_singular_values_of_what_is_not_finite_are_nan() -> None:
    matrices = np.stack([np.eye(2), np.full((2, 2), np.inf)])
    values = np.array(JaxArrays().singular_values(jax.numpy.asarray(matrices)))
    assert values[0].tolist() == [1, 1]
    assert np.isnan(values[1]).all()


@pytest.mark.parametrize("traced", [False, True])
def test_a_recurrence_without_inputs_runs(traced: bool) -> None:
    arrays = JaxArrays(traced=traced)
    carry, left = arrays.scan(lambda before, now: ((before[0] + 1,), (before[0],)), (jax.numpy.asarray(0),), (), 3)
    assert carry[0] == 3
    assert left[0].tolist() == [0, 1, 2]


def test_a_library_without_jit_may_look_at_values() -> None:
    class Looks(JaxLibrary):
        name = "looks"
        jit = False

        def softmax(self, x, **attributes):  # type: ignore[no-untyped-def]
            return (x * float(x.sum()),)

    case = case_of("softmax")
    (got,) = Looks().run(case.call)
    np.testing.assert_allclose(got, case.call.inputs["x"] * case.call.inputs["x"].sum())


def test_an_unknown_device_is_told() -> None:
    with pytest.raises(Exception, match="expected a device in cpu"):
        open_backend("jax", "tpu:9")
