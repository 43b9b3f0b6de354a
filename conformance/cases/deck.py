"""The deck: the planned cases of an operation in a type.

Its first part is a covering array (`rnnspec.conformance.cases.covering`) over all choices: the level of each attribute,
the kind of steps, the absent optional inputs, the regime, and small sizes. The second part has calls without a valid
step, without a step and without a sequence. The third part tries single sizes at which kernels break
(`rnnspec.conformance.cases.ladder`), equal sizes that could confuse axes, and large sizes all together
(`rnnspec.conformance.cases.grown`). In types of two bytes, generic calls come last. The seed changes only numbers,
never choices.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from rnnspec.conformance.cases.alone import one_at_a_time
from rnnspec.conformance.cases.beyond import counts_beyond_sizes, generic, none_valid, nothing_given
from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.counts import beyond_ranges, late_ends, unlike_ends
from rnnspec.conformance.cases.covering import (
    Combination,
    FactorModel,
    Row,
    TupleCoverage,
    covering_rows,
    more_rows,
    spread_order,
)
from rnnspec.conformance.cases.draw import Scope
from rnnspec.conformance.cases.factors import Factor, Factors
from rnnspec.conformance.cases.grown import grown, paired, wide
from rnnspec.conformance.cases.looks import looking_padded
from rnnspec.conformance.cases.making import Maker
from rnnspec.conformance.cases.numbers import far, many_terms, special_numbers, still
from rnnspec.conformance.cases.rungs import Climber, DeckError
from rnnspec.conformance.cases.spans import deciding

__all__ = ["Deck", "DeckError", "Extent", "Planner"]


@dataclass(frozen=True)
class Extent:
    """Amount of planned cases.

    Parameters
    ----------
    strength
        2: every pair of choices is met; 3: every triple; 1: every choice; 0: nothing is planned.
    deep
        Whether every triple of the choices that change the path through the code is met: attributes, steps, absent
        inputs.
    largest
        The largest size on the ladder; 0: there is no ladder.
    generic
        Number of generic calls with each input, for faults that only many calls together show.
    """

    strength: int = 0
    deep: bool = False
    largest: int = 0
    generic: int = 0


@dataclass(frozen=True)
class Deck:
    """The planned cases, and the model of their covering array.

    `rows` are the rows of the covering array; the first cases belong to them, in the same order.
    """

    scope: Scope
    factors: tuple[Factor, ...]
    rows: tuple[Row, ...]
    cases: tuple[Case, ...]
    model: FactorModel | None
    impossible: int = 0
    left_out: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Sizes of the ladder that take too long to judge."""

    def anew(self) -> Deck:
        """Return the cases with arrays of their own, which a backend may spoil; all other cached values are shared."""
        return replace(self, cases=tuple(case.anew() for case in self.cases))

    def spread(self) -> Iterator[Case]:
        """Yield the covering array's cases in an order whose every beginning is spread over the whole array."""
        return (self.cases[place] for place in spread_order(len(self.rows)))

    def met_by(self, judged: Iterable[Case]) -> tuple[int, int]:
        """Return the number of tuples of choices that these cases meet, and the number of possible ones."""
        if self.model is None:
            return 0, 0
        row_of = {id(case): row for case, row in zip(self.cases, self.rows, strict=False)}
        coverage = TupleCoverage(self.model)
        for case in judged:
            if id(case) in row_of:
                coverage.add(row_of[id(case)])
        return coverage.met, coverage.total - self.impossible


@dataclass
class Planner:
    """Planner of an operation's deck in a type, within a backend's support; `refused` grows with later refusals."""

    scope: Scope
    extent: Extent
    seed: int = 0
    few_shapes: bool = False
    """Whether the deck has few shapes, for backends that compile for each shape."""

    refused: set[Combination] = field(default_factory=set)
    _cases: dict[Row, Case] = field(default_factory=dict)

    @cached_property
    def choices(self) -> Factors:
        """The choices, those with a single level included."""
        return Factors(self.scope, self.few_shapes)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The choices with more than one level."""
        return self.choices.all

    @cached_property
    def _maker(self) -> Maker:
        return Maker(self.choices, self.seed)

    def model(self, more: Iterable[Combination] = ()) -> FactorModel:
        """Return the model of all choices, with all forbidden combinations."""
        return self.choices.model(self.extent.strength, self.extent.deep, {*self.refused, *more})

    def deck(self) -> Deck:
        """Return the plan; recent plans come from a cache, with the cached values of their cases."""
        return _made(self.scope, self.extent, self.seed, self.few_shapes, frozenset(self.refused))

    def plan(self) -> Deck:
        """Make the plan anew."""
        if not self.extent.strength:
            return Deck(self.scope, (), (), (), None)
        model = self.model()
        rows, impossible = _planned(model, self._own()) if self.factors else (((),), 0)
        array = tuple(self.case_of(row) for row in rows)
        climber = Climber(self._maker, self.extent.largest)
        cases = [*array, *none_valid(self.choices, rows, array), *nothing_given(self.choices, rows, array)]
        cases += climber.cases(rows, array, self._more(rows))
        if self.extent.largest:
            cases += counts_beyond_sizes(self._maker, rows)
            cases += grown(self._maker, self.refused)
            cases += climber.in_one_piece(rows, array)
            cases += climber.labelled(rows)
            cases += wide(self._maker, rows)
            cases += paired(self._maker, rows)
            cases += special_numbers(self._maker, rows)
            cases += beyond_ranges(self._maker, rows)
            cases += late_ends(self._maker, rows)
            cases += unlike_ends(self._maker, rows)
            cases += looking_padded(self._maker, rows)
            cases += deciding(self._maker, rows)
            cases += one_at_a_time(self._maker, rows, self.refused)
        cases += far(self._maker, rows)
        cases += still(self._maker, rows)
        cases += many_terms(self._maker, rows)
        cases += generic(self._maker, rows, self.extent.generic)
        return Deck(self.scope, self.factors, rows, tuple(cases), model, impossible, climber.left_out)

    def _more(self, rows: Sequence[Row]) -> Iterator[Row]:
        """Rows of other triples of the choices that change the path through the code."""
        deep = self.choices.model(self.extent.strength, True, self.refused)
        return more_rows(deep, rows) if deep.deep and self.extent.strength > 1 else iter(())

    def _own(self) -> FactorModel | None:
        """The model of choices that the judged library itself has; None if it has all of them, or none.

        An adapter may add choices to the library's. The library's own pairs are met too, since people run them.
        """
        return None if self.choices.support.own is None else self.model(self.choices.not_own)

    def case_of(self, row: Row) -> Case:
        """Return the case of a row; the same row gives the same case."""
        if row not in self._cases:
            salt = zlib.crc32(repr(row).encode())
            self._cases[row] = self._maker.with_some_step(self.choices.levels(row), salt)
        return self._cases[row]

    def fresh(self, row: Row) -> Case:
        """Return the case of a row that is not in the deck."""
        return self._maker.case(self.choices.levels(row), 0)

    def others(self, row: Row, factor: int, refused: Collection[Combination]) -> list[Row]:
        """Return rows with another level of a factor, as `Factors.others` does."""
        return self.choices.others(row, factor, refused)


@lru_cache(maxsize=2)
def _made(scope: Scope, extent: Extent, seed: int, few_shapes: bool, refused: frozenset[Combination]) -> Deck:
    return Planner(scope, extent, seed, few_shapes, set(refused)).plan()


@lru_cache(maxsize=256)
def _planned(model: FactorModel, own: FactorModel | None) -> tuple[tuple[Row, ...], int]:
    """Rows that meet every possible tuple, and the number of impossible tuples."""
    given = covering_rows(own)[0] if own is not None else ()
    before = TupleCoverage(model).total
    rows, coverage = covering_rows(model, given)
    return rows, before - coverage.total
