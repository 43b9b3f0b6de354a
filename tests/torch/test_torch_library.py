"""The base class of adapters in torch: conversions, derivatives, and tensors in the place of parameters."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnspec.backends import only  # noqa: E402
from rnnspec.backends.numpy import NumpyBackend  # noqa: E402
from rnnspec.backends.torch import TorchLibrary, holding  # noqa: E402
from rnnspec.conformance.cases import Case  # noqa: E402
from rnnspec.spec import operation  # noqa: E402

SIZES = {"B": 2, "T": 3, "D": 2, "H": 2}


class Cell(TorchLibrary):
    name = "cell"

    def rnn_cell(self, x, h_prev, W, R, b):  # type: ignore[no-untyped-def]
        return (torch.tanh(x @ W[0].T + h_prev @ R[0].T + b[0]),)


def case_of() -> Case:
    return Case("rnn_cell", "float64", SIZES, operation("rnn_cell").defaults(), absent=("b_R",))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_types_are_kept(dtype: str) -> None:
    array = np.array([[1.5, -2.25]], ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    back = Cell().to_numpy(Cell().to_native(array))
    assert back.dtype == array.dtype
    assert (back == array).all()


def test_gradients_of_both_orders_are_the_references() -> None:
    case, reference = case_of(), NumpyBackend()
    due = reference.gradients(case.call, case.cotangents)
    for name, got in Cell().gradients(case.call, case.cotangents).items():
        np.testing.assert_allclose(got, due[name], rtol=1e-12)
    asked = (case.call, case.cotangents, {"W": case.call.inputs["W"]})
    due = reference.second_order(*asked)
    for name, got in Cell().second_order(*asked).items():
        np.testing.assert_allclose(got, due[name], rtol=1e-10, atol=1e-14)


def test_a_declared_operation_has_no_gradient() -> None:
    class Without(Cell):
        @only(differentiable=False)
        def rnn_cell(self, x, h_prev, W, R, b):  # type: ignore[no-untyped-def]
            return (x,)

    assert not Without().has_gradients("rnn_cell")
    assert not Without().has_second_order("rnn_cell")
    assert Cell().has_gradients("rnn_cell")


def test_tensors_take_the_place_of_parameters() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1, bias=False))
    weight, bias = torch.ones(3, 2, requires_grad=True), torch.zeros(3)
    held = holding(module, {"0.weight": weight, "0.bias": bias, "1.weight": torch.ones(1, 3)})
    held(torch.tensor([[1.0, 2.0]])).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[1, 2]] * 3
    with pytest.raises(AttributeError):
        holding(module, {"0.weights": weight})


def test_its_version_is_told() -> None:
    assert Cell().versions() == {"torch": torch.__version__}
