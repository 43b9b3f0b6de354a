"""Reverse-mode differentiation of NumPy code: writing in place, views, broadcasting, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec.reference.traced import Traced, gradients

X = np.array([[0.3, -1.2, 2.0], [0.7, 0.1, -0.4]])


def gradient(function: Callable[[Any], Any], x: np.ndarray[Any, Any] = X) -> np.ndarray[Any, Any]:
    """Gradient of a weighted sum of what the function gives."""
    variable = Traced.variable(x)
    y = function(variable)
    (found,) = gradients([(y, weights_of(y.shape))], [variable])
    return np.zeros(x.shape) if found is None else np.asarray(found)


def weights_of(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape)


def complex_step(function: Callable[[Any], Any], x: np.ndarray[Any, Any] = X) -> np.ndarray[Any, Any]:
    found = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(np.complex128)
        moved[index] += 1e-30j
        y = function(moved)
        found[index] = np.sum(y.imag * weights_of(y.shape)) / 1e-30
    return found


def written_by_parts(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = np.tanh(x[1])
    y[1] = y[0] * x[0]
    y[0, 1:] = x[1, :2] * 3
    return y


def written_through_a_view(x: Any) -> Any:
    y = x * 1
    np.tanh(y[1:], out=y[1:])
    part = y[0]
    part *= x[1]
    part += 1
    return y * y


def scattered(x: Any) -> Any:
    y = np.zeros_like(x)
    np.add.at(y, np.array([0, 0]), x * x)
    return y + x[np.array([1, 1])]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.exp(x) / (1 + x * x) - x,
        lambda x: np.log1p(np.exp(x)) * np.sqrt(2 + x),
        lambda x: np.square(x) + np.reciprocal(3 + x) + np.expm1(x) + np.log(4 + x),
        lambda x: x @ x.T @ x,
        lambda x: x[:, np.newaxis] * x[np.newaxis],
        lambda x: (x - x.sum(axis=1, keepdims=True)) * x.sum(axis=0),
        lambda x: np.where(np.array([True, False, True]), x, x * x),
        lambda x: np.concatenate([x, x * x], axis=1) @ np.stack([x[0], x[1]], axis=1).reshape(6, 1),
        lambda x: np.broadcast_to(x[:1], (4, 3)) * np.expand_dims(x[1], 0),
        lambda x: np.take_along_axis(x * x, np.array([[2, 0], [1, 1]]), 1),
        lambda x: x.transpose(1, 0)[::-1].copy().astype(x.dtype),
        written_by_parts,
        written_through_a_view,
        scattered,
    ],
)
def test_against_the_complex_step(function: Callable[[Any], Any]) -> None:
    np.testing.assert_allclose(gradient(function), complex_step(function), rtol=1e-13, atol=1e-13)


def test_slopes_at_kinks_are_those_of_the_references_gradients() -> None:
    zero = np.zeros((1, 1))
    assert gradient(lambda x: np.maximum(x, 0), zero) == 0
    assert gradient(np.abs, zero) == 0
    assert gradient(np.sqrt, zero) == 0
    np.testing.assert_array_equal(gradient(lambda x: np.minimum(x, 0.5)) != 0, X < 0.5)


def test_what_is_of_no_variable_has_no_gradient() -> None:
    variable = Traced.variable(X)
    assert gradients([(Traced(X) * 2, X)], [variable]) == [None]
    assert (variable > 0).node is None
    assert variable.astype(np.int64).node is None
    assert (variable.max(axis=1) - variable.argmax(1)).node is None


def test_a_variable_that_is_a_result_has_its_own_gradient_as_well() -> None:
    variable = Traced.variable(X)
    (found,) = gradients([(variable, X), (variable * 2, X)], [variable])
    np.testing.assert_array_equal(found, 3 * X)


def test_values_are_left_as_they_were() -> None:
    x = X.copy()
    written_through_a_view(Traced.variable(x))
    np.testing.assert_array_equal(x, X)


def test_what_has_no_derivative_here_is_refused() -> None:
    with pytest.raises(TypeError, match="no derivative of arctan"):
        np.arctan(Traced.variable(X))
    with pytest.raises(TypeError, match="unknown options where"):
        np.add(Traced.variable(X), 1, where=True)  # type: ignore[call-overload]  # NumPy does not know of it
