"""Activation functions and their derivatives, by the argument, in whatever type it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from rnnspec.spec.activations import chosen
from rnnspec.spec.arrays import Array
from rnnspec.spec.vocabulary import SELU


@dataclass(frozen=True)
class Function:
    """A function of one argument and its derivative, which is given the argument and the value there."""

    value: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]


def logistic_by_exp(a: Array) -> Array:
    """``1 / (1 + exp(-a))``; where the exponential overflows, 0 is right."""
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-a)))


def logistic_by_tanh(a: Array) -> Array:
    """``0.5 tanh(0.5 a) + 0.5``."""
    half = a.dtype.type(0.5)
    return np.asarray(half * np.tanh(half * a) + half)


def relu(a: Array) -> Array:
    """``a`` where positive, else 0."""
    return np.asarray(np.maximum(a, a.dtype.type(0)))


def elu(a: Array, alpha: float, scale: float = 1.0) -> Array:
    """``a`` where positive, else ``alpha (exp(a) - 1)``, times the scale."""
    return np.asarray(scale * np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0)))).astype(a.dtype)


def elu_slope(a: Array, alpha: float, scale: float = 1.0) -> Array:
    """The derivative of elu, the one of negative numbers at 0."""
    return np.asarray(scale * np.where(a > 0, 1, alpha * np.exp(np.minimum(a, 0)))).astype(a.dtype)


def _between(a: Array, low: float, high: float) -> Array:
    return (a > low) & (a < high)


def _constant(function: Function) -> Callable[..., Function]:
    return lambda: function


FUNCTIONS: dict[str, Callable[..., Function]] = {
    "logistic": _constant(Function(logistic_by_exp, lambda a, v: v * (1 - v))),
    "tanh": _constant(Function(np.tanh, lambda a, v: 1 - v * v)),
    "relu": _constant(Function(relu, lambda a, v: (a > 0).astype(a.dtype))),
    "identity": _constant(Function(lambda a: a, lambda a, v: np.ones_like(a))),
    "hard_sigmoid": lambda alpha, beta: Function(
        lambda a: np.clip(alpha * a + beta, 0, 1), lambda a, v: alpha * _between(v, 0, 1).astype(a.dtype)
    ),
    "leaky_relu": lambda alpha: Function(
        lambda a: np.where(a > 0, a, alpha * a), lambda a, v: np.where(a > 0, a.dtype.type(1), a.dtype.type(alpha))
    ),
    "thresholded_relu": lambda alpha: Function(
        lambda a: np.where(a > alpha, a, a.dtype.type(0)), lambda a, v: (a > alpha).astype(a.dtype)
    ),
    "scaled_tanh": lambda alpha, beta: Function(
        lambda a: alpha * np.tanh(beta * a), lambda a, v: alpha * beta * (1 - np.tanh(beta * a) ** 2)
    ),
    "affine": lambda alpha, beta: Function(lambda a: alpha * a + beta, lambda a, v: alpha * np.ones_like(a)),
    "elu": lambda alpha: Function(partial(elu, alpha=alpha), lambda a, v: elu_slope(a, alpha)),
    "selu": _constant(
        Function(partial(elu, alpha=SELU[1], scale=SELU[0]), lambda a, v: elu_slope(a, SELU[1], SELU[0]))
    ),
    "softsign": _constant(Function(lambda a: a / (1 + np.abs(a)), lambda a, v: 1 / (1 + np.abs(a)) ** 2)),
    "softplus": _constant(Function(lambda a: np.logaddexp(a, a.dtype.type(0)), lambda a, v: logistic_by_exp(a))),
    "relu6": _constant(Function(lambda a: np.clip(a, 0, 6), lambda a, v: _between(a, 0, 6).astype(a.dtype))),
}
"""By the names that the specification gives them, from their numbers."""


def named(text: str) -> Function:
    """Return the function that an attribute's value names."""
    name, numbers = chosen(text)
    return FUNCTIONS[name](*numbers)
