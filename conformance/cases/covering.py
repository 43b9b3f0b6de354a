"""Covering arrays: few rows that together contain every pair (or triple) of choices.

Each row chooses one level of each factor. The array is built greedily, row by row, as AETG does (Cohen et al. 1997, The
AETG system, IEEE TSE 23(7), 437-444). A row begins with a tuple that no earlier row has. It then takes, factor after
factor, the level that adds most such tuples. Combinations of levels can be forbidden.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Row = tuple[int, ...]
"""The chosen level of each factor, by its number."""

Combination = frozenset[tuple[int, int]]
"""Levels of one row: pairs of a factor's number and a level's number."""

CANDIDATES: Final = 2
"""Candidates for each row; the one that adds most tuples is taken."""

_MISSES: Final = 100
"""Triples at random that are met already, or are impossible, after which no more are looked for."""

TRIES: Final = 12
"""Rows that are tried for one tuple before it counts as impossible."""


@dataclass(frozen=True)
class FactorModel:
    """Factors, their levels, and the tuples of levels to meet.

    Parameters
    ----------
    levels
        Number of levels of each factor.
    strength
        Size of the tuples that rows must meet: 1 for levels, 2 for pairs, 3 for triples.
    deep
        Factors of which rows must meet every triple, whatever the strength.
    forbidden
        Combinations of levels that no row may have.
    first
        Factors that are chosen before the others, which depend on them.
    plain
        Factors that take their first level where another level meets no more tuples.
    """

    levels: tuple[int, ...]
    strength: int = 2
    deep: tuple[int, ...] = ()
    forbidden: frozenset[Combination] = frozenset()
    first: tuple[int, ...] = ()
    plain: tuple[int, ...] = ()

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Index of each factor's first level among all levels."""
        return np.concatenate([[0], np.cumsum(self.levels)])[: len(self.levels)].astype(np.int64)

    @cached_property
    def total(self) -> int:
        """Number of all levels."""
        return sum(self.levels)

    def places(self, factor: int) -> NDArray[np.int64]:
        """Return the indices of a factor's levels among all levels."""
        return np.arange(self.starts[factor], self.starts[factor] + self.levels[factor])

    def tuples(self) -> dict[int, NDArray[np.bool_]]:
        """Return the tuples to meet, by strength: a symmetric array with an axis of all levels for each member."""
        owner = np.repeat(np.arange(len(self.levels)), self.levels)
        wanted = {self.strength: self._apart(owner, np.ones(len(owner), np.bool_), self.strength)}
        if self.deep and self.strength < 3:
            wanted[3] = self._apart(owner, np.isin(owner, self.deep), 3)
        return wanted

    def _apart(self, owner: NDArray[Any], members: NDArray[np.bool_], strength: int) -> NDArray[np.bool_]:
        """All tuples of levels of different factors, except those that contain a forbidden pair."""
        table = np.array(True)
        axes = [members.reshape([-1 if axis == place else 1 for axis in range(strength)]) for place in range(strength)]
        for axis in axes:
            table = table & axis
        barred = self.barred
        for one, other in combinations(range(strength), 2):
            shape = [1] * strength
            shape[one] = shape[other] = len(owner)
            table = table & ((owner[:, None] != owner) & ~barred).reshape(shape)
        return np.array(table, np.bool_)

    @cached_property
    def barred(self) -> NDArray[np.bool_]:
        """Forbidden pairs of levels, (total, total); a level that is forbidden alone is barred from all others."""
        table = np.zeros((self.total, self.total), np.bool_)
        for combination in self.forbidden:
            places = [int(self.starts[factor]) + level for factor, level in combination]
            if len(places) == 2:
                table[places[0], places[1]] = table[places[1], places[0]] = True
            elif len(places) == 1:
                table[places[0], :] = table[:, places[0]] = True
        return table

    @cached_property
    def larger(self) -> tuple[frozenset[int], ...]:
        """Forbidden combinations of three or more levels, as indices."""
        return tuple(
            frozenset(int(self.starts[factor]) + level for factor, level in combination)
            for combination in self.forbidden
            if len(combination) > 2
        )


@dataclass
class TupleCoverage:
    """Tuples of a model that rows meet: `met` of `total`, which excludes tuples that no legal row has."""

    model: FactorModel
    missing: dict[int, NDArray[np.bool_]] = field(init=False)
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.missing = self.model.tuples()
        self.total = self.left

    @property
    def left(self) -> int:
        """Tuples that are not met yet."""
        return sum(int(table.sum()) // _orders(strength) for strength, table in self.missing.items())

    @property
    def met(self) -> int:
        """Tuples that are met."""
        return self.total - self.left

    def add(self, row: Row) -> None:
        """Count a row's tuples as met."""
        places = self.model.starts + np.array(row, np.int64)
        for strength, table in self.missing.items():
            table[np.ix_(*[places] * strength)] = False

    def drop(self, places: Sequence[int]) -> None:
        """Count a tuple as impossible."""
        table = self.missing[len(places)]
        before = self.left
        for axes in _permutations(tuple(places)):
            table[axes] = False
        self.total -= before - self.left


def covering_rows(model: FactorModel, given: Iterable[Row] = ()) -> tuple[tuple[Row, ...], TupleCoverage]:
    """Return rows that meet every possible tuple of the model, the given ones first, and their coverage.

    The same model gives the same rows.
    """
    coverage, rows = TupleCoverage(model), []
    for row in given:
        coverage.add(row)
        rows.append(tuple(row))
    rng = np.random.default_rng(0)
    while coverage.left:
        seed = _next(coverage)
        found = [_grown(coverage, seed, rng) for _ in range(CANDIDATES)]
        legal = [one for one in found if one is not None]
        for _ in range(TRIES):
            if legal:
                break
            legal = [one for one in (_grown(coverage, seed, rng),) if one is not None]
        if not legal:
            coverage.drop(seed)
            continue
        row = max(legal, key=lambda one: one[0])[1]
        coverage.add(row)
        rows.append(row)
    return tuple(rows), coverage


def more_rows(model: FactorModel, given: Iterable[Row]) -> Iterator[Row]:
    """Yield rows that each add triples of the model's deep factors to those that the rows before it meet.

    A missing triple is looked for at random, as the one that is needed most takes a look at all of them. The rows end
    where few are left. The same model gives the same rows.
    """
    coverage = TupleCoverage(model)
    for row in given:
        coverage.add(row)
    missing, deep, rng = coverage.missing[3], np.array(model.deep), np.random.default_rng(1)
    misses = 0
    while misses < _MISSES:
        factors = rng.choice(deep, 3, replace=False)
        seed = [int(model.starts[factor] + rng.integers(model.levels[factor])) for factor in factors]
        found = _grown(coverage, seed, rng) if missing[tuple(seed)] else None
        if found is None:
            misses += 1
            continue
        misses = 0
        coverage.add(found[1])
        yield found[1]


def _next(coverage: TupleCoverage) -> tuple[int, ...]:
    """A missing tuple of the largest strength that has one, grown from the level with most missing tuples."""
    strength = max(strength for strength, table in coverage.missing.items() if table.any())
    table = coverage.missing[strength]
    place: tuple[int, ...] = ()
    for _ in range(strength):
        counts = table[place].reshape(len(table), -1).sum(axis=1)
        place = (*place, int(counts.argmax()))
    return place


def _grown(coverage: TupleCoverage, seed: Sequence[int], rng: np.random.Generator) -> tuple[int, Row] | None:
    """A whole row with these levels, and the number of tuples that it adds; None if no row was found."""
    model = coverage.model
    owner = np.repeat(np.arange(len(model.levels)), model.levels)
    chosen = {int(owner[place]): int(place) for place in seed}
    allowed: NDArray[np.bool_] = np.logical_not(np.any(model.barred[list(chosen.values())], axis=0))
    if not allowed[list(chosen.values())].all() or _holds_larger(model, chosen.values()):
        return None
    rest = [factor for factor in model.first if factor not in chosen]
    others = [factor for factor in range(len(model.levels)) if factor not in chosen and factor not in model.first]
    added = len(seed) and 1
    for factor in (*rest, *rng.permutation(np.array(others, np.int64)).tolist()):
        places = model.places(factor)
        open_ = allowed[places]
        for large in model.larger:
            missing = large - set(chosen.values())
            if len(missing) == 1 and (one := next(iter(missing))) in places:
                open_ = open_ & (places != one)
        if not open_.any():
            return None
        gains = _gains(coverage, places, np.array(list(chosen.values()), np.int64))
        gains += rng.random(len(places)) * 0.5  # less than a tuple, to decide between equals
        if factor in model.plain:
            gains[0] += 0.5
        gains = np.where(open_, gains, -1.0)
        best = int(gains.argmax())
        added += int(gains[best])
        chosen[factor] = int(places[best])
        allowed &= ~model.barred[chosen[factor]]
    return added, tuple(chosen[factor] - int(model.starts[factor]) for factor in range(len(model.levels)))


def _gains(coverage: TupleCoverage, places: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """Number of missing tuples that each level forms with the chosen levels."""
    gains = np.zeros(len(places))
    for strength, table in coverage.missing.items():
        found = table[np.ix_(places, *[chosen] * (strength - 1))]
        gains += found.reshape(len(places), -1).sum(axis=1) / _orders(strength - 1)
    return gains


def _holds_larger(model: FactorModel, places: Collection[int]) -> bool:
    return any(large <= set(places) for large in model.larger)


def _orders(members: int) -> int:
    """Number of orders of a tuple's members, and so of its entries in a symmetric table."""
    return (1, 1, 2, 6)[members]


def _permutations(places: tuple[int, ...]) -> Iterable[tuple[int, ...]]:
    if len(places) <= 1:
        return [places]
    return [(one, *rest) for i, one in enumerate(places) for rest in _permutations(places[:i] + places[i + 1 :])]


@cache
def spread_order(count: int) -> tuple[int, ...]:
    """Return all indices below `count`, every beginning spread evenly (van der Corput's sequence in base 2)."""
    bits = max(count - 1, 1).bit_length()
    reversed_ = (int(f"{place:0{bits}b}"[::-1], 2) for place in range(1 << bits))
    return tuple(place for place in reversed_ if place < count)
