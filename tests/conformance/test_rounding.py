"""Arrays of several versions: the first is NumPy's own, the others move by what rounding may do and by no more."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec.conformance.judge.rounding import RUNS, Noise, Rounded
from rnnspec.reference.layer_norm_lstm import LayerNorm

U = 2.0**-10
SMALLEST = 2.0**-126


def noise(seed: int = 0) -> Noise:
    return Noise(U, SMALLEST, seed)


def exactly(array: Any, seed: int = 0) -> Rounded:
    return Rounded.exactly(np.asarray(array, np.float64), noise(seed))


def numbers(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=shape)


def moved(result: Rounded) -> np.ndarray[Any, Any]:
    """How far the perturbed versions lie from the exact one."""
    versions = result.versions()
    return np.abs(versions[1:] - versions[0])


# The exact version.

UNARY: dict[str, Callable[[Any], Any]] = {
    "negative": np.negative,
    "positive": np.positive,
    "absolute": np.absolute,
    "sign": np.sign,
    "tanh": np.tanh,
    "exp": lambda a: np.exp(np.minimum(a, 2.0)),
    "expm1": lambda a: np.expm1(np.minimum(a, 2.0)),
    "log": lambda a: np.log(abs(a) + 0.5),
    "log1p": lambda a: np.log1p(abs(a)),
    "sqrt": lambda a: np.sqrt(abs(a)),
    "square": lambda a: np.square(np.tanh(a)),
    "reciprocal": lambda a: np.reciprocal(abs(a) + 0.5),
    "power": lambda a: np.power(abs(a) + 0.5, 1.5),
    "** 2": lambda a: np.tanh(a) ** 2,
    "transpose": lambda a: a.T.copy().T,
    "order of axes": lambda a: a.transpose(1, 2, 0).transpose(2, 0, 1),
    "slices": lambda a: np.concatenate([a[:, 2:], a[:, :2]], axis=1),
    "steps backwards": lambda a: a[::-1, :, ::-1],
    "rows": lambda a: a[np.array([1, 0])],
    "one entry": lambda a: a[0] + a[:, 1:2],
    "mask": lambda a: a * a[:, :, 0][:, :, np.newaxis],
    "reshape": lambda a: a.reshape(-1).reshape((2, 3, 4)),
    "sum": lambda a: a / (1 + abs(a).sum()),
    "sum of an axis": lambda a: a - np.sum(a, axis=1)[:, np.newaxis],
    "sum of the last axis": lambda a: a - a.sum(axis=-1)[..., np.newaxis],
    "zeros": lambda a: np.zeros_like(a) + a,
    "ones": lambda a: a * np.ones_like(a[0]),
    "zeros of a shape": lambda a: a + np.zeros_like(a, shape=(3, 4)),
    "plain array of fewer axes": lambda a: a * np.arange(4.0) - np.arange(3.0)[:, np.newaxis],
    "plain array first": lambda a: np.arange(1.0, 5.0) - a,
    "plain array of more axes": lambda a: a[0] * np.arange(24.0).reshape(2, 3, 4) / 24,
    "plain mask": lambda a: np.where(np.arange(4) % 2 == 0, a, 0.25),
    "where of a comparison": lambda a: np.where(a > 0.1, a, -2 * a),
    "where of both comparisons": lambda a: np.where(np.logical_and(a > -1, np.logical_not(a >= 1)), a, 0),
    "where of fewer axes": lambda a: np.where(a[0] <= 0.3, a, a[1]),
    "scalar of its own": lambda a: a * a[0, 0, 0],
    "stack": lambda a: np.stack([a[0], a[1]]),
    "stack at the end": lambda a: np.stack([a[..., k] for k in range(4)], axis=-1),
    "in place": lambda a: _in_place(a),
    "out of a view": lambda a: _out(a),
    "items set": lambda a: _items_set(a),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": lambda a, b: a / (abs(b) + 0.5),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fewer axes": lambda a, b: a + b[0],
    "fewer axes first": lambda a, b: b[0, 0] * a,
    "ones in the shape": lambda a, b: a[:, :1] * b[:, :, :1],
    "where less": lambda a, b: np.where(a < b, a, b),
    "matmul": lambda a, b: (a[0] @ b[0].T) @ b,
    "matmul of a stack": lambda a, b: a @ (b.transpose(0, 2, 1) @ a),
    "matmul with plain": lambda a, b: a @ (np.eye(4) + 0.125) + (np.ones((3, 3)) @ b[1]),
    "matmul into": lambda a, b: _matmul_into(a, b),
    "tensordot": lambda a, b: np.tensordot(a, b[0, :, :1], axes=((1,), (0,))).transpose(0, 2, 1) + b,
    "tensordot of two axes": lambda a, b: b * np.tensordot(a, b, axes=((0, 2), (0, 2)))[0, 1],
    "concatenate": lambda a, b: np.concatenate((a[:1], b[1:])),
}


def _in_place(a: Any) -> Any:
    b = a.copy()
    b += 1
    b *= a[1]
    b[:, 1] -= a[:, 0]
    rows = b[1:]
    rows /= 3
    return b


def _out(a: Any) -> Any:
    b = np.empty_like(a)
    b[:] = 0.5
    np.multiply(a[0], 0.5, out=b[0])
    view = b[1].T
    np.tanh(a[1].T, out=view)
    np.negative(a[:, 0], out=b[:, 0])
    return b


def _items_set(a: Any) -> Any:
    b = np.zeros_like(a)
    b[0] = a[1]
    b[1, 1:] = a[0, 0]
    b[1, 0, 2] = 7
    b[:, 0, 1] = np.array([0.25, 0.75])
    b[np.array([True, False])] = a[1, 2]
    return b


def _matmul_into(a: Any, b: Any) -> Any:
    c = np.empty_like(a)
    np.matmul(a[0], b[0].T @ b[0], out=c[0])
    np.matmul(a[1], b[1].T @ b[0], out=c[1])
    return c


@pytest.mark.parametrize("name", UNARY)
def test_exact_version_of_one_operand(name: str) -> None:
    a = numbers(2, 3, 4)
    plain, rounded = UNARY[name](a.copy()), UNARY[name](exactly(a))
    assert isinstance(rounded, Rounded)
    assert rounded.shape == plain.shape
    np.testing.assert_array_equal(rounded.versions()[0], plain, strict=True)


@pytest.mark.parametrize("name", BINARY)
def test_exact_version_of_two_operands(name: str) -> None:
    a, b = numbers(2, 3, 4), numbers(2, 3, 4, seed=1)
    source = noise()
    rounded = BINARY[name](Rounded.exactly(a, source), Rounded.exactly(b, source))
    plain = BINARY[name](a, b)
    assert rounded.shape == plain.shape
    np.testing.assert_array_equal(rounded.versions()[0], plain, strict=True)


@pytest.mark.parametrize("seed", range(30))
def test_exact_version_of_random_expressions(seed: int) -> None:
    inputs = [numbers(2, 3, 4, seed=seed + k) for k in range(3)]
    source = noise(seed)
    wrapped = [Rounded.exactly(array, source) for array in inputs]

    def compute(arrays: list[Any]) -> list[Any]:
        """Twelve random operations, each on what the ones before gave; the same for equal seeds."""
        rng = np.random.default_rng(seed)
        pool = list(arrays)
        for _ in range(12):
            if rng.random() < 0.6:
                result = UNARY[str(rng.choice(list(UNARY)))](pool[rng.integers(len(pool))])
            else:
                one, other = rng.integers(len(pool), size=2)
                result = BINARY[str(rng.choice(list(BINARY)))](pool[one], pool[other])
            pool.append(np.tanh(result))  # of order 1 again
        return pool

    for plain, rounded in zip(compute(inputs), compute(wrapped), strict=True):
        np.testing.assert_array_equal(rounded.versions()[0], plain, strict=True)


def test_inputs_are_not_written_to() -> None:
    a = numbers(2, 3, 4)
    a.flags.writeable = False
    for compute in UNARY.values():
        compute(exactly(a))


def test_attributes_of_one_version() -> None:
    array = exactly(np.zeros((2, 3, 4))) + 1
    assert (array.shape, array.ndim, array.size, len(array)) == ((2, 3, 4), 3, 24, 2)
    assert array.T.shape == (4, 3, 2)
    assert array.dtype == np.float64
    assert (array > 0).dtype == np.bool_
    assert array.astype(np.float32).dtype == np.float64
    assert array.versions().shape == (RUNS, 2, 3, 4)


# How far the others move.

ONCE: dict[str, Callable[[Any], Any]] = {
    "add": lambda a: a + 0.3,
    "subtract": lambda a: 0.3 - a,
    "multiply": lambda a: a * 0.3,
    "divide": lambda a: a / 0.3,
    "square": np.square,
    "sqrt": lambda a: np.sqrt(abs(a)),
    "reciprocal": np.reciprocal,
}
TRANSCENDENTAL: dict[str, Callable[[Any], Any]] = {
    "tanh": np.tanh,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": lambda a: np.log(abs(a)),
    "log1p": lambda a: np.log1p(abs(a)),
    "power": lambda a: np.power(abs(a), 0.3),
}
EXACT: dict[str, Callable[[Any], Any]] = {
    "negative": np.negative,
    "absolute": np.absolute,
    "maximum": lambda a: np.maximum(a, 0.3),
    "minimum": lambda a: np.minimum(a, 0.3),
    "sign": np.sign,
    "times two": lambda a: a * 2,
    "times a half": lambda a: 0.5 * a,
    "times minus four": lambda a: a * -4.0,
    "times one": lambda a: np.multiply(a, 1),
    "slice": lambda a: a[1:, ::2],
    "transpose": lambda a: a.T,
    "reshape": lambda a: a.reshape(-1),
    "copy": lambda a: a.copy(),
    "where of a plain mask": lambda a: np.where(np.arange(50) % 2 == 0, a, 0),
    "stack": lambda a: np.stack([a, a]),
    "concatenate": lambda a: np.concatenate([a, a], axis=1),
    "zeros": np.zeros_like,
    "ones": np.ones_like,
}


@pytest.mark.parametrize("name", ONCE)
def test_rounded_once_moves_by_one_unit(name: str) -> None:
    result = ONCE[name](exactly(numbers(40, 50)))
    np.testing.assert_allclose(moved(result), np.broadcast_to(U * abs(result.versions()[0]), (6, 40, 50)), rtol=1e-9)


@pytest.mark.parametrize("name", TRANSCENDENTAL)
def test_transcendental_moves_by_four_units(name: str) -> None:
    result = TRANSCENDENTAL[name](exactly(numbers(40, 50)))
    np.testing.assert_allclose(
        moved(result), np.broadcast_to(4 * U * abs(result.versions()[0]), (6, 40, 50)), rtol=1e-9
    )


@pytest.mark.parametrize("name", EXACT)
def test_exact_operations_move_nothing(name: str) -> None:
    assert moved(EXACT[name](exactly(numbers(40, 50)))).max() == 0


@pytest.mark.parametrize("length", [1, 2, 9, 100])
def test_a_product_of_matrices_moves_by_the_root_of_its_length(length: int) -> None:
    a, b = numbers(4, length), numbers(length, 5, seed=1)
    size = U * length**0.5 * (abs(a) @ abs(b))
    source = noise()
    for result in (
        Rounded.exactly(a, source) @ Rounded.exactly(b, source),
        a @ Rounded.exactly(b, source),
        Rounded.exactly(a, source) @ b,
        np.tensordot(Rounded.exactly(a, source), Rounded.exactly(b, source), axes=((1,), (0,))),
        np.tensordot(Rounded.exactly(a.T, source), Rounded.exactly(b, source), axes=((0,), (0,))),
    ):
        np.testing.assert_allclose(moved(result), np.broadcast_to(size, (6, 4, 5)), rtol=1e-6)


@pytest.mark.parametrize(("axis", "length"), [(None, 60), (0, 3), (-1, 5), ((0, 2), 15)])
def test_a_sum_moves_by_the_root_of_its_length(axis: Any, length: int) -> None:
    a = numbers(3, 4, 5)
    result = np.sum(exactly(a), axis=axis)
    size = U * length**0.5 * np.sum(abs(a), axis=axis)
    np.testing.assert_allclose(moved(result), np.broadcast_to(size, (6, *result.shape)), rtol=1e-6)


def test_what_underflows_still_moves() -> None:
    result = exactly([0.0, 1e-60]) * 0.3
    np.testing.assert_allclose(moved(result), np.full((6, 2), U * SMALLEST), rtol=1e-9)


def test_zeros_add_up_to_zero() -> None:
    zeros = exactly(np.zeros((3, 4)))
    assert not zeros.sum(axis=1).versions().any()
    assert not (zeros @ np.full((4, 2), 0.3)).versions().any()


def test_directions_are_balanced_and_differ_between_versions_and_elements() -> None:
    result = exactly(np.ones((50, 60))) * 0.3
    up = result.versions()[1:] > result.versions()[0]
    assert 0.47 < up.mean() < 0.53
    agreement = [(up[k] == up[m]).mean() for k in range(6) for m in range(k)]
    assert min(agreement) > 0.45
    assert max(agreement) < 0.55
    again = Rounded.exactly(np.ones((50, 60)), result.noise) * 0.3
    assert 0.45 < ((again.versions()[1:] > again.versions()[0]) == up).mean() < 0.55


@pytest.mark.parametrize("unit_roundoff", [U, 2.0**-53])
def test_many_more_directions_than_are_stored(unit_roundoff: float) -> None:
    source = Noise(unit_roundoff, SMALLEST, 0)
    for size in (1 << 18, 1 << 16, 1 << 16, 3 << 16):
        versions = (Rounded.exactly(np.full(size, 1.5), source) * 1.1).versions()
        up = versions[1:] > versions[0]
        assert 0.47 < up.mean() < 0.53
        agreement = [(up[k] == up[m]).mean() for k in range(6) for m in range(k)]
        assert 0.45 < min(agreement) <= max(agreement) < 0.55


@pytest.mark.parametrize(("unit_roundoff", "smallest"), [(2.0**-11, 2.0**-14), (2.0**-24, 2.0**-126), (2.0**-53, 0.0)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_numbers_move_as_far_as_their_type_says_and_in_either_direction(
    unit_roundoff: float, smallest: float, scale: float
) -> None:
    values = numbers(400) * scale
    for function, units in ((lambda a: a + 0.0, 1), (np.tanh, 4)):
        versions = function(Rounded.exactly(values, Noise(unit_roundoff, smallest, 0))).versions()
        steps, largest = versions[1:] - versions[0], units * unit_roundoff * (np.abs(versions[0]) + smallest)
        ulp = 2 * np.spacing(np.abs(versions[0]))
        assert (np.abs(steps) <= largest + ulp).all()
        assert (np.abs(steps).max(axis=0) >= largest - ulp).mean() > 0.9
        for sign in (-1, 1):  # neither direction is tied to the sign of the number
            assert 0.4 < (steps[:, values * sign > 0] > 0).mean() < 0.6


@pytest.mark.parametrize("unit_roundoff", [U, 2.0**-53])
def test_what_is_negative_and_hardly_normal_moves_as_much_as_what_is_positive(unit_roundoff: float) -> None:
    source = Noise(unit_roundoff, 2.0**-14, 0)
    for value in (-(2.0**-14), 2.0**-14):
        versions = (Rounded.exactly(np.full(500, value), source) * 1.25).versions()
        reach = unit_roundoff * 2.0**-14 * 2.25
        assert np.median(np.abs(versions[1:] - versions[0]).max(axis=0)) == pytest.approx(reach, rel=1e-6)


@pytest.mark.parametrize("unit_roundoff", [U, 2.0**-53])
@pytest.mark.parametrize("whole", [False, True])
def test_infinities_and_nan_stay(unit_roundoff: float, whole: bool) -> None:
    a = Rounded.exactly(np.array([[np.inf, -np.inf, np.nan, 2.5]] * 30), Noise(unit_roundoff, SMALLEST, 0, whole))
    with np.errstate(invalid="ignore"):
        results = [a + 1.5, a * 1.5, np.sqrt(a * a), np.exp(a), a @ np.diag(np.full(4, 1.5)), (a * 1.5).sum(axis=0)]
    for result in results:
        versions = result.versions()
        same = ~np.isfinite(versions[:1])
        np.testing.assert_array_equal(versions[:, same[0]], np.repeat(versions[:1], RUNS, axis=0)[:, same[0]])


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_memory_in_any_order_is_moved_alike(axes: tuple[int, int]) -> None:
    a, b = numbers(30, 40).transpose(axes), numbers(30, 40, seed=1).transpose(axes)
    result = exactly(a) * exactly(b)
    np.testing.assert_array_equal(result.versions()[0], a * b)
    np.testing.assert_allclose(moved(result), np.broadcast_to(U * np.abs(a * b), (6, *a.shape)), rtol=1e-9)


def chain(seed: int) -> np.ndarray[Any, Any]:
    a = exactly(numbers(4, 5), seed)
    return (np.tanh(a @ a.T) * 0.3 + 0.1).sum(axis=0).versions()


def test_the_same_seed_gives_the_same_versions() -> None:
    np.testing.assert_array_equal(chain(3), chain(3))


def test_another_seed_gives_others_around_the_same_exact_one() -> None:
    one, other = chain(3), chain(4)
    np.testing.assert_array_equal(one[0], other[0])
    assert (one[1:] != other[1:]).any()


def test_deviations_grow_through_what_amplifies_them() -> None:
    a = exactly([0.3]) * 0.7
    np.testing.assert_allclose(moved(a * 1024), 1024 * moved(a), rtol=1e-12)
    cancelled = a - 0.2
    assert (moved(cancelled) / abs(cancelled.versions()[0])).min() > 10 * U


# Comparisons.


@pytest.mark.parametrize("compare", [np.less, np.less_equal, np.greater, np.greater_equal])
def test_a_comparison_far_from_its_threshold_is_decided_one_way(compare: np.ufunc) -> None:
    a = exactly([-1.0, 0.9, 1.1, 3.0]) * 1.01
    decided = compare(a, 1.0).versions()
    np.testing.assert_array_equal(decided, np.broadcast_to(compare(a.versions()[0], 1.0), (RUNS, 4)))


@pytest.mark.parametrize("compare", [np.less, np.less_equal, np.greater, np.greater_equal])
@pytest.mark.parametrize("offset", [0.0, 0.5 * U, -0.5 * U])
def test_a_comparison_near_its_threshold_goes_both_ways(compare: np.ufunc, offset: float) -> None:
    a = exactly(np.full(5, 1 + offset)) * 3.0
    decided = compare(a, 3.0).versions()
    np.testing.assert_array_equal(decided[0], compare(a.versions()[0], 3.0))
    assert decided[1:].any(axis=0).all()
    assert not decided[1:].all(axis=0).any()


def test_an_exact_number_on_its_threshold_goes_both_ways() -> None:
    decided = (exactly([0.0, 1.0]) > 0).versions()
    assert decided[1:, 0].any()
    assert not decided[1:, 0].all()
    assert decided[:, 1].all()


def test_a_kink_widens_only_what_stands_on_it() -> None:
    a = exactly([-2.0, 0.3, 2.0]) * (1 / 0.3) - 1.0
    slope = np.where(a > 0, 1.0, 0.0)
    np.testing.assert_array_equal(moved(slope).max(axis=0), [0.0, 1.0, 0.0])


# Choices.


@pytest.mark.parametrize("rivals", [2, 3, 5])
def test_equal_numbers_are_never_chosen_from_one_way(rivals: int) -> None:
    for seed in range(200):
        a = exactly([[*[1.0] * rivals, 0.5]] * 3, seed)
        places = np.argmax(a, axis=-1).versions()
        assert (places[0] == 0).all()
        assert (places[1:].max(axis=0) == rivals - 1).all()
        assert (places < rivals).all()


def test_places_of_a_beam_are_filled_with_all_rivals_in_every_version() -> None:
    for seed in range(50):
        left, filled = exactly([[1.0, 1.0, 1.0, 0.25]], seed), []
        for _ in range(3):
            place = np.argmax(left, axis=1)[:, np.newaxis]
            filled.append(place.versions()[:, 0, 0])
            left = np.where(np.arange(4) == place, -np.inf, left)
        np.testing.assert_array_equal(np.sort(np.stack(filled, axis=1)), [[0, 1, 2]] * RUNS)


def test_a_version_that_went_another_way_chooses_by_its_own_numbers() -> None:
    versions = np.full((RUNS, 1, 2), 1.0)
    versions[:, 0, 1] = 0.0
    versions[2] = [[-4.0, -3.0]]
    versions[3] = [[-3.0, -np.inf]]
    versions[4] = [[-np.inf, -3.0]]
    places = np.argmax(Rounded(versions, noise()), axis=1).versions()[:, 0]
    assert (places[0], places[3], places[4]) == (0, 0, 1)


def test_the_greatest_by_far_is_chosen_by_all() -> None:
    assert (np.argmax(exactly([0.5, 2.0, 1.0]), axis=-1).versions() == 1).all()


# Results in the place of others.


def test_one_version_becomes_several_in_its_place() -> None:
    a = exactly([0.5, 0.25])
    half = np.multiply(a, 0.5)  # exact: still one version
    result = np.tanh(half, out=half)
    assert result is half
    assert half.versions().shape == (RUNS, 2)
    np.testing.assert_allclose(half.versions()[0], np.tanh([0.25, 0.125]), rtol=1e-15)
    np.testing.assert_array_equal(a.versions()[0], [0.5, 0.25])


def test_one_version_of_other_memory_does_not_become_several() -> None:
    """The array that it is a view of would not follow."""
    a = exactly([0.5, 0.25])
    with pytest.raises(TypeError, match="own memory"):
        np.tanh(a, out=a)


def test_several_versions_are_written_where_the_others_stood() -> None:
    a = exactly([[0.5, 0.25]]) * 3.0
    row = a[0]
    np.tanh(row, out=row)
    np.testing.assert_array_equal(a.versions()[:, 0], row.versions())


# An unknown function is refused.


@pytest.mark.parametrize("ufunc", [np.sin, np.floor, np.remainder, np.hypot, np.arctan2])
def test_an_unknown_function_is_refused(ufunc: np.ufunc) -> None:
    with pytest.raises(TypeError, match=ufunc.__name__):
        ufunc(*[exactly([0.5])] * ufunc.nin)


@pytest.mark.parametrize(
    "compute",
    [
        lambda a: np.add.reduce(a),
        lambda a: np.linalg.norm(a),
        lambda a: np.mean(a),
        lambda a: np.add(a, 1, where=np.array([True, False])),
        lambda a: np.add(a, 1, dtype=np.float32),
    ],
)
def test_an_unknown_way_of_calling_is_refused(compute: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        compute(exactly([0.5, 0.25]))


@pytest.mark.parametrize("length", [1, 3, RUNS])
def test_a_product_with_a_vector_is_right_or_refused(length: int) -> None:
    """A vector as long as there are versions must not be taken for the versions."""
    v, m = numbers(length), numbers(length, length, seed=1)
    source = noise()
    for left, right in ((v, v), (m, v), (v, m)):
        plain = left @ right
        try:
            result = Rounded.exactly(left, source) @ Rounded.exactly(right, source)
        except TypeError:
            continue
        assert result.shape == plain.shape
        np.testing.assert_allclose(result.versions()[0], plain, rtol=1e-12)


# Whole numbers.


@pytest.mark.parametrize(
    ("function", "argument", "exact"),
    [
        (np.sqrt, 9.0, True),
        (np.square, 3.0, True),
        (lambda a: a / 3.0, 9.0, True),
        (np.tanh, 0.0, True),
        (np.log, 1.0, True),
        (np.exp, 0.0, False),
    ],
    ids=["sqrt", "square", "divide", "tanh of 0", "log of 1", "exp of 0"],
)
def test_whole_results_are_exact_but_for_transcendental_functions(
    function: Callable[[Any], Any], argument: float, exact: bool
) -> None:
    """Division and roots are rounded correctly; whether exp(0) is 1 to the last bit is the library's affair."""
    result = function(Rounded.exactly(np.array([argument]), Noise(U, SMALLEST, 0, whole=True)))
    assert (moved(result) == 0).all() == exact


def test_singular_values_move_by_the_size_of_the_matrix() -> None:
    matrix = numbers(6, 6)
    greatest = np.linalg.svd(matrix, compute_uv=False)[0]
    far = moved(np.linalg.svd(exactly(matrix), compute_uv=False))
    np.testing.assert_allclose(far, (10 + 6) * U * greatest, rtol=1e-12)


def test_of_many_numbers_each_moves_as_of_few() -> None:
    """More than there are directions in the tables: they are moved part by part."""
    u = noise().unit_roundoff
    many, factor = numbers(300, 200), numbers(300, 200, seed=1)
    for result, magnitude in (
        (exactly(many) * exactly(factor), np.abs(many * factor)),
        (exactly(many) @ exactly(factor.T), 200**0.5 * (np.abs(many) @ np.abs(factor.T))),
    ):
        assert result.shape in ((300, 200), (300, 300))
        assert np.array_equal(result.versions()[0], many * factor if result.shape == (300, 200) else many @ factor.T)
        share = moved(result) / (u * magnitude)
        assert np.allclose(share, 1, rtol=1e-3)
        steps = np.sign(result.versions()[1:] - result.versions()[0]).reshape(6, -1)
        together = np.abs(np.corrcoef(steps) - np.eye(6))
        assert together.max() < 0.05
        assert abs(steps.mean()) < 0.01


def test_a_threshold_that_the_type_does_not_hold_is_decided_either_way() -> None:
    """In bfloat16 0.01 becomes 0.010009765625, as may the threshold of a clip that is given as a Python number."""
    source = Noise(2.0**-8, 2.0**-126, 0)
    beside = Rounded.exactly(np.array([0.010009765625]), source)
    assert len(set((beside > 0.01).versions()[:, 0])) == 2
    assert len(set((beside <= 0.01).versions()[:, 0])) == 2
    assert (Rounded.exactly(np.array([0.50390625]), source) > 0.5).versions().all()
    for value in (0.5, 3, 2.0**-130, 0):
        assert source.rounding_of(value) == 0
    assert source.rounding_of(0.01) == 0.01 * 2.0**-8
    assert source.rounding_of(math.inf) == source.rounding_of(np.array([0.01])) == 0


@pytest.mark.parametrize(("units", "open_"), [(3.0, True), (5.0, False)])
def test_what_is_divided_by_a_number_that_may_be_0_has_either_sign(units: float, open_: bool) -> None:
    u = 2.0**-10
    source = Noise(u, 2.0**-126, 0)
    divisor = Rounded.exactly(np.full(1, 1.0), source) * 3.0 - np.array(3.0 - units * 3 * u)
    for quotient in (1 / divisor, Rounded.exactly(np.ones(1), source) / divisor):
        assert ((quotient.versions() < 0).any() and (quotient.versions() > 0).any()) == open_
    assert (1 / Rounded.exactly(np.array([1e-30]), source)).versions().min() > 0


def test_of_two_units_that_are_all_but_equal_a_layer_norm_may_give_either_sign() -> None:
    """In bfloat16, which moves each of them by a fifth of their difference."""
    u = 2.0**-8
    z = Rounded.exactly(np.array([[1.0], [1.0]]), Noise(u, 2.0**-126, 3)) * np.array([[1.0], [1.02]])
    normalised = LayerNorm(np.ones((1, 2)), np.zeros((1, 2)), 1e-12)(z)[1].versions()
    assert normalised[:, 0].max() > 0.9
    assert normalised[:, 0].min() < -0.9


@pytest.mark.parametrize("adds_many", [False, True])
def test_equal_terms_that_are_added_one_after_another_round_to_one_side(adds_many: bool) -> None:
    terms = np.random.default_rng(0).uniform(1, 2, 500).astype(np.float32)
    source = Noise(2.0**-24, SMALLEST, 0, adds_many=adds_many)
    total, rounded = np.zeros(500, np.float32), Rounded.exactly(np.zeros(500), source)
    for _ in range(1_100):
        total += terms
        rounded = rounded + terms.astype(np.float64)
    versions = rounded.versions()
    farthest = np.abs(versions[1:] - versions[0]).max(axis=0)
    beyond = np.abs(total - versions[0]) > 4 * farthest
    assert beyond.any() == (not adds_many)
    if adds_many:
        assert (versions[-1] > versions[0]).all()
        assert (versions[-2] < versions[0]).all()


def test_terms_beyond_one_of_many_do_not_round_to_one_side() -> None:
    """Whole sums are exact, infinite ones stay so, and a term that is no small part of its sum rounds as ever."""
    for numbers, whole, count in (
        (np.full(4, 3.0), True, 100),
        (np.full(4, np.inf), False, 100),
        (np.ones(4), False, 9),
    ):
        one, other = (
            Rounded.exactly(numbers, Noise(2.0**-24, SMALLEST, 0, whole=whole, adds_many=adds_many))
            for adds_many in (False, True)
        )
        sums = [sum([addend] * count, start=addend) for addend in (one, other)]
        np.testing.assert_array_equal(sums[0].versions(), sums[1].versions())
