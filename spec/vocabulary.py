"""The functions that equations may use, each by its definition, for real and for complex arguments.

``name_prime`` is the derivative of ``name``. A function with a kink (relu, clipped) decides by the real part, so that a
complex step differentiates the branch it stands on; at the kink itself relu's derivative is 0 and clipped's is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def identity(a: Any) -> Any:
    """``a``."""
    return a


def identity_prime(a: Any) -> Any:
    """``1``."""
    return np.ones_like(a)


def logistic(a: Any) -> Any:
    """``1 / (1 + exp(-a))``."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-a))


def logistic_prime(a: Any) -> Any:
    """``logistic(a) (1 - logistic(a))``."""
    return logistic(a) * (1 - logistic(a))


def tanh_prime(a: Any) -> Any:
    """``1 - tanh(a)²``."""
    return 1 - np.tanh(a) ** 2


def relu(a: Any) -> Any:
    """``a`` where positive, else 0."""
    return np.where(np.real(a) > 0, a, 0)


def relu_prime(a: Any) -> Any:
    """1 where ``a`` is positive, else 0."""
    return np.where(np.real(a) > 0, 1.0, 0.0)


def clipped(a: Any, limit: Any) -> Any:
    """``a``, or the nearer end of ``-limit .. limit`` where it lies outside."""
    return np.where(np.real(a) > limit, limit, np.where(np.real(a) < -limit, -limit, a))


def inside(a: Any, limit: Any) -> Any:
    """1 where ``a`` lies in ``-limit .. limit``, else 0: the derivative of clipped."""
    return np.where(np.abs(np.real(a)) <= limit, 1.0, 0.0)


VOCABULARY: dict[str, Callable[..., Any]] = {
    "clipped": clipped,
    "exp": np.exp,
    "identity": identity,
    "identity_prime": identity_prime,
    "inside": inside,
    "log": np.log,
    "logistic": logistic,
    "logistic_prime": logistic_prime,
    "outer": np.outer,
    "relu": relu,
    "relu_prime": relu_prime,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "tanh_prime": tanh_prime,
}

ARGUMENTS = {name: 2 if name in ("clipped", "inside", "outer") else 1 for name in VOCABULARY}
"""How many arguments each function takes."""
