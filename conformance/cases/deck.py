"""The deck: the planned cases of an operation in a type.

Its first part is a covering array (`rnnspec.conformance.cases.covering`) over all choices: the level of each attribute,
the kind of steps, the absent optional inputs, the regime, and small sizes. The second part has calls without a valid
step. The third part tries single sizes at which kernels break (`rnnspec.conformance.cases.ladder`), and equal sizes
that could confuse axes. In types of two bytes, generic calls come last. The seed changes only numbers, never choices.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from itertools import chain, pairwise
from typing import Any, Final

import numpy as np

from rnnspec.conformance.cases.case import NEEDS, Case, Steps
from rnnspec.conformance.cases.covering import Combination, Coverage, Model, Row, covering_rows
from rnnspec.conformance.cases.draw import Scope
from rnnspec.conformance.cases.ladder import DEEPEST, LARGEST, depths, equal_sizes, is_differentiated, rungs_of
from rnnspec.conformance.cases.levels import Level, between, settled, standing_for
from rnnspec.conformance.cases.regimes import REGIMES, functions_of, gives_ids, regimes_for
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.cases.support import Support, everything
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec import Operation, operation, resolved
from rnnspec.spec.language import parse_size, size_of, sizes_in
from rnnspec.spec.operation import Attribute, holds

UNUSED: Final = "unused"
"""The level of an attribute that has no meaning under the other attributes."""

STEPS: Final = "valid steps"
"""Name of the factor of steps; ``steps`` is the name of an attribute of some operation."""

NONE_VALID: Final[tuple[Steps, ...]] = ("no_lengths", "no_mask")
_SMALL: Final[tuple[tuple[int, int], ...]] = ((1, 1), (2, 2), (3, 3), (4, 6))
"""Ends of the classes of a size in the covering array."""

# One id shows little of the computation behind it, so that batches of ids are larger.
_OF_IDS: Final[tuple[tuple[int, int], ...]] = ((1, 1), (2, 2), (8, 12), (16, 20))
_FEW_SHAPES: Final = 2
"""Number of shapes in a deck for backends that compile for each shape."""
DEAREST: Final = 2.5e8
"""Most floating-point operations of a call on the ladder, by the specification's cost model."""

MEMORY: Final = 8
"""GiB that the largest call may take."""

_BYTES: Final = 8 * 7 * 4
"""Bytes for each number of a call: eight in each of seven versions, times four for intermediate results."""

_ATTEMPTS: Final = 16
"""Most seeds that are tried for a case with a valid step."""
_FEW_TERMS: Final[Mapping[str, int]] = {"B": 4, "T": 2, "U": 2}
"""Sequences and steps of a generic call. The more terms a parameter's gradient sums, the more rounding moves it."""
_FEATURES: Final = 8
"""Features of a generic call. The more elements a result has, the more rounding averages out."""
_COUNTED: Final = 8
"""Calls with a number at its greatest that sizes bound."""
_SEQUENCES: Final = 64
"""Sequences of a call with a number that sizes bound."""
_ROUNDS: Final = 4
"""Rounds of a call with such a number at its greatest, where rounds bound it."""
_LARGE: Final = 255
"""Size from which all other sizes are at most 2."""
_HUGE: Final = 512
"""Size from which all other sizes are 1, if they can be."""
_STEADY_FROM: Final = 32
"""Size from which the attributes keep numbers within the type."""


class DeckError(ValueError):
    """The requested cases cannot be planned; the message says why."""


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
class Factor:
    """One choice: its name and its levels."""

    name: str
    levels: tuple[Any, ...]
    runs: bool = False
    """Whether it changes the path through the code, and not only the numbers."""


@dataclass(frozen=True)
class Deck:
    """The planned cases, and the model of their covering array.

    `rows` are the rows of the covering array; the first cases belong to them, in the same order.
    """

    scope: Scope
    factors: tuple[Factor, ...]
    rows: tuple[Row, ...]
    cases: tuple[Case, ...]
    model: Model | None
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
        coverage = Coverage(self.model)
        for case in judged:
            if id(case) in row_of:
                coverage.add(row_of[id(case)])
        return coverage.met, coverage.total - self.impossible


@cache
def spread_order(count: int) -> tuple[int, ...]:
    """Return all indices below `count`, every beginning spread evenly (van der Corput's sequence in base 2)."""
    bits = max(count - 1, 1).bit_length()
    reversed_ = (int(f"{place:0{bits}b}"[::-1], 2) for place in range(1 << bits))
    return tuple(place for place in reversed_ if place < count)


@dataclass
class Planner:
    """Planner of an operation's deck in a type, within a backend's support; `refused` grows with later refusals."""

    scope: Scope
    extent: Extent
    seed: int = 0
    few_shapes: bool = False
    """Whether the deck has few shapes, for backends that compile for each shape."""

    refused: set[Combination] = field(default_factory=set)
    left_out: dict[str, list[int]] = field(default_factory=dict)
    """Sizes of the ladder that take too long to judge."""

    _cases: dict[Row, Case] = field(default_factory=dict)

    @cached_property
    def op(self) -> Operation:
        """The specification's operation."""
        return operation(self.scope.operation)

    @cached_property
    def support(self) -> Support:
        """The backend's support of the operation."""
        return self.scope.support or everything(self.scope.operation)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The choices with more than one level."""
        return tuple(factor for factor in self._all_factors() if len(factor.levels) > 1)

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """The level of each choice that has only one."""
        return {factor.name: factor.levels[0] for factor in self._all_factors() if len(factor.levels) == 1}

    def _all_factors(self) -> Iterator[Factor]:
        for key, attribute in self.op.attributes.items():
            meant = self._meant(attribute)
            unused = (UNUSED,) if False in meant else ()
            levels = self.support.levels[key]
            for name, entry in self._entries(key, levels) if attribute.is_tuple else [(key, levels)]:
                yield Factor(name, (*(entry if True in meant else ()), *unused) or (UNUSED,), runs=True)
        if self.op.has_steps:
            kinds = tuple(kind for kind in self.support.steps if kind not in NONE_VALID)
            yield Factor(STEPS, kinds or ("all",), runs=True)
        for name in self._optional:
            yield Factor(f"absent {name}", (False, True), runs=True)
        regimes = regimes_for(self.op)
        padded = self.op.has_steps and any(kind != "all" for kind in self.support.steps)
        yield Factor("regime", tuple(name for name in regimes if padded or not REGIMES[name].forbids_padding))
        if self.few_shapes:
            yield Factor("shape", tuple(range(_FEW_SHAPES)))
        else:
            for symbol in self.symbols:
                classes = _OF_IDS if symbol == "B" and gives_ids(self.op) else _SMALL
                least = self.op.at_least.get(symbol, 1)
                yield Factor(f"size {symbol}", tuple(one for one in classes if one[1] >= least))

    def _meant(self, attribute: Attribute) -> set[bool]:
        """Return {True}, {False} or both: whether an attribute has a meaning, under the levels that it depends on."""
        meant = {True}
        for chooser, wanted in attribute.when.items():
            values = {
                holds({chooser: wanted}, {chooser: standing_for(level)})
                for level in self.support.levels.get(chooser, ())
            }
            meant = {one and other for one in meant for other in values or {True}}
        return meant

    @staticmethod
    def _entries(key: str, levels: Sequence[Any]) -> list[tuple[str, Any]]:
        """Names and levels of the factors of a tuple attribute."""
        return [(f"{key}[{index}]", entry) for index, entry in enumerate(levels)]

    @cached_property
    def _optional(self) -> tuple[str, ...]:
        return tuple(key for key, item in self.op.inputs.items() if item.optional and item.kind == "float")

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the sizes that neither other sizes nor attributes ever give."""
        given = {"G", "n", *(item.size for item in self.op.attributes.values())}
        given |= {size for _, sizes in self.op.same_size for size in sizes}
        return tuple(symbol for symbol in self.op.sizes if symbol not in given)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {factor.name: place for place, factor in enumerate(self.factors)}

    def _forbidden(self) -> Iterator[Combination]:
        """Forbidden combinations: meaningless attributes, empty ranges, and steps that exclude a size or a regime."""
        for factor in self.factors:
            key = factor.name.partition("[")[0]
            attribute = self.op.attributes.get(key)
            if attribute is not None and attribute.when:
                yield from self._meaningless(factor, attribute.when)
        for kind, level in self._levels_of(STEPS):
            for symbol, least in NEEDS[kind].items():
                for size, other in self._levels_of(f"size {symbol}"):
                    if size[1] < least:
                        yield frozenset({level, other})
        for key, attribute in self.op.attributes.items():
            for one, level in self._levels_of(key):
                if isinstance(one, Level) and one.place == "within":
                    yield from self._too_narrow(attribute, level)
        for kind, level in self._levels_of(STEPS):
            for name, other in self._levels_of("regime"):
                if kind == "all" and REGIMES[name].forbids_padding:
                    yield frozenset({level, other})

    def _too_narrow(self, attribute: Attribute, level: tuple[int, int]) -> Iterator[Combination]:
        """Combinations with a size at which the attribute's range has no value between its ends."""
        for symbol in self.symbols:
            for size, other in self._levels_of(f"size {symbol}"):
                low, high = attribute.ends({**dict.fromkeys(self.op.sizes, 3), symbol: size[1]})
                if isinstance(low, int) and not between(attribute, low, high):
                    yield frozenset({level, other})

    def _meaningless(self, factor: Factor, when: Mapping[str, Any]) -> Iterator[Combination]:
        mine = self._place[factor.name]
        for chooser, wanted in when.items():
            for value, level in self._levels_of(chooser):
                meant = holds({chooser: wanted}, {chooser: standing_for(value)})
                for number, own in enumerate(factor.levels):
                    if meant == (own == UNUSED):
                        yield frozenset({level, (mine, number)})

    def _levels_of(self, name: str) -> list[tuple[Any, tuple[int, int]]]:
        """Levels of a factor, each with the numbers of the factor and the level; none for a fixed one."""
        if name not in self._place:
            return []
        place = self._place[name]
        return [(level, (place, number)) for number, level in enumerate(self.factors[place].levels)]

    def model(self, more: Iterable[Combination] = ()) -> Model:
        """Return the model of all choices, with all forbidden combinations."""
        first = {key for attribute in self.op.attributes.values() for key in attribute.when}
        deep = tuple(place for place, factor in enumerate(self.factors) if factor.runs)
        return Model(
            levels=tuple(len(factor.levels) for factor in self.factors),
            strength=min(self.extent.strength, max(len(self.factors), 1)),
            deep=deep if self.extent.deep and len(deep) > 2 else (),
            forbidden=frozenset({*self._always_forbidden, *self.refused, *more}),
            first=tuple(place for place, factor in enumerate(self.factors) if factor.name in first),
            # Attributes that meet no new tuple keep their usual level, under which most faults show best.
            plain=tuple(place for place, factor in enumerate(self.factors) if factor.runs and factor.name != STEPS),
        )

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
        beyond = (*self._ladder(rows, array), *self._counts_beyond_sizes(rows), *self._generic(rows))
        others = (*self._none_valid(rows, array), *beyond)
        return Deck(self.scope, self.factors, rows, (*array, *others), model, impossible, self.left_out)

    def _own(self) -> Model | None:
        """The model of choices that the judged library itself has; None if it has all of them, or none.

        An adapter may add choices to the library's. The library's own pairs are met too, since people run them.
        """
        if self.support.own is None:
            return None
        barred = [
            frozenset({(place, number)})
            for place, factor in enumerate(self.factors)
            for number, level in enumerate(factor.levels)
            if not self._is_own({factor.name: level})
        ]
        return self.model(barred)

    def _is_own(self, levels: Mapping[str, Any]) -> bool:
        """Whether the judged library itself has these levels."""
        own = self._own_levels
        return all(level == UNUSED or level in own[name] for name, level in levels.items() if name in own)

    @cached_property
    def _own_levels(self) -> Mapping[str, tuple[Any, ...]]:
        """Levels that the judged library itself has, by factor; empty if it has all, or none."""
        own = self.support.own
        if own is None:
            return {}
        allowed: dict[str, tuple[Any, ...]] = {STEPS: own.steps}
        for key, attribute in self.op.attributes.items():
            entries = self._entries(key, own.levels[key]) if attribute.is_tuple else [(key, own.levels[key])]
            allowed.update(entries)
        return allowed

    # Cases of rows.

    def case_of(self, row: Row) -> Case:
        """Return the case of a row; the same row gives the same case."""
        if row not in self._cases:
            self._cases[row] = self._with_some_step(_levels(self.factors, row), zlib.crc32(repr(row).encode()))
        return self._cases[row]

    def _with_some_step(self, chosen: Mapping[str, Any], salt: int, sizes: Mapping[str, int] | None = None) -> Case:
        """A case of these levels with a valid step, without which it would meet its choices only in name."""
        cases = [self._case(chosen, salt, sizes)]
        while cases[-1].spec.has_steps and not cases[-1].valid.any() and len(cases) < _ATTEMPTS:
            cases.append(self._case(chosen, salt + len(cases), sizes))
        return cases[-1]

    def fresh(self, row: Row) -> Case:
        """Return the case of a row that is not in the deck."""
        return self._case(_levels(self.factors, row), 0)

    def others(self, row: Row, factor: int, refused: Collection[Combination]) -> list[Row]:
        """Return rows with another level of a factor, the plainest first, without those known to be refused.

        If the rest of the row forbids every other level, the factors behind this one change too.
        """
        levels = [level for level in range(len(self.factors[factor].levels)) if level != row[factor]]
        changed = [(*row[:factor], level, *row[factor + 1 :]) for level in levels]
        legal = [other for other in changed if not _holds_any(self._always_forbidden, other)]
        legal = legal or [mended for other in changed if (mended := self._mended(other, factor)) is not None]
        return [other for other in legal if not _holds_any(refused, other)]

    def _mended(self, row: Row, factor: int) -> Row | None:
        """The row with plain levels of the factors behind one that forbids theirs; None if no levels fit."""
        for place in range(factor, len(row)):
            levels = (row[place], *range(len(self.factors[place].levels))) if place > factor else (row[place],)
            begun = ((*row[:place], level) for level in levels)
            fits = next((one for one in begun if not _holds_any(self._always_forbidden, one)), None)
            if fits is None:
                return None
            row = (*fits, *row[place + 1 :])
        return row

    @cached_property
    def _always_forbidden(self) -> frozenset[Combination]:
        return frozenset(self._forbidden())

    def _case(self, chosen: Mapping[str, Any], salt: int, sizes: Mapping[str, int] | None = None) -> Case:
        """The case of these levels; with given `sizes`, all other sizes are small."""
        chosen = {**self.fixed, **chosen}
        seed = int(stream(self.seed, f"{self.op.name} {salt}").integers(2**31))
        rng = stream(seed, "sizes")
        levels = self._attribute_levels(chosen)
        standing = {**self.op.defaults(), **{key: standing_for(level) for key, level in levels.items()}}
        resolved_op = resolved(self.op, standing)
        given = {"G", "n", *resolved_op.same_sizes_for(standing)}
        given |= {item.size for item in self.op.attributes.values()}
        steps: Steps = chosen.get(STEPS, "all")
        found: dict[str, int] = {}
        for place, symbol in enumerate(symbol for symbol in resolved_op.sizes if symbol not in given):
            low, high = self._ends(chosen, symbol, place)
            if sizes is not None:
                largest = max(sizes.values())
                small = 3 if largest < _LARGE else 2 if largest < _HUGE else 1
                low, high = min(low, small), min(high, small)
            found[symbol] = max(int(rng.integers(low, high + 1)), resolved_op.at_least.get(symbol, 0))
        for symbol, least in NEEDS[steps].items() if self.op.has_steps else ():
            found[symbol] = max(found[symbol], least)
        found.update({symbol: size for symbol, size in (sizes or {}).items() if symbol in found})
        return Case(
            operation=self.op.name,
            dtype=self.scope.dtype,
            sizes=found,
            attributes=settled(self.op, levels, found, seed),
            regime=chosen.get("regime", "generic"),
            steps=steps,
            absent=tuple(name for name in self._optional if chosen.get(f"absent {name}")),
            seed=seed,
        )

    def _ends(self, chosen: Mapping[str, Any], symbol: str, place: int) -> tuple[int, int]:
        """Least and greatest size of a symbol at these levels."""
        if "shape" in chosen:
            size = (2, 3, 2, 4, 3)[place % 5] if chosen["shape"] == 0 else (3, 4, 5, 2, 4)[place % 5]
            return size, size
        ends: tuple[int, int] = chosen.get(f"size {symbol}", _SMALL[1 + place % 3])
        return ends

    def _attribute_levels(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        levels: dict[str, Any] = {}
        for key, attribute in self.op.attributes.items():
            if attribute.is_tuple:
                entries = tuple(chosen[f"{key}[{index}]"] for index in range(len(attribute.functions)))
                if UNUSED not in entries:
                    levels[key] = entries
            elif chosen[key] != UNUSED:
                levels[key] = chosen[key]
        return levels

    # Cases beyond the covering array.

    def _none_valid(self, rows: Sequence[Row], array: Sequence[Case]) -> Iterator[Case]:
        """Calls without a valid step that meet every choice once more."""
        kinds = [kind for kind in NONE_VALID if self.op.has_steps and kind in self.support.steps]
        if not kinds:
            return
        seen: set[tuple[int, int]] = set()
        regimes: set[str] = set()
        for place, (row, case) in enumerate(zip(rows, array, strict=True)):
            levels = {(factor, level) for factor, level in enumerate(row) if self.factors[factor].name != STEPS}
            if levels - seen and not REGIMES[case.regime].forbids_padding:
                # Numbers matter little where no step is valid, but for zeros, which whole numbers have among them.
                met = case.regime in regimes and "integers" in regimes_for(self.op)
                regimes.add(case.regime)
                regime = "integers" if met else case.regime
                seen |= levels
                yield replace(case, steps=kinds[place % len(kinds)], regime=regime).with_at_least(B=1, T=1)

    def _ladder(self, rows: Sequence[Row], array: Sequence[Case]) -> Iterator[Case]:
        """Calls with one size at which kernels break and small others, then calls with equal sizes."""
        if not self.extent.largest or not rows:
            return
        levels = [_levels(self.factors, row) for row in rows]
        own = [self._is_own(row) for row in levels]
        number = 0
        for symbol in () if self.few_shapes else dict.fromkeys(symbol for case in array for symbol in case.sizes):
            having = [place for place, case in enumerate(array) if symbol in case.sizes]
            # At large sizes, people run the library's own choices.
            having_own = [place for place in having if own[place]] or having
            depth = any(symbol in depths(case.spec) for case in array)
            met = {array[place].sizes[symbol] for place in having}
            for size in rungs_of(symbol, min(self.extent.largest, DEEPEST) if depth else self.extent.largest):
                if size in met:
                    continue
                places = having_own if size >= _STEADY_FROM else having
                row = levels[places[spread_order(len(places))[number % len(places)]]]
                case = self._rung(row, number, {symbol: size})
                number += 1
                if self._affordable(case, symbol, size):
                    yield case
                else:
                    self.left_out.setdefault(symbol, []).append(size)
        if not self.few_shapes:
            steps = {STEPS: self.support.steps[0]} if self.support.steps else {}
            yield self._least({**levels[0], **steps})
        for pair in equal_sizes(resolved(self.op, self.support.defaults()), self.symbols):
            apart = {symbol: 4 + place for place, symbol in enumerate(self.symbols)}
            row = levels[spread_order(len(levels))[number % len(levels)]]
            yield self._rung(row, number, {**apart, **dict.fromkeys(pair, 3)})
            number += 1

    def _least(self, row: Mapping[str, Any]) -> Case:
        """A case whose sizes are all as small as they may be, with ids that agree where there are several arrays."""
        sizes = {symbol: self.op.at_least.get(symbol, 1) for symbol in self.symbols}
        first = self._rung(row, 0, sizes)
        more = (self._rung(row, number, sizes) for number in range(1, _ATTEMPTS))  # made only where they are needed
        return next((case for case in chain([first], more) if _ids_agree(case)), first)

    def _counts_beyond_sizes(self, rows: Sequence[Row]) -> Iterator[Case]:
        """Calls of many sequences with a number of things that sizes bound, such as the width of a beam."""
        if not self.extent.largest or self.few_shapes:
            return
        levels = [_levels(self.factors, rows[place]) for place in spread_order(len(rows))]
        for key, attribute in self.op.attributes.items():
            symbols = _bounding(attribute)
            if attribute.size and symbols:
                rounds = [name for name, other in self.op.attributes.items() if other.size in symbols]
                yield from self._greatest_counts(levels, key, rounds)
                yield from self._usual_counts(levels, key, rounds)

    def _greatest_counts(self, levels: Sequence[Mapping[str, Any]], key: str, rounds: Sequence[str]) -> Iterator[Case]:
        """The number at its greatest beside small sizes.

        Of a beam that is wider than there are tokens, a few sequences in a hundred show which beginnings it kept.
        """
        if not self._tried({**dict.fromkeys(rounds, "within"), key: "greatest"}):
            return
        attributes = self.op.attributes
        bounds = dict.fromkeys(_bounding(attributes[key]), 2)
        few = dict.fromkeys(rounds, _ROUNDS)
        sizes = {**bounds, **{attributes[name].size: count for name, count in few.items()}}
        for number in range(_COUNTED):
            case = self._of_many(levels[number % len(levels)], number, bounds)
            yield case.with_attributes(**few, **{key: attributes[key].ends(sizes)[1]})

    def _usual_counts(self, levels: Sequence[Mapping[str, Any]], key: str, rounds: Sequence[str]) -> Iterator[Case]:
        """The number at its usual value beside large sizes, for each of the operation's own choices.

        Of a beam that drops most beginnings, some sequences show how it ranks a beginning that has ended.
        """
        if not self._tried(dict.fromkeys(rounds, "greatest")):
            return
        attributes = self.op.attributes
        bounds = dict.fromkeys(_bounding(attributes[key]), _SMALL[-1][1])
        usual = {key: attributes[key].default, **{name: attributes[name].ends(bounds)[1] for name in rounds}}
        differing: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        for row in levels:
            if not self._leaves_out(row):
                differing.setdefault(self._own_choices(row, usual), row)
        for number, row in enumerate(differing.values(), start=_COUNTED):
            yield self._of_many(row, number, bounds).with_attributes(**usual)

    def _of_many(self, row: Mapping[str, Any], number: int, sizes: Mapping[str, int]) -> Case:
        """A generic case of many sequences with a row's choices."""
        return self._with_some_step({**row, "regime": "generic"}, -_ATTEMPTS * (1 + number), {"B": _SEQUENCES, **sizes})

    def _own_choices(self, row: Mapping[str, Any], apart: Collection[str]) -> tuple[Any, ...]:
        """A row's levels of the attributes that neither choose a part nor belong to one, but for those set apart."""
        parts = {part.operation for part in self.op.parts}
        return tuple(
            row.get(key)
            for key, attribute in self.op.attributes.items()
            if not attribute.when and key not in parts and key not in apart
        )

    def _leaves_out(self, row: Mapping[str, Any]) -> bool:
        """Whether a row has None for a number that sizes bound, such as the token that ends a sequence."""
        chosen = {**self.fixed, **row}
        bounded = (key for key, attribute in self.op.attributes.items() if _bounding(attribute))
        return any(chosen[key] != UNUSED and standing_for(chosen[key]) is None for key in bounded)

    def _tried(self, places: Mapping[str, str]) -> bool:
        """Whether numbers at these places of their ranges are to be tried."""
        return all(place in {level.place for level in self.support.levels[key]} for key, place in places.items())

    @property
    def _of_parts(self) -> bool:
        """Whether an attribute chooses the operation's parts."""
        return any(part.operation in self.op.attributes for part in self.op.parts)

    def _generic(self, rows: Sequence[Row]) -> Iterator[Case]:
        """Generic calls for faults that only many calls together show, the same number for each input.

        Only types of two bytes have them, since a single call shows little there.
        """
        if format_of(self.scope.dtype).dtype.itemsize > 2:
            return
        count, usual = self.extent.generic, self.support.defaults()
        levels = [_levels(self.factors, rows[place]) for place in spread_order(len(rows))]
        having: Counter[str] = Counter()
        for number in range(count * (1 + len(levels)) if levels else 0):
            drawn = self._with_some_step({**levels[number % len(levels)], "regime": "generic"}, -1 - number)
            case = _averaging(replace(drawn, attributes=usual) if number < count else drawn)
            present = [name for name, item in case.items.items() if item.kind == "float" and name not in case.absent]
            if number < count or any(having[name] < count for name in present):
                having.update(present)
                yield case

    def _rung(self, row: Mapping[str, Any], number: int, sizes: Mapping[str, int]) -> Case:
        """A generic case of these sizes with a row's choices."""
        case = self._with_some_step({**row, "regime": "generic"}, _ATTEMPTS * number, sizes)
        if max(sizes.values()) >= _STEADY_FROM:
            case = self._steady(case)
        if _flops(case) > DEAREST:  # plainer parts and fewer rounds may be cheaper
            case = self._plainest(case)
        if not all(is_differentiated(size, self._of_parts) for size in sizes.values()):
            case = replace(case, differentiated=False)
            # Each part has a ladder of its own, so that the default part is enough here.
            case = self._plainest(case) if self._of_parts else case
        if case.sampled:
            small = {symbol: 3 if symbol == "D" else 1 for symbol in case.sizes}  # a single feature may be dropped
            case = replace(
                case, sizes={**small, **{key: size for key, size in sizes.items() if key in small}}, steps="all"
            )
        return case

    def _steady(self, case: Case) -> Case:
        """The case with attributes under which numbers stay within the type over any number of steps."""
        usual = self.support.defaults()
        if "relu" in functions_of(case.spec, case.attributes):
            return replace(case, attributes=usual)
        rates = [key for key in case.attributes if self.op.attributes[key].domain == "probability"]
        return replace(case, attributes={**case.attributes, **{key: usual[key] for key in rates}})

    def _plainest(self, case: Case) -> Case:
        """The case with default attributes, one round if an attribute counts them, and an affordable part if any."""
        usual = self.support.defaults()
        rounds = {key: 1 for key, attribute in self.op.attributes.items() if attribute.size and usual[key]}
        plain = replace(case, attributes={**usual, **rounds})
        choosers = {part.operation for part in self.op.parts} & set(self.op.attributes)
        others = (plain.with_attributes(**{key: level.only}) for key in choosers for level in self.support.levels[key])
        return next((one for one in (plain, *others) if _flops(one) <= DEAREST), plain)

    def _affordable(self, case: Case, symbol: str, size: int) -> bool:
        """Whether a case costs at most `DEAREST`; beyond `LARGEST`, raise DeckError unless it fits the memory."""
        if self.extent.largest <= LARGEST:
            return _flops(case) <= DEAREST
        gibibytes = _size_of(case, "elements") * _BYTES / 2**30
        if gibibytes > MEMORY:
            raise DeckError(
                f"--largest {self.extent.largest}: expected sizes that fit {MEMORY} GiB, but {case.operation} takes "
                f"{gibibytes:,.0f} GiB where {symbol} is {size:,}"
            )
        return True


def _ids_agree(case: Case) -> bool:
    ids = [case.given.inputs[name] for name, item in case.items.items() if item.kind == "ids"]
    return all(np.array_equal(one, other) for one, other in pairwise(ids))


def _averaging(case: Case) -> Case:
    """The case at sizes where rounding averages out: few terms in each sum, and many features.

    Its cotangents have one sign, so that the terms of a parameter's gradient add up rather than cancel.
    """
    features = {item.shape[-1] for item in case.items.values() if item.kind == "float" and item.shape}
    wanted = {**dict.fromkeys(features, _FEATURES), **_FEW_TERMS}
    sizes = {symbol: wanted.get(symbol, size) for symbol, size in case.sizes.items()}
    return replace(case, sizes=sizes, regime="one_sign").with_at_least(**NEEDS[case.steps])


def _bounding(attribute: Attribute) -> tuple[str, ...]:
    """Symbols of the sizes that bound an attribute's number."""
    ends = (parse_size(end, attribute.name) for end in attribute.range if isinstance(end, str))
    return tuple(dict.fromkeys(symbol for end in ends for symbol in sizes_in(end)))


def _flops(case: Case) -> float:
    return _size_of(case, "flops")


def _size_of(case: Case, what: str) -> float:
    """A case's cost by the specification's cost model: ``flops`` or ``elements``."""
    return float(size_of(parse_size(case.spec.cost[what], f"{case.operation}, cost"), case.lengths_of))


@lru_cache(maxsize=2)
def _made(scope: Scope, extent: Extent, seed: int, few_shapes: bool, refused: frozenset[Combination]) -> Deck:
    return Planner(scope, extent, seed, few_shapes, set(refused)).plan()


@lru_cache(maxsize=256)
def _planned(model: Model, own: Model | None) -> tuple[tuple[Row, ...], int]:
    """Rows that meet every possible tuple, and the number of impossible tuples."""
    given = covering_rows(own)[0] if own is not None else ()
    before = Coverage(model).total
    rows, coverage = covering_rows(model, given)
    return rows, before - coverage.total


def _holds_any(combinations: Iterable[Combination], row: Row) -> bool:
    chosen = set(enumerate(row))
    return any(combination <= chosen for combination in combinations)


def _levels(factors: Sequence[Factor], row: Row) -> dict[str, Any]:
    return {factor.name: factor.levels[level] for factor, level in zip(factors, row, strict=True)}
