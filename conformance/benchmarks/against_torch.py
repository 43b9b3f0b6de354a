"""The reference against torch, and torch through its adapter against torch called directly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from rnnspec import reference
from rnnspec.backends.torch import TorchBackend, from_spec
from rnnspec.conformance.benchmarks.calls import LARGE, layer_case
from rnnspec.conformance.benchmarks.measuring import Effort, Row, Section, interleaved, ratio_row
from rnnspec.conformance.cases import Case

MODULES: Final[dict[str, Callable[..., nn.RNNBase]]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
FORWARD_TARGETS: Final = {"lstm": 1.3}
BACKWARD_TARGETS: Final = {"lstm": 2.0}


def reference_against_torch(effort: Effort) -> Section:
    """Time of the reference as a multiple of torch's."""
    rows: list[Row] = []
    for name in MODULES:
        case = layer_case(name)
        ours, products, theirs = interleaved((_reference(case), _products(case), _torch(case)), effort.repetitions)
        both = interleaved((_reference_gradients(case), _torch_gradients(case)), effort.repetitions)
        rows += [
            ratio_row(f"{name}, forward", (ours, theirs), FORWARD_TARGETS.get(name)),
            ratio_row(f"{name}, the products of the forward pass alone", (products, theirs)),
            ratio_row(f"{name}, forward and backward", both, BACKWARD_TARGETS.get(name)),
        ]
    return Section(
        "The reference against torch",
        f"Time of the NumPy reference as a multiple of that of torch's own module: {LARGE}, float32, gradients of the "
        f"input and of all parameters; {_threads()}. Torch's forward pass runs under `no_grad`. The products alone, "
        "`W @ x` and `R @ h` of every step in NumPy, are nearly the least that a forward pass written in NumPy takes.",
        tuple(rows),
    )


def adapter_overhead(effort: Effort) -> Section:
    """Time through the adapter as a multiple of a direct call."""
    case, backend = layer_case("lstm"), TorchBackend()
    forward = interleaved((backend.prepare(case.call).run, _torch(case)), effort.repetitions)
    prepared = backend.prepare(case.call, case.cotangents)
    both = interleaved((prepared.run, _torch_gradients(case)), effort.repetitions)
    return Section(
        "What the torch adapter adds",
        "`Backend.prepare(call).run` as a multiple of a direct call of the same `nn.LSTM`, its weights loaded: "
        f"{LARGE}, float32; {_threads()}.",
        (ratio_row("lstm, forward", forward), ratio_row("lstm, forward and backward", both)),
    )


def _threads() -> str:
    count = torch.get_num_threads()
    return f"{count} thread{'s' * (count > 1)} for each"


def _reference(case: Case) -> Callable[[], Any]:
    function, call = getattr(reference, case.operation), case.call
    return lambda: function(**call.inputs, **call.attributes)


def _reference_gradients(case: Case) -> Callable[[], Any]:
    function, call = getattr(reference, case.operation + "_vjp"), case.call

    def run() -> Any:
        _, vjp = function(**call.inputs, **call.attributes)
        return vjp(*case.cotangents)

    return run


def _products(case: Case) -> Callable[[], Any]:
    """``W @ x + R @ h`` for every step, and nothing else."""
    x = case.call.inputs["x"].transpose(1, 2, 0)
    W, R = (case.call.inputs[name].reshape(-1, case.call.inputs[name].shape[2]) for name in "WR")
    h = np.ones((R.shape[1], x.shape[2]), x.dtype)

    def run() -> None:
        for x_t in x:
            _ = W @ x_t
            _ = R @ h

    return run


def _module(case: Case) -> tuple[nn.RNNBase, torch.Tensor]:
    """Torch's module with the case's weights, and the case's x."""
    inputs = {name: torch.from_numpy(array) for name, array in case.call.inputs.items()}
    module = MODULES[case.operation](case.sizes["D"], case.sizes["H"], batch_first=True)
    arguments: dict[str, Any] = {"family": case.operation, **inputs}
    x = arguments.pop("x")
    module.load_state_dict(from_spec(**arguments, suffix="_l0"))
    return module, x


def _torch(case: Case) -> Callable[[], Any]:
    module, x = _module(case)

    def run() -> Any:
        with torch.no_grad():
            return module(x)

    return run


def _torch_gradients(case: Case) -> Callable[[], Any]:
    module, x = _module(case)
    leaves = (x.requires_grad_(), *module.parameters())
    dy, *dfinals = (torch.from_numpy(cotangent) for cotangent in case.cotangents)

    def run() -> Any:
        y, finals = module(x)
        outputs = (y, *(finals if isinstance(finals, tuple) else (finals,)))
        return torch.autograd.grad(outputs, leaves, (dy, *(d[None] for d in dfinals)))

    return run
