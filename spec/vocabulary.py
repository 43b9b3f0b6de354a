"""The functions that equations may use, each by its definition, for real and for complex arguments.

``name_prime`` is the derivative of ``name``. Functions with a kink or a choice (relu, clipped, max, argmax, sign)
decide by the real part, so that a complex step differentiates the chosen branch. At a kink, the derivative of a
function that is constant on one side is 0, and that of leaky_relu, elu and selu the one on the negative side; clipped's
is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnnspec.spec.activations import ACTIVATIONS


def identity(a: Any) -> Any:
    """Return ``a``."""
    return a


def identity_prime(a: Any) -> Any:
    """Return ``1``."""
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


def hard_sigmoid(a: Any, alpha: Any, beta: Any) -> Any:
    """``alpha a + beta``, or the nearer of 0 and 1 where it lies beyond."""
    v = alpha * a + beta
    return np.where(np.real(v) > 0, np.where(np.real(v) < 1, v, 1), 0)


def hard_sigmoid_prime(a: Any, alpha: Any, beta: Any) -> Any:
    """``alpha`` where ``alpha a + beta`` lies between 0 and 1, else 0."""
    v = np.real(alpha * a + beta)
    return np.where((v > 0) & (v < 1), alpha, 0.0)


def leaky_relu(a: Any, alpha: Any) -> Any:
    """``a`` where positive, else ``alpha a``."""
    return np.where(np.real(a) > 0, a, alpha * a)


def leaky_relu_prime(a: Any, alpha: Any) -> Any:
    """1 where ``a`` is positive, else ``alpha``."""
    return np.where(np.real(a) > 0, 1.0, alpha)


def thresholded_relu(a: Any, alpha: Any) -> Any:
    """``a`` where it is above ``alpha``, else 0."""
    return np.where(np.real(a) > alpha, a, 0)


def thresholded_relu_prime(a: Any, alpha: Any) -> Any:
    """1 where ``a`` is above ``alpha``, else 0."""
    return np.where(np.real(a) > alpha, 1.0, 0.0)


def scaled_tanh(a: Any, alpha: Any, beta: Any) -> Any:
    """``alpha tanh(beta a)``."""
    return alpha * np.tanh(beta * a)


def scaled_tanh_prime(a: Any, alpha: Any, beta: Any) -> Any:
    """``alpha beta (1 - tanh(beta a)²)``."""
    return alpha * beta * (1 - np.tanh(beta * a) ** 2)


def affine(a: Any, alpha: Any, beta: Any) -> Any:
    """``alpha a + beta``."""
    return alpha * a + beta


def affine_prime(a: Any, alpha: Any, beta: Any) -> Any:
    """``alpha``."""
    return alpha * np.ones_like(a)


def elu(a: Any, alpha: Any) -> Any:
    """``a`` where positive, else ``alpha (exp(a) - 1)``."""
    return np.where(np.real(a) > 0, a, alpha * np.expm1(np.where(np.real(a) > 0, 0, a)))


def elu_prime(a: Any, alpha: Any) -> Any:
    """1 where ``a`` is positive, else ``alpha exp(a)``."""
    return np.where(np.real(a) > 0, 1.0, alpha * np.exp(np.where(np.real(a) > 0, 0, a)))


SELU = 1.0507009873554805, 1.6732632423543772
"""The scale of selu and its elu's alpha."""


def selu(a: Any) -> Any:
    """``elu(a, 1.6732632423543772)`` times 1.0507009873554805."""
    scale, alpha = SELU
    return scale * elu(a, alpha)


def selu_prime(a: Any) -> Any:
    """The derivative of elu, times the scale."""
    scale, alpha = SELU
    return scale * elu_prime(a, alpha)


def softsign(a: Any) -> Any:
    """``a / (1 + |a|)``."""
    return a / (1 + absolute(a))


def softsign_prime(a: Any) -> Any:
    """``1 / (1 + |a|)²``."""
    return 1 / (1 + absolute(a)) ** 2


def softplus(a: Any) -> Any:
    """``log(1 + exp(a))``."""
    return np.where(np.real(a) > 0, a, 0) + np.log1p(np.exp(-absolute(a)))


def softplus_prime(a: Any) -> Any:
    """``logistic(a)``."""
    return logistic(a)


def relu6(a: Any) -> Any:
    """``a``, or the nearer of 0 and 6 where it lies beyond."""
    return np.where(np.real(a) > 0, np.where(np.real(a) < 6, a, 6), 0)


def relu6_prime(a: Any) -> Any:
    """1 where ``a`` lies between 0 and 6, else 0."""
    return np.where((np.real(a) > 0) & (np.real(a) < 6), 1.0, 0.0)


def clipped(a: Any, limit: Any) -> Any:
    """``a``, or the nearer end of ``-limit .. limit`` where it lies outside."""
    return np.where(np.real(a) > limit, limit, np.where(np.real(a) < -limit, -limit, a))


def inside(a: Any, limit: Any) -> Any:
    """1 where ``a`` lies in ``-limit .. limit``, else 0: the derivative of clipped."""
    return np.where(np.abs(np.real(a)) <= limit, 1.0, 0.0)


def log(a: Any) -> Any:
    """The natural logarithm; of 0, minus infinity."""
    with np.errstate(divide="ignore"):
        return np.log(a)


def absolute(a: Any) -> Any:
    """``a`` or ``-a``, whichever is not negative."""
    return np.where(np.real(a) < 0, -a, a)


def sign(a: Any) -> Any:
    """1 where ``a`` is positive, -1 where negative, else 0."""
    return np.sign(np.real(a))


def maximum(a: Any, b: Any) -> Any:
    """The greater of two, entry by entry; the first of equals."""
    return np.where(np.real(b) > np.real(a), b, a)


def log_sum_exp(a: Any) -> Any:
    """``log(sum of exp(a))`` over the entries of a vector; of none, or of minus infinities alone, minus infinity."""
    a = np.asarray(a)
    a = a.astype(np.result_type(a, np.float64))  # terms may be whole numbers, as a score of 0
    greatest = np.real(a).max(initial=-np.inf)
    if np.isneginf(greatest):
        return np.zeros((), a.dtype) - np.inf
    # Subtracting the greatest and adding it again changes nothing, but keeps the exponentials in range.
    return greatest + np.log(np.exp(a - greatest).sum())


def constant(a: Any) -> Any:
    """``a``, through which no gradient flows."""
    return np.real(a)


def softmax(a: Any) -> Any:
    """``exp(a) / (sum of exp(a))`` over the entries of a vector."""
    exponentials = np.exp(a - np.real(a).max(initial=-np.inf))
    return exponentials / exponentials.sum()


def mean(a: Any) -> Any:
    """Mean of the entries of a vector."""
    return a.sum() / a.size


def total(a: Any) -> Any:
    """Sum of all entries."""
    return a.sum()


def norm(a: Any) -> Any:
    """Square root of the sum of the squares of all entries."""
    greatest = np.abs(np.real(a)).max(initial=0.0)
    # Dividing by the greatest and multiplying again changes nothing, but keeps the squares in range.
    return greatest * np.sqrt(((a / greatest) ** 2).sum()) if greatest > 0 else np.sum(a) * 0


def spectral_norm(a: Any) -> Any:
    """The greatest singular value of a matrix (0 of a matrix without entries)."""
    return np.linalg.norm(a, 2) if a.size else 0.0


def singular_values(a: Any) -> Any:
    """The singular values of a matrix, the greatest first."""
    return np.linalg.svd(a, compute_uv=False)


def ordered(a: Any) -> Any:
    """All entries, the smallest first, as a vector."""
    return np.sort(a, axis=None)


def concat(a: Any, b: Any) -> Any:
    """The entries of ``a``, then those of ``b``."""
    return np.concatenate([np.ravel(a), np.ravel(b)])


def one_hot(k: Any, length: Any) -> Any:
    """A vector that is 1 at place k, if it has one, and 0 elsewhere."""
    return (np.arange(int(length)) == k) * 1.0


def zeros(length: Any) -> Any:
    """A vector of zeros."""
    return np.zeros(int(length))


def power(a: Any, k: Any) -> Any:
    """A square matrix times itself, k times."""
    return np.linalg.matrix_power(a, int(k))


VOCABULARY: dict[str, Callable[..., Any]] = {
    "abs": absolute,
    "affine": affine,
    "affine_prime": affine_prime,
    "clipped": clipped,
    "concat": concat,
    "constant": constant,
    "elu": elu,
    "elu_prime": elu_prime,
    "exp": np.exp,
    "floor": np.floor,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_prime": hard_sigmoid_prime,
    "identity": identity,
    "identity_matrix": lambda length: np.eye(int(length)),
    "identity_prime": identity_prime,
    "inside": inside,
    "leaky_relu": leaky_relu,
    "leaky_relu_prime": leaky_relu_prime,
    "log": log,
    "log_sum_exp": log_sum_exp,
    "logistic": logistic,
    "logistic_prime": logistic_prime,
    "maximum": maximum,
    "mean": mean,
    "norm": norm,
    "one_hot": one_hot,
    "ordered": ordered,
    "outer": np.outer,
    "power": power,
    "relu": relu,
    "relu6": relu6,
    "relu6_prime": relu6_prime,
    "relu_prime": relu_prime,
    "scaled_tanh": scaled_tanh,
    "scaled_tanh_prime": scaled_tanh_prime,
    "selu": selu,
    "selu_prime": selu_prime,
    "sign": sign,
    "singular_values": singular_values,
    "softmax": softmax,
    "softplus": softplus,
    "softplus_prime": softplus_prime,
    "softsign": softsign,
    "softsign_prime": softsign_prime,
    "spectral_norm": spectral_norm,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "tanh_prime": tanh_prime,
    "thresholded_relu": thresholded_relu,
    "thresholded_relu_prime": thresholded_relu_prime,
    "total": total,
    "zeros": zeros,
}

_OF_TWO = ("clipped", "concat", "inside", "maximum", "one_hot", "outer", "power")
_NUMBERS = {f"{name}{end}": len(one.numbers) for name, one in ACTIVATIONS.items() for end in ("", "_prime")}
ARGUMENTS = {name: 2 if name in _OF_TWO else 1 + _NUMBERS.get(name, 0) for name in VOCABULARY}
"""Number of arguments of each function."""


def _greatest(terms: Sequence[Any]) -> int:
    return max(range(len(terms)), key=lambda k: float(np.real(terms[k])))


def _top(j: int, terms: Sequence[Any]) -> int:
    return sorted(range(len(terms)), key=lambda k: -float(np.real(terms[k])))[j]


REDUCERS: dict[str, Callable[..., Any]] = {
    "sum": lambda terms: sum(terms, start=np.float64(0)),
    "max": lambda terms: terms[_greatest(terms)],
    "min": lambda terms: terms[_greatest([-term for term in terms])],
    "argmax": _greatest,
    "log_sum_exp": log_sum_exp,
    "all": lambda terms: all(bool(term) for term in terms),
    "any": lambda terms: any(bool(term) for term in terms),
    "vector": lambda terms: np.stack([np.asarray(term) for term in terms]),
    "top": _top,
}
"""Functions before ``(… for i in range(…))``, from the list of terms to a value; the first of equal terms wins."""
