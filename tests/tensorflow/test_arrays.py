"""The array functions on tensors against NumPy's, eager, in a graph and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from rnnspec.backends.tensorflow.arrays import TensorFlowArrays
from rnnspec.backends.tensorflow.framework import tf
from rnnspec.spec import FLOAT_TYPES

xp = TensorFlowArrays()
TOLERANCES = {"float16": 2e-2, "bfloat16": 1e-1, "float32": 1e-5, "float64": 1e-12}
MODES: dict[str, Callable[[Any], Any]] = {
    "eager": lambda function: function,
    "graph": lambda function: tf.function(function, autograph=False),
    "xla": lambda function: tf.function(function, autograph=False, jit_compile=True),
}

every_dtype = pytest.mark.parametrize("dtype", FLOAT_TYPES)
every_mode = pytest.mark.parametrize("mode", MODES)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def tensor(array: np.ndarray, dtype: str = "float64") -> Any:
    return tf.cast(tf.constant(array), dtype)


def close(got: Any, expected: Any, dtype: str = "float64") -> None:
    np.testing.assert_allclose(plain(got), expected, TOLERANCES[dtype], TOLERANCES[dtype])


def plain(got: Any) -> np.ndarray:
    return got.numpy().astype(np.float64)


def equal(got: Any, expected: Any) -> None:
    np.testing.assert_array_equal(plain(got), expected)


@every_dtype
@every_mode
def test_numbers_take_the_type_of_the_tensor(dtype: str, mode: str) -> None:
    a = tensor(np.array([-1.0, 2.0]), dtype)
    for function, expected in (
        (lambda a: xp.where(a > 0, a, 0.0), [0, 2]),
        (lambda a: xp.where(a > 0, -np.inf, a), [-1, -np.inf]),
        (lambda a: xp.maximum(a, 0.5), [0.5, 2]),
        (lambda a: xp.minimum(a, 0.5), [-1, 0.5]),
        (lambda a: xp.full((2,), -np.inf, a.dtype) * a, [np.inf, -np.inf]),
    ):
        got = MODES[mode](function)(a)
        assert got.dtype == a.dtype
        equal(got, expected)


@every_dtype
def test_of_equals_the_lowest_place_is_found(dtype: str) -> None:
    a = tensor(np.array([[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0]]), dtype)
    equal(xp.argmax(a, 1), [1, 0])
    equal(xp.argmax(a, 0), [1, 1, 1, 1])
    values, places = xp.top_k(a, 3)
    equal(places, [[1, 2, 3], [0, 1, 2]])
    equal(values, [[3, 3, 2], [5, 5, 5]])
    assert places.dtype == xp.argmax(a, 1).dtype == tf.int64


@every_mode
def test_the_gradient_of_top_k_goes_to_the_greatest(mode: str) -> None:
    def gradient(a: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(a)
            values, _ = xp.top_k(a, 2)
        return tape.gradient(values, a, output_gradients=tf.constant([[10.0, 20.0]]))

    equal(MODES[mode](gradient)(tf.constant([[1.0, 3.0, 2.0]])), [[0, 10, 20]])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_entries_along_an_axis(axis: int) -> None:
    a, ids = numbers(3, 4, 5), np.array([[1, 0], [2, 2]])
    equal(xp.take(tensor(a), tf.constant(ids), axis), np.take(a, ids, axis))
    places = np.argsort(a, axis)[:2, :2, :2]
    equal(
        xp.take_along_axis(tensor(a[:2, :2, :2]), tf.constant(places % 2), axis),
        np.take_along_axis(a[:2, :2, :2], places % 2, axis),
    )
    one = np.expand_dims(np.argmax(a, axis), axis)
    equal(xp.take_along_axis(tensor(a), tf.constant(one), axis), np.take_along_axis(a, one, axis))


def test_places_are_broadcast_as_in_numpy() -> None:
    a, ids = numbers(3, 4, 5), np.array([[[1], [0]]])
    equal(xp.take_along_axis(tensor(a), tf.constant(ids), 1), np.take_along_axis(a, ids, 1))


@every_dtype
def test_singular_values_and_their_gradient_in_every_type(dtype: str) -> None:
    a = numbers(4, 3)
    with tf.GradientTape() as tape:
        tape.watch(array := tensor(a, dtype))
        greatest = xp.singular_values(array)[0]
    assert greatest.dtype == array.dtype
    u, s, v = np.linalg.svd(plain(array))
    close(greatest, s[0], dtype)
    close(tape.gradient(greatest, array), np.outer(u[:, 0], v[0]), dtype)


@every_dtype
def test_layer_norm(dtype: str) -> None:
    a = numbers(3, 7)
    expected = (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-3)
    close(xp.layer_norm(tensor(a, dtype), 1e-3), expected, dtype)


@every_mode
def test_jacobian_of_rows(mode: str) -> None:
    a, w = numbers(3, 2), numbers(2, 4, seed=1)
    jacobian = MODES[mode](lambda a: xp.batch_jacobian(lambda rows: xp.tanh(rows @ tensor(w)), a))(tensor(a))
    close(jacobian, (1 - np.tanh(a @ w) ** 2)[:, :, None] * w.T)
    assert xp.batch_jacobian(lambda rows: rows @ tensor(w), tf.zeros((0, 2), tf.float64)).shape == (0, 4, 2)


@every_mode
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_recurrence_and_its_gradient(mode: str, steps: int) -> None:
    """h[t] = x[t] h[t-1] + x[t]: what left is h, and the derivatives of the last h follow by hand."""
    x, h0 = numbers(steps, 2), numbers(2, seed=1)

    def run(x: Any, h0: Any) -> Any:
        def step(carry: Any, entering: Any) -> Any:
            h = entering[0] * carry[0] + entering[0]
            return (h, carry[1] + 1), (h, carry[1])

        with tf.GradientTape() as tape:
            tape.watch([x, h0])
            (last, count), (h, counts) = xp.scan(step, (h0, xp.zeros((), tf.int64)), (x,), steps)
        return last, count, h, counts, *tape.gradient(last, [x, h0])

    last, count, h, counts, dx, dh0 = MODES[mode](run)(tensor(x), tensor(h0))
    expected, before = [], h0
    for entry in x:
        before = entry * before + entry
        expected.append(before)
    close(h, np.stack(expected))
    close(last, before)
    assert int(count) == steps
    equal(counts, np.arange(steps))
    after = np.array([np.prod(x[t + 1 :], 0) for t in range(steps)])
    close(dx, after * (np.stack([h0, *expected[:-1]]) + 1))
    close(dh0, np.prod(x, 0))
    assert h.shape == (steps, 2)


@every_mode
def test_a_recurrence_without_what_enters_or_leaves(mode: str) -> None:
    (last,), left = MODES[mode](lambda h: xp.scan(lambda carry, _: ((carry[0] * 2,), ()), (h,), (), 3))(
        tf.constant(1.0)
    )
    assert float(last) == 8
    assert left == ()


@every_mode
def test_one_of_two_branches(mode: str) -> None:
    either = TensorFlowArrays(both_branches=mode == "xla")
    choose = MODES[mode](lambda a: either.branch(a > 0, lambda: (a, a + 1), lambda: (-a, a - 1)))
    assert [float(array) for array in choose(tf.constant(2.0))] == [2, 3]
    assert [float(array) for array in choose(tf.constant(-2.0))] == [2, -3]


def test_the_graph_of_a_recurrence_does_not_grow_with_its_steps() -> None:
    def operations(steps: int) -> int:
        function = tf.function(
            lambda x: xp.scan(lambda h, x: ((h[0] + x[0],), h), (tf.zeros(3),), (x,), steps), autograph=False
        )
        return len(function.get_concrete_function(tf.zeros((steps, 3))).graph.get_operations())

    assert operations(50) == operations(5)
