"""Numbers near the ends of the type, and equal ones: torch loses digits there, and what is composed keeps them."""

from __future__ import annotations

import numpy as np
import pytest
from packaging.version import Version

torch = pytest.importorskip("torch")

from rnnspec import reference  # noqa: E402
from rnnspec.backends import Call  # noqa: E402
from rnnspec.backends.torch import TorchBackend  # noqa: E402
from rnnspec.backends.torch.arrays import TorchArrays  # noqa: E402

VECTOR = np.array([1.0, 2.0, -3.0])
COTANGENT = np.array([1.0, 0.5, 0.25])


@pytest.mark.skipif(Version(torch.__version__) >= Version("2.14"), reason="the entry speaks of torch before 2.14")
@pytest.mark.parametrize(("scale", "norm"), [(1e24, np.inf), (1e-24, 0.0)])
def test_torchs_norm_overflows_and_underflows(scale: float, norm: float) -> None:
    """As backends/torch/expected_failures.toml says; once it is right, the entry has had its day."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor(VECTOR * scale, dtype=torch.float32)
    assert torch.nn.utils.clip_grad_norm_([parameter], 1.0) == norm
    assert (norm == np.inf) == (parameter.grad.abs().max() == 0)


@pytest.mark.parametrize("epsilon", [0.0, 1e-6, 2.0])
@pytest.mark.parametrize("threshold", [0.01, 50.0])
@pytest.mark.parametrize("scale", [1e-24, 1.0, 1e24, 1e37])
def test_a_clipped_gradient_has_its_gradient_at_any_length(scale: float, threshold: float, epsilon: float) -> None:
    attributes = {"threshold": threshold, "epsilon": epsilon}
    x = (VECTOR * scale).astype(np.float32)
    got = TorchBackend().gradients(Call("clip_by_norm", {"x": x}, attributes), (COTANGENT.astype(np.float32),))["x"]
    due = reference.clip_by_norm_vjp(x.astype(np.float64), **attributes)[1](COTANGENT)["x"]
    np.testing.assert_allclose(got, due, rtol=0, atol=2e-6 * np.abs(due).max() + 2e-38)


@pytest.mark.parametrize("scale", [1e-24, 1e24])
def test_clipped_gradients_have_their_gradient_at_any_length(scale: float) -> None:
    inputs = {"x1": VECTOR * scale, "x2": VECTOR[:1] * scale, "x3": VECTOR[1:]}
    inputs = {name: x.astype(np.float32) for name, x in inputs.items()}
    cotangents = (COTANGENT, COTANGENT[:1], COTANGENT[1:], np.array(0.5))
    call = Call("clip_by_global_norm", inputs, {"threshold": 1.0, "epsilon": 0.0})
    got = TorchBackend().gradients(call, tuple(d.astype(np.float32) for d in cotangents))
    wide = {name: x.astype(np.float64) for name, x in inputs.items()}
    due = reference.clip_by_global_norm_vjp(**wide)[1](*cotangents)
    largest = max(np.abs(gradient).max() for gradient in due.values())
    for name, gradient in due.items():
        np.testing.assert_allclose(got[name], gradient, rtol=0, atol=2e-6 * largest)


def test_equal_numbers_have_their_gradient_through_layer_normalisation() -> None:
    epsilon = 1e-10
    numbers = torch.full((2, 3), 5.0, requires_grad=True)
    cotangent = torch.tensor([[1.1, 0.3, -0.7], [-0.9, 0.2, 1.3]])
    normalised = TorchArrays("cpu").layer_norm(numbers, epsilon)
    (gradient,) = torch.autograd.grad(normalised, numbers, cotangent)
    due = (cotangent.double() - cotangent.double().mean(-1, keepdim=True)) / epsilon**0.5
    assert normalised.abs().max() == 0
    np.testing.assert_allclose(gradient, due, rtol=0, atol=1e-6 * float(due.abs().max()))
