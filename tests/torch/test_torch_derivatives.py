"""Gradients in part and gradients of gradients by autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnspec.backends import Unsupported  # noqa: E402
from rnnspec.backends.numpy import NumpyBackend  # noqa: E402
from rnnspec.backends.torch import TorchBackend, TorchCompileBackend  # noqa: E402
from rnnspec.conformance.cases import Case  # noqa: E402
from rnnspec.spec import operation  # noqa: E402

SIZES = {"B": 3, "T": 4, "D": 2, "H": 5, "S": 5, "K": 3}


def case(name: str, dtype: str = "float64", **attributes: Any) -> Case:
    return Case(name, dtype, SIZES, {**operation(name).defaults(), **attributes}, steps="lengths")


def test_what_is_not_used_or_not_wanted_is_not_seen_by_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    grad = torch.autograd.grad

    def noting(outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        asked.append((len(outputs), len(inputs)))
        return grad(outputs, inputs, *rest, **options)

    monkeypatch.setattr(torch.autograd, "grad", noting)
    one = case("lstm")
    seeds = (None, one.cotangents[1], None)
    got = TorchBackend().gradients(one.call, seeds, ["h0"])
    assert asked == [(1, 1)]
    np.testing.assert_allclose(got["h0"], NumpyBackend().gradients(one.call, seeds)["h0"], atol=1e-14)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("lstm", {}),
        ("lstm", {"clip": 0.5}),
        ("gru", {"reset": "before"}),
        ("layer_norm_lstm", {}),
        ("crf_log_likelihood", {}),
        ("embedding", {}),
        ("mean_absolute_error", {}),
    ],
)
def test_second_order_is_the_references(name: str, attributes: dict[str, Any]) -> None:
    one = case(name, **attributes)
    got = TorchBackend().second_order(one.call, one.cotangents, one.directions)
    expected = NumpyBackend().second_order(one.call, one.cotangents, one.directions)
    assert set(got) == set(expected)
    for key, gradient in expected.items():
        np.testing.assert_allclose(got[key], gradient, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("words", ["the derivative for '_cudnn_rnn_backward' is not implemented.", "double backward"])
def test_a_kernel_without_a_second_derivative_is_refused_in_torchs_words(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*given: Any, **options: Any) -> Any:
        raise NotImplementedError(words)

    monkeypatch.setattr(torch.autograd, "grad", failing)
    one = case("lstm")
    with pytest.raises(Unsupported, match=words.split("'")[0]):
        TorchBackend().second_order(one.call, one.cotangents, one.directions)


def test_another_error_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*given: Any, **options: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(torch.autograd, "grad", failing)
    one = case("lstm")
    with pytest.raises(RuntimeError, match="out of memory"):
        TorchBackend().second_order(one.call, one.cotangents, one.directions)


def test_what_is_compiled_has_no_second_order() -> None:
    has = TorchCompileBackend.has_second_order
    backend = object.__new__(TorchCompileBackend)
    assert has(backend, "lstm")
    assert not has(backend, "crf_log_partition")


def test_zeros_without_memory_come_back_as_zeros() -> None:
    zeros = torch._efficientzerotensor((2, 3), dtype=torch.bfloat16)
    np.testing.assert_array_equal(TorchBackend().to_numpy(zeros).astype(np.float32), np.zeros((2, 3), np.float32))
