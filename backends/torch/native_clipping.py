"""Clipping of gradients by torch.nn.utils.

Torch clips the gradients of parameters, in place and without a gradient of its own; so there are parameters here whose
gradients are the arrays to clip.
"""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from rnnspec.backends.contract import Unsupported
from rnnspec.backends.native import native

Outputs = tuple[Tensor, ...]

EPSILON: Final = 1e-6
"""What torch adds to the norm."""


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
