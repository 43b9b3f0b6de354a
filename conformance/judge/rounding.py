"""Arithmetic that shows what rounding can do: an array that is computed several times at once, rounded differently.

`Rounded` holds RUNS versions of every number on a hidden leading axis. Version 0 is computed exactly (in float64). In
the others each elementary result is moved by as much as rounding to a unit roundoff u may move it, in a random
direction. That is u for sums, products and quotients, 4u for transcendental functions, and √k u Σ|a||b| for a sum of k
products. The reference runs on a Rounded as it stands, in one vectorised pass, and the spread of the versions is the
spread of right implementations.

A comparison that rounding could decide either way is decided both ways: if the compared number lies within the spread
of its versions from the threshold, one version says yes, one no, the others either. So a kink (relu, clipping) widens
the spread where, and only where, an implementation may land on its other side. A quotient whose divisor may be 0 has
either sign in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rnnspec.backends.accuracy import USUAL, Accuracy
from rnnspec.conformance.judge.directions import COUNT, SIGNS, Directions, factors, shifts

RUNS: Final = 7
"""Versions of every number: the exact one and six perturbed ones."""

BRANCH_SPREAD: Final = 4.0
"""How many times the spread of the versions a number must lie from a threshold to be decided one way."""

_TRANSCENDENTAL: Final = (np.tanh, np.exp, np.log, np.log1p, np.expm1, np.power)
_ROUNDED_ONCE: Final = (np.add, np.subtract, np.multiply, np.divide, np.sqrt, np.square, np.reciprocal)
_SUMS: Final = (np.add, np.subtract)
_EXACT: Final = (
    np.negative, np.positive, np.absolute, np.maximum, np.minimum, np.sign, np.logical_and, np.logical_or,
    np.logical_not, np.isfinite, np.isnan, np.isinf,
)  # fmt: skip
_UNITS: Final = {
    **dict.fromkeys(_TRANSCENDENTAL, 4.0), **dict.fromkeys(_ROUNDED_ONCE, 1.0), **dict.fromkeys(_EXACT, 0.0),
}  # fmt: skip
"""By how many units of roundoff an elementwise function's result may be off."""

_ARRAYS: Final = (np.ndarray, np.generic)
_COMPARISONS: Final = {np.less, np.less_equal, np.greater, np.greater_equal}
# Kinks may act together only, as a product of slopes along a path, or one against another. So one version says yes to
# all and one no; of the other four, each kink draws a column, and two kinks meet in nearly every combination.
_WAYS: Final = np.array(
    [
        [1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 0, 0, 0, 1, 1],
        [0, 1, 0, 1, 0, 1],
        [0, 0, 1, 1, 1, 0],
    ],
    np.bool_,
)
_LARGEST: Final = np.array(np.finfo(np.float64).max)
_LITTLE: Final = 1 / 32
"""The share of a sum up to which a term is one of many that are added one after another."""

_ONE_WAY: Final = 1 / 4
"""By how many units of roundoff such a sum may be off to the same side each time."""

_PIECE: Final = 1 << 16
"""Numbers that are moved at a time, where there are many: they and their steps stay in the processor's cache."""

_CALM: Final = 1e300
"""A sum of squares up to which all terms are finite, and stay so when they move."""


_MAXIMUM: Final[Callable[..., Any]] = np.maximum.reduce


def greatest(array: NDArray[Any], axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """The greatest of numbers that are not negative, 0 if there are none: ``max``, only faster."""
    return _MAXIMUM(array, axis=axis, keepdims=keepdims, initial=0.0)


def _pieces(flat: NDArray[Any], single: int) -> Iterable[tuple[NDArray[Any], slice]]:
    """The versions 1…, and where in a version that is: all on a first axis or, where there are many, part by part."""
    if (RUNS - 1) * single <= COUNT:
        return ((flat[single:].reshape(RUNS - 1, single), slice(single)),)
    parts = [slice(start, min(start + _PIECE, single)) for start in range(0, single, _PIECE)]
    return ((flat[version * single :][part], part) for version in range(1, RUNS) for part in parts)


class Noise:
    """Where the random directions of a computation come from, and how large a rounding is.

    Parameters
    ----------
    unit_roundoff
        u: half the distance from 1 to the next number.
    smallest_normal
        The magnitude below which rounding errors stop shrinking.
    seed
        The same seed gives the same perturbations.
    whole
        Whether the inputs are whole numbers. Sums and products of whole numbers up to 1/u are exact, in any order, and
        are then left alone; so kinks that stand exactly where such numbers fall have one side for everyone.
    largest
        The greatest number of the type. `overflowed` tells whether a finite result of version 0, or the sum of its
        terms' magnitudes, was beyond it. A computation in the type itself then meets an infinity on the way, even if
        its result is small. In the same way, `chose` tells whether several places were the greatest to within rounding.
    accuracy
        By how many units of roundoff transcendental functions and products of matrices may be off.
    adds_many
        Whether there may be sums of many terms, added one after another. Where these terms are alike, rounding goes to
        the same side again and again, further than random directions lead: one version goes up, and one down.
    """

    def __init__(
        self,
        unit_roundoff: float,
        smallest_normal: float,
        seed: int,
        whole: bool = False,
        largest: float = math.inf,
        accuracy: Accuracy = USUAL,
        adds_many: bool = False,
    ) -> None:
        self.unit_roundoff = unit_roundoff
        self.smallest_normal = smallest_normal
        self._smallest_normal = np.array(smallest_normal)  # NumPy adds it faster than a Python number
        self.whole = whole
        self.largest = largest
        self.accuracy = accuracy
        self.adds_many = adds_many
        self.overflowed = False
        self.chose = False
        self._calm = min(_CALM, largest / 2 * largest)
        self._tables: dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        for units in filter(None, {*_UNITS.values(), float(accuracy.transcendental)}):
            if (scaling := factors(units * unit_roundoff)) is not None:
                self._tables[units] = scaling, shifts(units * unit_roundoff * smallest_normal)
        self.directions = Directions(seed)

    def ways(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """How the versions 1… decide what rounding could decide either way."""
        chosen = np.random.Generator(np.random.SFC64(self.directions.turn())).integers(_WAYS.shape[1], size=shape)
        return np.asarray(_WAYS[:, chosen])

    def rounding_of(self, given: Any) -> float:
        """By how much the type changes a Python number; 0 for arrays, which hold what the type holds."""
        if isinstance(given, _ARRAYS) or not math.isfinite(given):
            return 0.0
        mantissa = math.frexp(given)[0] / self.unit_roundoff
        return 0.0 if mantissa.is_integer() else self.unit_roundoff * abs(given)

    def perturb(
        self,
        exact: NDArray[Any],
        magnitude: NDArray[Any] | None,
        units: float | NDArray[Any],
        *,
        transcendental: bool = False,
    ) -> NDArray[Any]:
        """Move versions 1… of `exact` by units·u·magnitude (of its own by default); version 0 stays.

        With a magnitude, which is that of version 0, each number may have units of its own. Transcendental functions
        need not be exact where the result is a whole number, but for 0.
        """
        # A copy where memory is in another order, and of one version as many as are to be moved.
        flat = exact.reshape(-1) if exact.shape[0] == RUNS else exact.repeat(RUNS, axis=0).reshape(-1)
        single = flat.size // RUNS
        large = flat if magnitude is None else magnitude.reshape(-1)
        calm = large.dot(large) <= self._calm  # not so where anything is NaN
        if not calm:
            self._watch(np.abs(large[:single]))
        tables = self._tables.get(units) if isinstance(units, float) and magnitude is None and not self.whole else None
        if tables is not None and flat.size - single <= COUNT:
            moved, here = flat[single:], self.directions.places(flat.size - single)
            moved *= tables[0][here]
            moved += tables[1][here]
        else:
            for moved, part in _pieces(flat, single):
                reach = np.abs(moved) if magnitude is None else large[part]
                unit = units if isinstance(units, float) else units[part]
                self._move(moved, reach, unit, calm, transcendental, magnitude is not None)
        return flat.reshape(RUNS, *exact.shape[1:])

    def _move(
        self,
        moved: NDArray[Any],
        reach: NDArray[Any],
        units: float | NDArray[Any],
        calm: bool,
        transcendental: bool,
        summed: bool,
    ) -> None:
        """Move numbers by units·u·reach, each in a direction of its own."""
        # An infinity stays one: no step is infinite.
        step = (reach if calm else np.minimum(reach, _LARGEST)) + self._smallest_normal
        step *= units * self.unit_roundoff
        step = step * SIGNS[self.directions.places(moved.size)].reshape(moved.shape)
        if summed:  # zeros add up to 0 in every type
            step *= reach != 0
        if self.whole:
            most = 0 if transcendental else 1 / self.unit_roundoff
            step[(moved == np.rint(moved)) & (np.abs(moved) <= most)] = 0
        moved += step

    def _watch(self, magnitude: NDArray[Any]) -> None:
        """Look at a result of version 0: where it divides by 0, the others divide by next to nothing."""
        if magnitude.max(initial=0.0) > self.largest:
            self.overflowed = self.overflowed or bool(np.any((magnitude > self.largest) & np.isfinite(magnitude)))


class Rounded(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of `RUNS` versions; to the code that computes with it, an array of the shape of one version.

    `data` has the versions on its first axis, or one entry there if all are equal (an input, given exactly).
    """

    __slots__ = ("data", "noise")

    def __init__(self, data: NDArray[Any], noise: Noise) -> None:
        self.data = data
        self.noise = noise

    @classmethod
    def exactly(cls, array: NDArray[Any], noise: Noise) -> Rounded:
        """Wrap a number array that all versions share."""
        return cls(array[np.newaxis], noise)

    def versions(self) -> NDArray[Any]:
        """All versions, on the first axis."""
        return self.data if self.data.shape[0] > 1 else np.broadcast_to(self.data, (RUNS, *self.shape))

    # The reference's questions to an array.

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one version."""
        return self.data.shape[1:]

    @property
    def ndim(self) -> int:
        """Axes of one version."""
        return self.data.ndim - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers: float64, or bool for a comparison's result."""
        return self.data.dtype

    @property
    def size(self) -> int:
        """Numbers in one version."""
        return math.prod(self.shape)

    @property
    def T(self) -> Rounded:
        """Axes reversed."""
        return Rounded(self.data.transpose(0, *range(self.data.ndim - 1, 0, -1)), self.noise)

    def __len__(self) -> int:
        return self.shape[0]

    def transpose(self, *axes: int) -> Rounded:
        """Axes in another order, as a view."""
        ndim = self.data.ndim - 1
        return Rounded(self.data.transpose(0, *[axis % ndim + 1 for axis in axes]), self.noise)

    def reshape(self, *shape: Any) -> Rounded:
        """Another shape, as a view where NumPy gives one."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        return Rounded(self.data.reshape(self.data.shape[0], *wanted), self.noise)

    def copy(self) -> Rounded:
        """A copy that is safe to write to."""
        return Rounded(np.array(self.versions()), self.noise)

    def astype(self, dtype: Any, copy: bool = True) -> Rounded:
        """Nothing for floats, which stay float64 whatever type they stand for; whole numbers and truths change type."""
        if self.data.dtype.kind == "f" and np.dtype(dtype).kind in "fV":
            return self
        return Rounded(self.data.astype(np.float64 if np.dtype(dtype).kind in "fV" else dtype), self.noise)

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Rounded:
        """Sum over axes."""
        return _sum(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Rounded:
        """Greatest along axes."""
        return _reduced(np.maximum.reduce)(self, axis, keepdims, initial=initial)

    def min(self, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Rounded:
        """Smallest along axes."""
        return _reduced(np.minimum.reduce)(self, axis, keepdims, initial=initial)

    def argmax(self, axis: int) -> Rounded:
        """Place of the greatest, as each version has it."""
        return _argmax(self, axis)

    def __getitem__(self, index: Any) -> Rounded:
        return Rounded(self.data[_all_runs(index)], self.noise)

    def __setitem__(self, index: Any, value: Any) -> None:
        place = _all_runs(index)
        self.data[place] = _align(value, self.data[place].ndim - 1)

    # The mixin's operators do the same by way of NumPy's dispatch, which takes as long again as the arithmetic.

    def __add__(self, other: Any) -> Rounded:
        return Rounded(_rounded_once(self.noise, np.add, self, other), self.noise)

    def __sub__(self, other: Any) -> Rounded:
        return Rounded(_rounded_once(self.noise, np.subtract, self, other), self.noise)

    def __rsub__(self, other: Any) -> Rounded:
        return Rounded(_elementwise(self.noise, np.subtract, (other, self)), self.noise)

    def __mul__(self, other: Any) -> Rounded:
        return Rounded(_rounded_once(self.noise, np.multiply, self, other), self.noise)

    __radd__, __rmul__ = __add__, __mul__

    def __lt__(self, other: Any) -> Rounded:
        return Rounded(_elementwise(self.noise, np.less, (self, other)), self.noise)

    def __le__(self, other: Any) -> Rounded:
        return Rounded(_elementwise(self.noise, np.less_equal, (self, other)), self.noise)

    def __gt__(self, other: Any) -> Rounded:
        return Rounded(_elementwise(self.noise, np.greater, (self, other)), self.noise)

    def __ge__(self, other: Any) -> Rounded:
        return Rounded(_elementwise(self.noise, np.greater_equal, (self, other)), self.noise)

    def __matmul__(self, other: Any) -> Rounded:
        return Rounded(_matmul(self.noise, self, other), self.noise)

    def __iadd__(self, other: Any) -> Rounded:
        return self._take(_rounded_once(self.noise, np.add, self, other), np.add)

    def __imul__(self, other: Any) -> Rounded:
        return self._take(_rounded_once(self.noise, np.multiply, self, other), np.multiply)

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *operands: Any, out: tuple[Any] | None = None, **options: Any
    ) -> Any:
        if method == "at" and ufunc is np.add:
            return _add_at(*operands)
        if method != "__call__":
            return NotImplemented
        if options:
            raise TypeError(f"{ufunc.__name__} of a Rounded: unknown options {', '.join(options)}")
        result = _matmul(self.noise, *operands) if ufunc is np.matmul else _elementwise(self.noise, ufunc, operands)
        if out is None:
            return Rounded(result, self.noise)
        place: Rounded = out[0]
        return place._take(result, ufunc)

    def _take(self, result: NDArray[Any], ufunc: np.ufunc) -> Rounded:
        """Hold a result in place of what it has."""
        if result.shape[0] > self.data.shape[0]:  # one version becomes several, in a place of its own
            if self.data.base is not None:
                raise TypeError(f"{ufunc.__name__}: expected `out` to have its own memory, got a view of one version")
            self.data = result
        else:
            self.data[...] = result
        return self

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        handler = _FUNCTIONS.get(function)
        return NotImplemented if handler is None else handler(*arguments, **options)


_ALL: Final = slice(None)


def _all_runs(index: Any) -> tuple[Any, ...]:
    if isinstance(index, tuple):
        return (_ALL, *index)
    if isinstance(index, np.ndarray) and index.dtype == np.bool_:
        return (_ALL, *np.nonzero(index))
    return _ALL, index


def _align(operand: Any, ndim: int) -> Any:
    """The operand's data, versions first, with axes for broadcasting to `ndim` axes."""
    if not isinstance(operand, Rounded):
        return operand
    data = operand.data
    missing = ndim + 1 - data.ndim
    return data if missing <= 0 else data.reshape(data.shape[0], *(1,) * missing, *data.shape[1:])


def _aligned(*operands: Any) -> list[Any]:
    """The data of all operands, with axes for broadcasting to the most that one of them has."""
    values, most, level = [], -1, True
    for operand in operands:
        value = operand.data if isinstance(operand, Rounded) else operand
        values.append(value)
        if isinstance(value, np.ndarray):
            ndim = value.ndim - (value is not operand)
            level = level and most in (-1, ndim)
            most = max(most, ndim)
    return values if level else [_align(operand, most) for operand in operands]


def _rounded_once(noise: Noise, ufunc: np.ufunc, left: Rounded, right: Any) -> NDArray[Any]:
    """A sum, difference or product: as `_elementwise`, and sooner where both have as many axes."""
    if type(right) is not Rounded or right.data.ndim != left.data.ndim:
        return _elementwise(noise, ufunc, (left, right))
    result: NDArray[Any] = ufunc(left.data, right.data)
    if result.dtype.kind != "f":
        return result
    result = noise.perturb(result, None, 1.0)
    return _one_way(noise, result, left, right) if noise.adds_many and ufunc in _SUMS else result


def _one_way(noise: Noise, sums: NDArray[Any], left: Any, right: Any) -> NDArray[Any]:
    """Sums whose last two versions round up and down, where a term is added that is little beside the sum.

    Such a term is one of many. (In a CRF over 1,100 steps, where the same score is added at each, torch's partition is
    off by 260 units of it, of which the root of the steps is 33.)
    """
    exact = sums[:1]
    terms = (_align(term, sums.ndim - 1)[:1] if isinstance(term, Rounded) else term for term in (left, right))
    term = np.minimum(*map(np.abs, terms))
    one_of_many = (term <= _LITTLE * np.abs(exact)) & (term > 0) & np.isfinite(exact)
    if noise.whole:
        one_of_many &= exact != np.rint(exact)
    if one_of_many.any():
        step = np.where(one_of_many, exact, 0.0)[0] * (_ONE_WAY * noise.unit_roundoff)
        sums[-1] += step
        sums[-2] -= step
    return sums


def _elementwise(noise: Noise, ufunc: np.ufunc, operands: tuple[Any, ...]) -> NDArray[Any]:
    values = _aligned(*operands)
    units = _UNITS.get(ufunc)
    if units is None or _all_whole(values):
        return _decided(noise, ufunc, values)
    result: NDArray[Any] = ufunc(*values)
    if ufunc is np.divide and isinstance(operands[1], Rounded):
        result = _either_sign(noise, result, values[1])
    if not units or (ufunc is np.multiply and any(map(_power_of_two, values))):
        return result
    transcendental = ufunc in _TRANSCENDENTAL
    units = float(noise.accuracy.transcendental) if transcendental else units
    result = noise.perturb(result, None, units, transcendental=transcendental)
    return _one_way(noise, result, *operands) if noise.adds_many and ufunc in _SUMS else result


def _either_sign(noise: Noise, quotient: NDArray[Any], divisor: NDArray[Any]) -> NDArray[Any]:
    """A quotient, of either sign where the divisor lies within the spread of its versions from 0.

    A vector that is brought to length 1 is a step where it is next to nothing: of two units, layer normalisation gives
    little more than the sign of their difference. Rounding decides it, as it decides a comparison.
    """
    if divisor.shape[0] == 1:
        return quotient
    exact = divisor[:1]
    with np.errstate(invalid="ignore"):
        spread = greatest(np.abs(divisor - exact), axis=0, keepdims=True)
        open_ = (np.abs(exact) <= BRANCH_SPREAD * spread) & (spread > 0)
    if not open_.any():
        return quotient
    turned = np.array(np.broadcast_to(quotient, (RUNS, *quotient.shape[1:])))
    ways = noise.ways(quotient.shape[1:])
    np.negative(turned[1:], out=turned[1:], where=~ways & np.broadcast_to(open_, turned[1:].shape))
    return turned


def _decided(noise: Noise, ufunc: np.ufunc, values: list[Any]) -> NDArray[Any]:
    """Operations without rounding: comparisons, and all operations on whole numbers and truths."""
    if _all_whole(values) or ufunc in (np.equal, np.not_equal):
        return np.asarray(ufunc(*values))
    if ufunc in _COMPARISONS:
        return _compare(noise, ufunc, *values)
    raise TypeError(f"no rounding model for {ufunc.__name__}")


def _all_whole(values: list[Any]) -> bool:
    """Whether there are only whole numbers and truths, which are exact."""
    for value in values:
        if value.dtype.kind not in "biu" if isinstance(value, _ARRAYS) else not isinstance(value, int):
            return False
    return True


def _power_of_two(value: Any) -> bool:
    return not isinstance(value, np.ndarray) and abs(math.frexp(value)[0]) == 0.5


def _compare(noise: Noise, ufunc: np.ufunc, left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """Compare; where the versions' spread reaches the threshold, let them go either way."""
    with np.errstate(invalid="ignore"):
        gap = np.asarray(left - right)
        farthest = greatest(np.abs(gap - gap[:1]))
    distance = np.abs(gap[:1])
    nearest, largest = distance.min(initial=np.inf), greatest(distance)
    # A number that is given as such, the type of the call may not hold.
    given = max(noise.rounding_of(operand) for operand in (left, right))
    if nearest > BRANCH_SPREAD * (farthest + noise.unit_roundoff * (largest + noise.smallest_normal)) + given:
        return np.asarray(ufunc(gap, 0))  # all are far from the threshold, and there is no NaN
    gap = np.clip(np.where(np.isnan(gap), 0.0, gap), -_LARGEST, _LARGEST)
    decided: NDArray[Any] = ufunc(gap, 0)
    exact = gap[:1]
    spread = greatest(np.abs(gap - exact), axis=0, keepdims=True)
    rounding = 0.0 if noise.whole else noise.unit_roundoff * (np.abs(exact) + noise.smallest_normal)
    open_ = (np.abs(exact) <= BRANCH_SPREAD * (spread + rounding) + given) & (spread + rounding + given > 0)
    if not open_.any():
        return decided
    shape = (RUNS, *gap.shape[1:])
    turns = np.broadcast_to(decided, shape).copy()
    ways = noise.ways(gap.shape[1:])
    np.copyto(turns[1:], ways, where=np.broadcast_to(open_, ways.shape))
    return turns


def _roundings(terms: int) -> float:
    """By how many units of their magnitudes' sum so many terms' sum may be off.

    Rounding errors of unequal terms go either way, and add up as the root. Those of equal ones, added up one after
    another, go the same way: where there are hundreds, this is more. (In a CRF of one tag over 1,025 steps, torch's
    gradient of the transition is off by 377 units of 3,072 equal terms, of which the root is 55.)
    """
    return float(max(max(terms, 1) ** 0.5, terms / 16))


def _matmul(noise: Noise, left: Any, right: Any) -> NDArray[Any]:
    for operand in (left, right):
        if isinstance(operand, Rounded) and operand.ndim < 2:
            # NumPy would take the versions of a vector for the rows of a matrix.
            raise TypeError(f"matmul of a Rounded: expected at least 2 axes, got shape {operand.shape}")
    a, b = _aligned(left, right)
    # As the versions differ little, the magnitudes of one tell those of all.
    first_a = a[:1] if isinstance(left, Rounded) else a
    first_b = b[:1] if isinstance(right, Rounded) else b
    magnitude = np.matmul(np.abs(first_a), np.abs(first_b))
    # The rounding of the terms themselves is one of the roundings, unless it is declared to be coarser.
    units = _roundings(a.shape[-1]) + noise.accuracy.product - 1
    return noise.perturb(np.matmul(a, b), magnitude, units)


def _inner(array: Rounded, axis: Any) -> tuple[int, ...]:
    """Axes of one version as axes of the data."""
    axes = range(array.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    ndim = array.ndim
    return tuple([one % ndim + 1 for one in axes])


_TOTAL: Final[Callable[..., NDArray[Any]]] = np.add.reduce


def _sum(array: Rounded, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, **_: Any) -> Rounded:
    inner = _inner(array, axis)
    result = _TOTAL(array.data, axis=inner, keepdims=keepdims)
    if array.data.dtype.kind != "f":
        return Rounded(result, array.noise)
    length = math.prod([array.data.shape[one] for one in inner])
    magnitude = _TOTAL(np.abs(array.data[:1]), axis=inner, keepdims=keepdims)
    return Rounded(array.noise.perturb(result, magnitude, _roundings(length)), array.noise)


def _reduced(reduce: Callable[..., Any]) -> Callable[..., Rounded]:
    """Greatest, smallest, any, all: exact in every version."""

    def make(array: Rounded, axis: Any = None, keepdims: bool = False, initial: Any = None, **_: Any) -> Rounded:
        options = {} if initial is None or not isinstance(initial, int | float) else {"initial": initial}
        return Rounded(reduce(array.data, axis=_inner(array, axis), keepdims=keepdims, **options), array.noise)

    return make


def _argmax(array: Rounded, axis: int = -1) -> Rounded:
    """Place of the greatest; among what rounding could put first, versions 1… choose each its own.

    Version 1 takes the first and version 2 the last, so that no choice that is open passes for one that is not. Where
    earlier choices have left other places possible to a version than to version 0, as in a beam that each fills in its
    own order, they differ by more than rounding: that version takes the greatest of its own numbers.
    """
    inner = axis % array.ndim + 1
    versions = array.versions()
    exact = versions[:1]
    with np.errstate(invalid="ignore"):
        spread = np.abs(versions - exact).max(axis=0, keepdims=True)
        spread = np.where(np.isfinite(spread), spread, 0.0)
        margin = spread + spread.max(axis=inner, keepdims=True)
        rivals = _near_the_greatest(exact, inner, margin, array.noise)
        impossible = np.isneginf(versions)
        apart = (impossible != impossible[:1]).any(axis=inner, keepdims=True)
        if apart.any():
            rivals = np.where(apart, _near_the_greatest(versions, inner, 0.0, array.noise), rivals)
    places = np.repeat(rivals.argmax(axis=inner), RUNS // rivals.shape[0], axis=0)
    places[:1] = exact.argmax(axis=inner)
    open_ = (rivals.sum(axis=inner) > 1).any(axis=0)
    if open_.any():
        array.noise.chose = True
        several = np.moveaxis(np.broadcast_to(rivals, versions.shape)[1:], inner, -1)[:, open_]
        draws = np.random.default_rng(array.noise.directions.turn()).random(several.shape)
        chosen = np.where(several, draws, -1.0).argmax(axis=-1)
        chosen[0] = several[0].argmax(axis=-1)
        chosen[1] = several.shape[-1] - 1 - np.flip(several[1], -1).argmax(axis=-1)
        places[1:, open_] = chosen
    return Rounded(places, array.noise)


def _near_the_greatest(numbers: NDArray[Any], axis: int, margin: Any, noise: Noise) -> NDArray[np.bool_]:
    """Which numbers rounding could make the greatest along an axis."""
    greatest = numbers.max(axis=axis, keepdims=True)
    margin = margin + noise.unit_roundoff * np.where(np.isfinite(greatest), np.abs(greatest), 0.0)
    return np.asarray((greatest - numbers <= BRANCH_SPREAD * margin) | (numbers == greatest))


def _take_along_axis(array: Any, indices: Any, axis: int) -> Rounded:
    """Entries of an array at places, either of which may differ from version to version."""
    noise = array.noise if isinstance(array, Rounded) else indices.noise
    data = array.versions() if isinstance(array, Rounded) else np.broadcast_to(array, (RUNS, *array.shape))
    places = indices.versions() if isinstance(indices, Rounded) else np.broadcast_to(indices, (RUNS, *indices.shape))
    return Rounded(np.take_along_axis(data, places, axis=axis % (data.ndim - 1) + 1), noise)


def _add_at(array: Rounded, index: Any, values: Any) -> None:
    """Add values at places that may repeat: at each, one after another, which rounds as often as there are values."""
    added = values.versions() if isinstance(values, Rounded) else np.broadcast_to(values, (RUNS, *np.shape(values)))
    magnitude, terms = np.abs(array.data[0]), np.ones(array.shape)
    np.add.at(magnitude, index, np.abs(added[0]))
    np.add.at(terms, index, np.ones(added.shape[1:]))
    for version in range(RUNS):
        np.add.at(array.data[version], index, added[version])
    units = np.maximum.reduce([np.sqrt(terms), terms / 16, np.full(terms.shape, 2.0)]).ravel()
    array.data[...] = array.noise.perturb(array.data.copy(), magnitude, units)


def _sorted(array: Rounded, axis: int = -1, **_: Any) -> Rounded:
    return Rounded(np.sort(array.data, axis=axis % array.ndim + 1), array.noise)


def _svd(array: Rounded, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Rounded:
    """Singular values; each moves by what a backward stable algorithm moves the greatest.

    That is p(n) u, where p(n) grows modestly with the size of the matrix (Anderson et al. 1999, LAPACK Users' Guide,
    section 4.9): here as n. Algorithms in use differ more than products do, which grow with the root of n. Besides,
    they end where what is left is 10 u to 100 u of the rest, by the type (LAPACK's `xBDSQR`, TOLMUL): in float32, MKL's
    greatest singular value of 3 x 3 numbers of different scales is off by as much as 20 u.
    """
    if compute_uv:
        raise TypeError("svd of a Rounded: expected compute_uv=False")
    versions = array.versions()
    finite = np.where(np.isfinite(versions), versions, 0.0)
    values = np.linalg.svd(finite, compute_uv=False)
    greatest = np.broadcast_to(values[:1, ..., :1], values[:1].shape)
    left = max(10.0, min(100.0, array.noise.unit_roundoff ** (-1 / 8)))
    return Rounded(array.noise.perturb(values, greatest, left + array.shape[-1]), array.noise)


def _tensordot(left: Rounded, right: Rounded, axes: Any) -> Rounded:
    """Contract two arrays, as one matrix product a version."""

    def matrix(array: Rounded, contracted: Sequence[int], last: bool) -> tuple[NDArray[Any], list[int]]:
        kept = [axis for axis in range(array.ndim) if axis not in contracted]
        order = [*kept, *contracted] if last else [*contracted, *kept]
        data = array.data.transpose(0, *(axis + 1 for axis in order))
        lengths = [array.shape[axis] for axis in kept]
        size = int(np.prod(lengths))
        inner = int(np.prod([array.shape[axis] for axis in contracted]))
        return data.reshape(data.shape[0], *((size, inner) if last else (inner, size))), lengths

    noise = left.noise
    a, rows = matrix(left, axes[0], True)
    b, columns = matrix(right, axes[1], False)
    product = _matmul(noise, Rounded(a, noise), Rounded(b, noise))
    return Rounded(product.reshape(product.shape[0], *rows, *columns), noise)


def _where(condition: Any, yes: Any, no: Any) -> Rounded:
    noise = next(item.noise for item in (condition, yes, no) if isinstance(item, Rounded))
    return Rounded(np.where(*_aligned(condition, yes, no)), noise)


def _full_like(value: float) -> Callable[..., Rounded]:
    def make(array: Rounded, dtype: Any = None, *, shape: Any = None) -> Rounded:
        wanted = array.shape if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        kind = np.float64 if dtype is None else dtype
        full = np.full((RUNS, *wanted), value, kind) if value else np.zeros((RUNS, *wanted), kind)  # which is sooner
        return Rounded(full, array.noise)

    return make


def _joined(join: Callable[..., NDArray[Any]]) -> Callable[..., Rounded]:
    def versions(array: Rounded | NDArray[Any]) -> NDArray[Any]:
        return array.versions() if isinstance(array, Rounded) else np.broadcast_to(array, (RUNS, *array.shape))

    def make(arrays: Sequence[Any], axis: int = 0) -> Rounded:
        noise = next(array.noise for array in arrays if isinstance(array, Rounded))
        return Rounded(join([versions(a) for a in arrays], axis=axis + 1 if axis >= 0 else axis), noise)

    return make


_FUNCTIONS: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    np.where: _where,
    np.sum: _sum,
    np.max: _reduced(np.maximum.reduce),
    np.min: _reduced(np.minimum.reduce),
    np.any: _reduced(np.logical_or.reduce),
    np.all: _reduced(np.logical_and.reduce),
    np.argmax: _argmax,
    np.take_along_axis: _take_along_axis,
    np.sort: _sorted,
    np.linalg.svd: _svd,
    np.isneginf: lambda array: Rounded(np.isneginf(array.data), array.noise),
    np.broadcast_to: lambda array, shape: Rounded(
        np.broadcast_to(_align(array, len(shape)), (array.data.shape[0], *shape)), array.noise
    ),
    np.expand_dims: lambda array, axis: array[
        tuple(np.newaxis if k == axis % (array.ndim + 1) else slice(None) for k in range(array.ndim + 1))
    ],
    np.tensordot: _tensordot,
    np.empty_like: _full_like(np.nan),
    np.zeros_like: _full_like(0.0),
    np.ones_like: _full_like(1.0),
    np.stack: _joined(np.stack),
    np.concatenate: _joined(np.concatenate),
}
