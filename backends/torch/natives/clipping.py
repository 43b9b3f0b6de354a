"""Clipping of gradients by torch.nn.utils.

Torch clips the gradients of parameters, in place and without a gradient of its own; so there are parameters here whose
gradients are the arrays to clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.native import Native, native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.torch.arrays import Outputs

EPSILON: Final = 1e-6
"""The number that torch adds to the norm."""


def _refuse_epsilon(*, epsilon: float, **others: Any) -> None:
    if epsilon != EPSILON:
        raise Unsupported("torch's clip_grad_norm_ adds 1e-6 to the norm, and nothing else: epsilon = 1e-6")


@native("torch.nn.utils.clip_grad_value_", differentiable=False)
def clip_by_value(*, x: Tensor, threshold: float) -> Outputs:
    """Return y."""
    parameter = _with_gradient(x)
    clip_grad_value_([parameter], threshold)
    return (_gradient(parameter),)


@native("torch.nn.utils.clip_grad_norm_", _refuse_epsilon, differentiable=False)
def clip_by_norm(*, x: Tensor, threshold: float, epsilon: float) -> Outputs:
    """Return y."""
    parameter = _with_gradient(x)
    clip_grad_norm_([parameter], threshold)
    return (_gradient(parameter),)


@native("torch.nn.utils.clip_grad_norm_", _refuse_epsilon, differentiable=False)
def clip_by_global_norm(*, x1: Tensor, x2: Tensor, x3: Tensor, threshold: float, epsilon: float) -> Outputs:
    """Return y1, y2, y3 and their norm before."""
    parameters = [_with_gradient(x) for x in (x1, x2, x3)]
    norm = clip_grad_norm_(parameters, threshold)
    return (*(_gradient(parameter) for parameter in parameters), norm)


def _with_gradient(x: Tensor) -> Parameter:
    parameter = Parameter(x)
    parameter.grad = x.clone()
    return parameter


def _gradient(parameter: Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _source(call: Call) -> Lines:
    """Torch clips the gradients of parameters, in place."""
    name = "clip_grad_value_" if call.operation == "clip_by_value" else "clip_grad_norm_"
    lines = [
        f"parameters = [torch.nn.Parameter(t[k]) for k in {list(call.inputs)}]",
        "for p in parameters:",
        "    p.grad = p.detach().clone()",
        f"norm = torch.nn.utils.{name}(parameters, {call.attributes['threshold']!r})",
    ]
    norm = ", norm" if call.operation == "clip_by_global_norm" else ""
    return Lines([*lines, f"results = [*(p.grad for p in parameters){norm}]"])


NATIVES: Final[Mapping[str, Native]] = {
    "clip_by_value": clip_by_value,
    "clip_by_norm": clip_by_norm,
    "clip_by_global_norm": clip_by_global_norm,
}
SCRIPTS: Final[Mapping[str, Script]] = dict.fromkeys(NATIVES, _source)
