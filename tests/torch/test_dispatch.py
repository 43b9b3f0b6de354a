"""Native and composed operations, the timed contenders, CUDA's refusals, and the compiled mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnspec import spec  # noqa: E402
from rnnspec.backends import BackendError, Call, open_backend  # noqa: E402
from rnnspec.backends.native import Native  # noqa: E402
from rnnspec.backends.torch import TorchBackend  # noqa: E402
from rnnspec.backends.torch.natives import NATIVES  # noqa: E402
from rnnspec.backends.torch.precision import full_precision  # noqa: E402
from rnnspec.conformance.cases import Case  # noqa: E402
from rnnspec.spec import operation  # noqa: E402

SIZES = {"B": 3, "T": 4, "D": 2, "H": 5, "S": 3}
without_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def case(name: str, dtype: str = "float64", **attributes: Any) -> Case:
    return Case(name, dtype, SIZES, {**operation(name).defaults(), **attributes})


class Recording(TorchBackend):
    """Torch, with a note of every native function that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []
        self.natives = {name: self._noting(name, native) for name, native in NATIVES.items()}  # type: ignore[misc]

    def _noting(self, name: str, native: Native) -> Native:
        def function(**arguments: Any) -> tuple[Any, ...]:
            self.ran.append(name)
            return native.function(**arguments)

        return Native(native.calls, function, native.refuse, native.differentiable)


def test_every_operation_is_there() -> None:
    assert set(TorchBackend.operations()) == set(spec.operations())


def test_torchs_own_runs_where_it_can_and_the_composed_one_elsewhere() -> None:
    backend = Recording()
    backend.run(case("lstm").call)
    assert backend.ran == ["lstm"]
    clipped = case("lstm", clip=0.3)
    assert backend.refusal(clipped.call) == "torch's LSTM does not clip"
    backend.run(clipped.call)
    backend.gradients(clipped.call, clipped.cotangents)
    assert backend.ran == ["lstm"]


def test_a_gradient_that_torch_has_not_is_composed() -> None:
    backend, clipped = Recording(), case("clip_by_value", threshold=0.5)
    (y,) = backend.run(clipped.call)
    assert backend.ran == ["clip_by_value"]
    assert "no gradient" in (backend.refusal(clipped.call, gradient=True) or "")
    assert backend.refusal(clipped.call) is None
    x, (dy,) = clipped.call.inputs["x"], clipped.cotangents
    np.testing.assert_array_equal(y, x.clip(-0.5, 0.5))
    gradient = backend.gradients(clipped.call, (dy,))["x"]
    np.testing.assert_array_equal(gradient, np.where(np.abs(x) <= 0.5, dy, 0))
    assert backend.ran == ["clip_by_value"]


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", "none"])
@pytest.mark.parametrize("layer", ["rnn", "lstm", "gru"])
def test_merged_directions_are_torchs_halves(layer: str, merge: str) -> None:
    call = case("bidirectional", layer=layer, merge=merge).call
    assert TorchBackend().refusal(call) is None
    joined = TorchBackend().run(case("bidirectional", layer=layer).call)[0]
    forward, reverse = np.split(joined, 2, axis=2)
    wanted = {
        "concat": [joined],
        "sum": [forward + reverse],
        "mul": [forward * reverse],
        "ave": [(forward + reverse) / 2],
        "none": [forward, reverse],
    }
    got = TorchBackend().run(call)
    for array, expected in zip(got, wanted[merge], strict=False):
        np.testing.assert_allclose(array, expected, rtol=1e-15)


def test_a_call_is_held_against_the_specification_once_and_not_when_it_is_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted: list[str] = []
    monkeypatch.setattr(TorchBackend, "accept", lambda self, call: accepted.append(call.operation))
    timed = case("lstm")
    for cotangents in (None, timed.cotangents):
        accepted.clear()
        prepared = TorchBackend().prepare(timed.call, cotangents)
        for _ in range(3):
            prepared.run()
        assert accepted == ["lstm"]


def test_autograd_runs_only_where_a_gradient_is_asked_for() -> None:
    modes: list[bool] = []
    asked, backend = case("dense"), Recording()

    class Noting(list[str]):
        def append(self, name: str) -> None:
            modes.append(torch.is_grad_enabled())

    backend.ran = Noting()
    backend.run(asked.call)
    backend.gradients(asked.call, asked.cotangents)
    assert modes == [False, True]


# CUDA.


def flags() -> dict[str, bool]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return {
        "tf32 in products": matmul.allow_tf32,
        "float16 sums": matmul.allow_fp16_reduced_precision_reduction,
        "bfloat16 sums": matmul.allow_bf16_reduced_precision_reduction,
        "tf32 in cuDNN": cudnn.allow_tf32,
        "cuDNN varies": not cudnn.deterministic,
    }


def test_full_precision_is_switched_on_and_back() -> None:
    before = flags()
    assert any(before.values())
    with full_precision():
        assert not any(flags().values())
    assert flags() == before


def test_full_precision_is_switched_back_after_an_error() -> None:
    before = flags()
    with pytest.raises(ValueError, match="torch fails"), full_precision():
        raise ValueError("torch fails")
    assert flags() == before


@without_cuda
@pytest.mark.parametrize("name", ["lstm", "dense", "cross_entropy", "crf_log_likelihood"])
def test_a_cuda_device_computes_what_the_cpu_does(name: str) -> None:
    asked, cuda = case(name), TorchBackend("cuda")
    for got, expected in zip(cuda.run(asked.call), TorchBackend().run(asked.call), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    gradients = cuda.gradients(asked.call, asked.cotangents)
    for key, expected in TorchBackend().gradients(asked.call, asked.cotangents).items():
        np.testing.assert_allclose(gradients[key], expected, rtol=1e-10, atol=1e-12)
    assert set(cuda.versions()) == {"torch", "cuda", "cudnn", "tf32", "16-bit accumulation"}


# Compiled.


def test_without_a_compiler_the_compiled_mode_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BackendError, match="needs a C\\+\\+ compiler: expected no-such-compiler"):
        open_backend("rnnspec.backends.torch:TorchCompileBackend")


def compiled_backend() -> TorchBackend:
    try:
        backend = open_backend("rnnspec.backends.torch:TorchCompileBackend")
    except BackendError as error:
        pytest.skip(str(error))
    assert isinstance(backend, TorchBackend)
    return backend


@pytest.mark.filterwarnings("ignore")  # what torch's compiler has to say of itself
@pytest.mark.parametrize("asked", [case("dense"), case("lstm"), case("attention_context")], ids=lambda c: c.operation)
def test_what_is_compiled_computes_the_same(asked: Case) -> None:
    backend = compiled_backend()
    for got, expected in zip(backend.run(asked.call), TorchBackend().run(asked.call), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    gradients = backend.gradients(asked.call, asked.cotangents)
    for key, expected in TorchBackend().gradients(asked.call, asked.cotangents).items():
        np.testing.assert_allclose(gradients[key], expected, rtol=1e-12, atol=1e-12)


def test_bad_input_is_an_error_before_anything_is_compiled() -> None:
    with pytest.raises(ValueError, match="expected"):
        compiled_backend().run(Call("dense", {"x": np.ones(3)}, {"activation": "tanh"}))
