"""The functions that attributes name, on any framework's arrays.

A function with a kink is a choice by its argument, and no maximum: frameworks share out the gradient of equals.
"""

from __future__ import annotations

from collections.abc import Callable

from rnnspec.backends.composed.arrays import ArrayNamespace, Tensor
from rnnspec.spec.activations import ACTIVATIONS, chosen
from rnnspec.spec.vocabulary import SELU

Function = Callable[[Tensor], Tensor]


def named(xp: ArrayNamespace, text: str) -> Function:
    """Return the function that an attribute's value names: one of the framework's own, or one that is composed."""
    if text not in ACTIVATIONS and ":" not in text:  # of one operation alone, as softmax
        return _own(xp, text)
    name, numbers = chosen(text)
    match name, numbers:
        case "identity", _:
            return lambda a: a
        case "hard_sigmoid", (alpha, beta):
            return lambda a: _between(xp, alpha * a + beta, 1.0)
        case "leaky_relu", (alpha,):
            return lambda a: xp.where(a > 0, a, alpha * a)
        case "thresholded_relu", (alpha,):
            return lambda a: xp.where(a > alpha, a, 0.0)
        case "scaled_tanh", (alpha, beta):
            return lambda a: alpha * xp.tanh(beta * a)
        case "affine", (alpha, beta):
            return lambda a: alpha * a + beta
        case "elu", (alpha,):
            return lambda a: xp.where(a > 0, a, alpha * _expm1(xp, a))
        case "selu", _:
            scale, alpha = SELU
            return lambda a: scale * xp.where(a > 0, a, alpha * _expm1(xp, a))
        case "softsign", _:
            return lambda a: a / (1 + xp.abs(a))
        case "softplus", _:
            return lambda a: -xp.log_logistic(-a)
        case "relu6", _:
            return lambda a: _between(xp, a, 6.0)
    return _own(xp, name)


def _own(xp: ArrayNamespace, name: str) -> Function:
    function: Function = getattr(xp, name)
    return function


def _between(xp: ArrayNamespace, a: Tensor, most: float) -> Tensor:
    """The argument, or the nearer of 0 and `most` where it lies beyond."""
    return xp.where(a > 0, xp.where(a < most, a, most), 0.0)


def _expm1(xp: ArrayNamespace, a: Tensor) -> Tensor:
    """``exp(a) - 1`` of what is not positive, exact near 0; of what is positive, 0."""
    half = xp.tanh(xp.where(a > 0, 0.0, a) / 2)
    return 2 * half / (1 - half)
