"""Activation functions, each with its backward pass from the gradient of the value to the argument's.

The backward passes of logistic and tanh read the value. Those of functions with a kink, and of a clip, read the
argument, since the exact argument, and not the rounded value, decides on which side of the kink it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnspec.spec.activations import chosen
from rnnspec.spec.arrays import Array
from rnnspec.spec.vocabulary import SELU


@dataclass(frozen=True)
class Elementwise:
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

    def clipped(self, clip: float) -> Elementwise:
        """Return the same function of an argument clipped to ``-clip .. clip``."""

        def value(a: Array, out: Array | None) -> Array:
            return self.value(np.where(a > clip, clip, np.where(a < -clip, -clip, a)), out)

        def back(dv: Array, a: Array, v: Array) -> Array:
            return np.where(np.abs(a) <= clip, self.back(dv, a, v), 0)

        return Elementwise(value, back, reads_argument=True)


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


def _hard_sigmoid(alpha: float, beta: float) -> Elementwise:
    def value(a: Array, out: Array | None) -> Array:
        return _into(out, np.minimum(np.maximum(alpha * a + beta, 0), 1))

    def back(dv: Array, a: Array, v: Array) -> Array:
        line = alpha * a + beta
        return np.where(line > 0, np.where(line < 1, dv * alpha, 0), 0)

    return Elementwise(value, back, reads_argument=True)


def _leaky_relu(alpha: float) -> Elementwise:
    return Elementwise(
        lambda a, out: _into(out, np.where(a > 0, a, a * alpha)),
        lambda dv, a, v: np.where(a > 0, dv, dv * alpha),
        reads_argument=True,
    )


def _thresholded_relu(alpha: float) -> Elementwise:
    return Elementwise(
        lambda a, out: _into(out, np.where(a > alpha, a, 0)),
        lambda dv, a, v: np.where(a > alpha, dv, 0),
        reads_argument=True,
    )


def _scaled_tanh(alpha: float, beta: float) -> Elementwise:
    def back(dv: Array, a: Array, v: Array) -> Array:
        return _tanh_back(dv * (alpha * beta), a, np.tanh(a * beta))

    return Elementwise(lambda a, out: _into(out, np.tanh(a * beta) * alpha), back, reads_argument=True)


def _affine(alpha: float, beta: float) -> Elementwise:
    return Elementwise(lambda a, out: _into(out, a * alpha + beta), lambda dv, a, v: dv * alpha, reads_argument=False)


def _elu(alpha: float, scale: float = 1.0) -> Elementwise:
    def value(a: Array, out: Array | None) -> Array:
        return _into(out, np.where(a > 0, a, np.expm1(np.where(a > 0, 0, a)) * alpha) * scale)

    def back(dv: Array, a: Array, v: Array) -> Array:
        # From the value, as frameworks have it: exp(a) itself is more exact far below 0, and no one's gradient is.
        return np.where(a > 0, dv, dv * (np.expm1(np.where(a > 0, 0, a)) * alpha + alpha)) * scale

    return Elementwise(value, back, reads_argument=True)


def _softsign(a: Array, out: Array | None) -> Array:
    return _into(out, a / (np.abs(a) + 1))


def _softsign_back(dv: Array, a: Array, v: Array) -> Array:
    # As a quotient is differentiated, which most implementations do: where |a| is large, little is left of it.
    size = np.abs(a)
    share = dv / (size + 1)
    da: Array = share - share * (size / (size + 1))
    return da


def _softplus(a: Array, out: Array | None) -> Array:
    """``log(1 + exp(a))``, of an exponential that cannot overflow.

    Both parts take one side where the argument is 0: the slope of either alone does not exist there.
    """
    return _into(out, np.where(a > 0, a, 0) + np.log1p(np.exp(np.where(a > 0, -a, a))))


def _softplus_back(dv: Array, a: Array, v: Array) -> Array:
    da: Array = dv * _logistic(a, None)
    return da


def _relu6(a: Array, out: Array | None) -> Array:
    return _into(out, np.minimum(np.maximum(a, 0), 6))


def _relu6_back(dv: Array, a: Array, v: Array) -> Array:
    return np.where(a > 0, np.where(a < 6, dv, 0), 0)


def _into(out: Array | None, v: Array) -> Array:
    """Return a value, written to `out` if that is given."""
    if out is None:
        return v
    out[...] = v
    return out


logistic = Elementwise(_logistic, _logistic_back, reads_argument=False)
tanh = Elementwise(_tanh, _tanh_back, reads_argument=False)
relu = Elementwise(_relu, _relu_back, reads_argument=True)
identity = Elementwise(_identity, _identity_back, reads_argument=False)

ACTIVATIONS: dict[str, Callable[..., Elementwise]] = {
    "logistic": lambda: logistic,
    "tanh": lambda: tanh,
    "relu": lambda: relu,
    "identity": lambda: identity,
    "hard_sigmoid": _hard_sigmoid,
    "leaky_relu": _leaky_relu,
    "thresholded_relu": _thresholded_relu,
    "scaled_tanh": _scaled_tanh,
    "affine": _affine,
    "elu": _elu,
    "selu": lambda: _elu(SELU[1], SELU[0]),
    "softsign": lambda: Elementwise(_softsign, _softsign_back, reads_argument=True),
    "softplus": lambda: Elementwise(_softplus, _softplus_back, reads_argument=True),
    "relu6": lambda: Elementwise(_relu6, _relu6_back, reads_argument=True),
}
"""By name, functions from an activation's numbers to the activation."""


def activation(text: str, clip: float | None = None) -> Elementwise:
    """Return the activation that an attribute's value names; with `clip`, of a clipped argument."""
    name, numbers = chosen(text)
    function = ACTIVATIONS[name](*numbers)
    return function if clip is None else function.clipped(clip)
