"""The optimizers of torch.optim: what they take, what they leave to the composed ones, and a run of several steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnspec import spec
from rnnspec.backends import Call

torch = pytest.importorskip("torch")

from rnnspec.backends.torch import TorchBackend  # noqa: E402  (only where torch is installed)

X = np.linspace(-1, 1, 5)


def call(operation: str, **attributes: Any) -> Call:
    op = spec.operation(operation)
    complete = spec.check_attributes(op, attributes)
    return Call(operation, {name: np.abs(X) for name in op.inputs_for(complete)}, complete)


@pytest.mark.parametrize(
    ("operation", "attributes", "reason"),
    [
        ("sgd_step", {"momentum": 0.9, "velocity": "updates"}, "sums gradients"),
        ("rmsprop_step", {"epsilon_at": "inside"}, "root"),
        ("adam_step", {"epsilon_at": "uncorrected"}, "root"),
        ("adamw_step", {"correction": False}, "always corrects"),
    ],
)
def test_torch_refuses_what_its_class_does_not_do(operation: str, attributes: dict[str, Any], reason: str) -> None:
    refusal = TorchBackend().refusal(call(operation, **attributes))
    assert refusal is not None
    assert reason in refusal
    assert TorchBackend().refusal(call(operation)) is None


def test_ten_steps_are_those_of_one_optimizer_that_keeps_its_state() -> None:
    parameter = torch.nn.Parameter(torch.tensor(X))
    optimizer = torch.optim.AdamW([parameter], lr=0.1, weight_decay=0.01)
    backend, theta, m, v = TorchBackend(), X, 0 * X, 0 * X
    for step in range(1, 11):
        g = np.cos(theta * step)
        parameter.grad = torch.tensor(g)
        optimizer.step()
        attributes = spec.check_attributes(spec.operation("adamw_step"), {"learning_rate": 0.1, "step": step})
        theta, m, v = backend.run(Call("adamw_step", {"theta": theta, "g": g, "m": m, "v": v}, attributes))
    assert theta == pytest.approx(parameter.detach().numpy(), rel=1e-12)
