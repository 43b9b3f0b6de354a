"""Activation functions, each with its backward pass from the gradient of the value to the argument's.

The backward passes of logistic and tanh read the value. Those of relu and of a clip read the argument, since the exact
argument, and not the rounded value, decides on which side of the kink it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnspec.spec.arrays import Array


@dataclass(frozen=True)
class Activation:
    """A function of one argument ``a``.

    ``value(a, out)`` computes it, into `out` unless that is None; `out` may be ``a`` itself. ``back(dv, a, v)`` is the
    gradient of ``a`` for the gradient ``dv`` of the value ``v``. Unless `reads_argument`, it reads only ``v``, and the
    contents of ``a`` do not matter.
    """

    value: Callable[[Array, Array | None], Array]
    back: Callable[[Array, Array, Array], Array]
    reads_argument: bool

    def __call__(self, a: Array, out: Array | None = None) -> Array:
        """Return the value at ``a``, in `out` if it is given."""
        return self.value(a, out)

    def clipped(self, clip: float) -> Activation:
        """Return the same function of an argument clipped to ``-clip .. clip``."""

        def value(a: Array, out: Array | None) -> Array:
            return self.value(np.where(a > clip, clip, np.where(a < -clip, -clip, a)), out)

        def back(dv: Array, a: Array, v: Array) -> Array:
            return np.where(np.abs(a) <= clip, self.back(dv, a, v), 0)

        return Activation(value, back, reads_argument=True)


def _logistic(a: Array, out: Array | None) -> Array:
    """``1 / (1 + exp(-a)) = (1 + tanh(a / 2)) / 2``: the second form cannot overflow."""
    v = np.multiply(a, 0.5, out=out)
    np.tanh(v, out=v)
    v += 1
    v *= 0.5
    return v


def _logistic_back(dv: Array, a: Array, v: Array) -> Array:
    da: Array = dv * (v * (1 - v))
    return da


def _tanh(a: Array, out: Array | None) -> Array:
    return np.tanh(a, out=out)


def _tanh_back(dv: Array, a: Array, v: Array) -> Array:
    da: Array = dv * (1 - v * v)
    return da


def _relu(a: Array, out: Array | None) -> Array:
    return np.maximum(a, 0, out=out)


def _relu_back(dv: Array, a: Array, v: Array) -> Array:
    return np.where(a > 0, dv, 0)


def _identity(a: Array, out: Array | None) -> Array:
    return np.multiply(a, 1, out=out)


def _identity_back(dv: Array, a: Array, v: Array) -> Array:
    return dv


logistic = Activation(_logistic, _logistic_back, reads_argument=False)
tanh = Activation(_tanh, _tanh_back, reads_argument=False)
relu = Activation(_relu, _relu_back, reads_argument=True)
identity = Activation(_identity, _identity_back, reads_argument=False)

ACTIVATIONS = {"logistic": logistic, "tanh": tanh, "relu": relu, "identity": identity}


def activation(name: str, clip: float | None = None) -> Activation:
    """Return the activation of that name; with `clip`, of a clipped argument."""
    function = ACTIVATIONS[name]
    return function if clip is None else function.clipped(clip)
