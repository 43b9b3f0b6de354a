"""torch.compile: what inductor gets wrong, on torch alone, and what is not compiled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from packaging.version import Version

torch = pytest.importorskip("torch")

from rnnspec.backends import Call  # noqa: E402
from rnnspec.backends.torch import TorchCompileBackend  # noqa: E402
from rnnspec.conformance.cases import Case  # noqa: E402
from rnnspec.spec import operation  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # inductor itself uses it


@pytest.fixture(autouse=True)
def backend() -> TorchCompileBackend:
    try:
        return TorchCompileBackend()
    except RuntimeError as error:  # no compiler of C++
        pytest.skip(str(error))


def gates(a: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """The elementwise part of an LSTM cell."""
    a_ifo, a_g = torch.split(a, [9, 3], -1)
    i, f, o = torch.split(torch.sigmoid(a_ifo), [3, 3, 3], -1)
    return o * torch.tanh(f * c + i * torch.tanh(a_g))


def gradient(function: Callable[..., torch.Tensor], batch: int) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(0)
    a, c = (torch.randn(batch, size, generator=numbers, requires_grad=True) for size in (12, 3))
    return torch.autograd.grad(function(a, c).sum(), (a, c))[0]


@pytest.mark.skipif(Version(torch.__version__) >= Version("2.14"), reason="the entry speaks of torch before 2.14")
def test_a_batch_of_one_has_wrong_gradients() -> None:
    """As backends/torch/expected_failures_compiled.toml says; once it is right, the entry has had its day."""
    compiled = torch.compile(gates)
    torch.testing.assert_close(gradient(compiled, 2), gradient(gates, 2))
    assert (gradient(compiled, 1) - gradient(gates, 1)).abs().max() > 1e-3
    torch.compiler.reset()
    # The cache does not care for the setting.
    with torch._inductor.config.patch(fx_graph_cache=False), torch._functorch.config.patch(donated_buffer=False):
        torch.testing.assert_close(gradient(torch.compile(gates), 1), gradient(gates, 1))


def test_the_jacobian_is_left_to_eager_torch(backend: TorchCompileBackend) -> None:
    attributes = {**operation("state_jacobian").defaults(), "layer": "layer_norm_lstm"}
    case = Case("state_jacobian", "float64", {"B": 1, "T": 1, "D": 1, "H": 2}, attributes, seed=1)
    jacobian, _ = backend.run(case.call)
    assert jacobian.shape == (1, 1, 4, 4)
    assert np.isfinite(jacobian).all()


def test_a_vector_within_the_threshold_is_not_clipped_at_all(backend: TorchCompileBackend) -> None:
    x = np.array([0.3], np.float32)
    (y,) = backend.run(Call("clip_by_norm", {"x": x}, {"threshold": 1.4, "epsilon": 0.0}))
    np.testing.assert_array_equal(y, x)
