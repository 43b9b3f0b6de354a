"""Activation functions and their derivatives, by the argument, in whatever type it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnspec.spec.arrays import Array


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


FUNCTIONS = {
    "logistic": Function(logistic_by_exp, lambda a, v: v * (1 - v)),
    "tanh": Function(np.tanh, lambda a, v: 1 - v * v),
    "relu": Function(relu, lambda a, v: (a > 0).astype(a.dtype)),
}
"""By the names that the specification gives them."""
