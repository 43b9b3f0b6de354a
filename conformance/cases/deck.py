"""The deck: the cases that are planned for an operation in a type, the same whatever the seed.

Its first part is a covering array (`rnnspec.conformance.cases.covering`) over all that is to be chosen: the level of
each attribute, the kind of steps, which optional inputs are absent, the regime, and each size, small. Then come calls
in which no step is valid, one size after the other where kernels break (`rnnspec.conformance.cases.ladder`), and sizes
that are equal where shapes could be confused. The seed changes numbers, never what is met.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from typing import Any, Final

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
"""The level of an attribute that has no meaning beside the others."""

STEPS: Final = "valid steps"
"""The factor of the kinds of steps; some operation has an attribute of the name ``steps``."""

NONE_VALID: Final[tuple[Steps, ...]] = ("no_lengths", "no_mask")
_SMALL: Final[tuple[tuple[int, int], ...]] = ((1, 1), (2, 2), (3, 3), (4, 6))
"""Ends of the classes of a size in the covering array."""

# A choice among few says little of how it was made: of sequences that end in ids there are more.
_OF_IDS: Final[tuple[tuple[int, int], ...]] = ((1, 1), (2, 2), (8, 12), (16, 20))
_FEW_SHAPES: Final = 2
"""Shapes of a deck for who compiles each shape anew."""
DEAREST: Final = 2.5e8
"""Operations of one call, by the specification's model of cost, that are worth a rung of the ladder."""

MEMORY: Final = 8
"""GiB that the largest call may take."""

_BYTES: Final = 8 * 7 * 4
"""Of each number of a call: eight bytes in seven versions, in some intermediate results."""

_ATTEMPTS: Final = 16
"""Seeds that are tried for a case in which some step is valid."""
_FEW_TERMS: Final[Mapping[str, int]] = {"B": 4, "T": 2, "U": 2}
"""Sequences and steps of a generic call. The more terms a parameter's gradient sums, the more rounding moves it."""
_FEATURES: Final = 8
"""Features of a generic call. The more elements a result has, the more rounding averages out."""
_COUNTED: Final = 8
"""Calls with a number at its greatest that sizes bound."""
_SEQUENCES: Final = 64
"""Sequences of such a call."""
_ROUNDS: Final = 4
"""Its rounds, where those bound the number."""
_LARGE: Final = 255
"""A size from which on the others are as small as they may be and still differ from 1."""
_HUGE: Final = 512
"""A size from which on the others are 1, where they can be."""
_STEADY_FROM: Final = 32
"""A size from which on the attributes stay where numbers stay within their type."""


class DeckError(ValueError):
    """What was asked for cannot be planned; the message says why."""


@dataclass(frozen=True)
class Extent:
    """How much is planned.

    Parameters
    ----------
    strength
        2: every pair of choices is met; 3: every triple; 1: every choice; 0: nothing is planned.
    deep
        Whether every triple of those choices is met that change what code runs: attributes, steps, absent inputs.
    largest
        The largest size on the ladder; 0: there is no ladder.
    generic
        Calls of generic numbers that have each input, for what only all calls together show.
    """

    strength: int = 0
    deep: bool = False
    largest: int = 0
    generic: int = 0


@dataclass(frozen=True)
class Factor:
    """Something to choose: its name, and the levels that it has."""

    name: str
    levels: tuple[Any, ...]
    runs: bool = False
    """Whether it changes what code runs, rather than on what numbers."""


@dataclass(frozen=True)
class Deck:
    """The planned cases, and what the covering array among them covers.

    `rows` has the row of the array behind each of its first cases.
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
        """The same cases with arrays of their own, which a backend may spoil; what was worked out of them is shared."""
        return replace(self, cases=tuple(case.anew() for case in self.cases))

    def spread(self) -> Iterator[Case]:
        """The cases of the covering array, in an order of which each beginning is spread over the whole."""
        return (self.cases[place] for place in spread_order(len(self.rows)))

    def met_by(self, judged: Iterable[Case]) -> tuple[int, int]:
        """How many tuples of choices these cases meet, of how many that are possible."""
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
    """All places below a number, each beginning spread evenly (van der Corput's sequence in base 2)."""
    bits = max(count - 1, 1).bit_length()
    reversed_ = (int(f"{place:0{bits}b}"[::-1], 2) for place in range(1 << bits))
    return tuple(place for place in reversed_ if place < count)


@dataclass
class Planner:
    """Plans the deck of an operation in a type for what a backend supports; refusals that show only then are added."""

    scope: Scope
    extent: Extent
    seed: int = 0
    few_shapes: bool = False
    """Whether sizes are of few shapes, for who compiles each shape anew."""

    refused: set[Combination] = field(default_factory=set)
    left_out: dict[str, list[int]] = field(default_factory=dict)
    """Sizes of the ladder that take too long to judge."""

    _cases: dict[Row, Case] = field(default_factory=dict)

    @cached_property
    def op(self) -> Operation:
        """The operation."""
        return operation(self.scope.operation)

    @cached_property
    def support(self) -> Support:
        """What the backend supports."""
        return self.scope.support or everything(self.scope.operation)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """All that is to be chosen, and has more than one level."""
        return tuple(factor for factor in self._all_factors() if len(factor.levels) > 1)

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """The level of whatever has only one."""
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
        """Whether an attribute has a meaning: always, never, or beside some levels of those that it depends on."""
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
        """The factors of an attribute that is a tuple."""
        return [(f"{key}[{index}]", entry) for index, entry in enumerate(levels)]

    @cached_property
    def _optional(self) -> tuple[str, ...]:
        return tuple(key for key, item in self.op.inputs.items() if item.optional and item.kind == "float")

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Sizes that nothing else gives, whatever the attributes."""
        given = {"G", "n", *(item.size for item in self.op.attributes.values())}
        given |= {size for _, sizes in self.op.same_size for size in sizes}
        return tuple(symbol for symbol in self.op.sizes if symbol not in given)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {factor.name: place for place, factor in enumerate(self.factors)}

    def _forbidden(self) -> Iterator[Combination]:
        """Levels that do not stand together: attributes without a meaning, and steps that need larger sizes."""
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
        """Sizes at which an attribute's range has nothing between its ends."""
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
        """The levels of a factor, each with its place; of one that has a single level, none."""
        if name not in self._place:
            return []
        place = self._place[name]
        return [(level, (place, number)) for number, level in enumerate(self.factors[place].levels)]

    def model(self, more: Iterable[Combination] = ()) -> Model:
        """What there is to choose, with all that is forbidden."""
        first = {key for attribute in self.op.attributes.values() for key in attribute.when}
        deep = tuple(place for place, factor in enumerate(self.factors) if factor.runs)
        return Model(
            levels=tuple(len(factor.levels) for factor in self.factors),
            strength=min(self.extent.strength, max(len(self.factors), 1)),
            deep=deep if self.extent.deep and len(deep) > 2 else (),
            forbidden=frozenset({*self._always_forbidden, *self.refused, *more}),
            first=tuple(place for place, factor in enumerate(self.factors) if factor.name in first),
            # Where an attribute makes no difference to what is met, it is as people use it: most else shows best there.
            plain=tuple(place for place, factor in enumerate(self.factors) if factor.runs and factor.name != STEPS),
        )

    def deck(self) -> Deck:
        """Plan it; a plan that was made of late is the same deck, with all that was worked out of its cases."""
        return _made(self.scope, self.extent, self.seed, self.few_shapes, frozenset(self.refused))

    def plan(self) -> Deck:
        """Plan it anew."""
        if not self.extent.strength:
            return Deck(self.scope, (), (), (), None)
        model = self.model()
        rows, impossible = _planned(model, self._own()) if self.factors else (((),), 0)
        array = tuple(self.case_of(row) for row in rows)
        beyond = (*self._ladder(rows, array), *self._counts_beyond_sizes(rows), *self._generic(rows))
        others = (*self._none_valid(rows, array), *beyond)
        return Deck(self.scope, self.factors, rows, (*array, *others), model, impossible, self.left_out)

    def _own(self) -> Model | None:
        """The same model with what the judged library does itself alone; None where that is all, or nothing.

        What an adapter does in several ways has its pairs met by the library itself too: that is what people run.
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
        """Whether the judged library does itself what these levels of factors say."""
        own = self._own_levels
        return all(level == UNUSED or level in own[name] for name, level in levels.items() if name in own)

    @cached_property
    def _own_levels(self) -> Mapping[str, tuple[Any, ...]]:
        """By factor, the levels of what the judged library does itself; empty where it does all, or nothing."""
        own = self.support.own
        if own is None:
            return {}
        allowed: dict[str, tuple[Any, ...]] = {STEPS: own.steps}
        for key, attribute in self.op.attributes.items():
            entries = self._entries(key, own.levels[key]) if attribute.is_tuple else [(key, own.levels[key])]
            allowed.update(entries)
        return allowed

    # From a row to a case.

    def case_of(self, row: Row) -> Case:
        """The case of a row; the same row gives the same case."""
        if row not in self._cases:
            self._cases[row] = self._with_some_step(_levels(self.factors, row), zlib.crc32(repr(row).encode()))
        return self._cases[row]

    def _with_some_step(self, chosen: Mapping[str, Any], salt: int, sizes: Mapping[str, int] | None = None) -> Case:
        """A case of these levels in which some step is valid: else it would meet its choices in name alone."""
        cases = [self._case(chosen, salt, sizes)]
        while cases[-1].spec.has_steps and not cases[-1].valid.any() and len(cases) < _ATTEMPTS:
            cases.append(self._case(chosen, salt + len(cases), sizes))
        return cases[-1]

    def fresh(self, row: Row) -> Case:
        """The case of a row that is no part of the deck."""
        return self._case(_levels(self.factors, row), 0)

    def others(self, row: Row, factor: int, refused: Collection[Combination]) -> list[Row]:
        """Rows with another level of a factor, the plainest first, none of them known to be refused.

        Where no other level may stand beside the rest, what stands behind the factor changes with it.
        """
        levels = [level for level in range(len(self.factors[factor].levels)) if level != row[factor]]
        changed = [(*row[:factor], level, *row[factor + 1 :]) for level in levels]
        legal = [other for other in changed if not _holds_any(self._always_forbidden, other)]
        legal = legal or [mended for other in changed if (mended := self._mended(other, factor)) is not None]
        return [other for other in legal if not _holds_any(refused, other)]

    def _mended(self, row: Row, factor: int) -> Row | None:
        """The row, with plain levels of what stands behind a factor and may not stand beside it; None if none may."""
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
        """The case of these levels; sizes that are given stand, and the others are small then."""
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
        """The least and the greatest size of a symbol at these levels."""
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

    # Beyond the array.

    def _none_valid(self, rows: Sequence[Row], array: Sequence[Case]) -> Iterator[Case]:
        """Every choice once more, in calls in which no step is valid."""
        kinds = [kind for kind in NONE_VALID if self.op.has_steps and kind in self.support.steps]
        if not kinds:
            return
        seen: set[tuple[int, int]] = set()
        for place, (row, case) in enumerate(zip(rows, array, strict=True)):
            levels = {(factor, level) for factor, level in enumerate(row) if self.factors[factor].name != STEPS}
            if levels - seen and not REGIMES[case.regime].forbids_padding:
                seen |= levels
                yield replace(case, steps=kinds[place % len(kinds)]).with_at_least(B=1, T=1)

    def _ladder(self, rows: Sequence[Row], array: Sequence[Case]) -> Iterator[Case]:
        """One size at a time where kernels break, the others small; then sizes that are equal."""
        if not self.extent.largest or not rows:
            return
        levels = [_levels(self.factors, row) for row in rows]
        own = [self._is_own(row) for row in levels]
        number = 0
        for symbol in () if self.few_shapes else dict.fromkeys(symbol for case in array for symbol in case.sizes):
            having = [place for place, case in enumerate(array) if symbol in case.sizes]
            # What the library does itself is what people run at large sizes.
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
        for pair in equal_sizes(resolved(self.op, self.support.defaults()), self.symbols):
            apart = {symbol: 4 + place for place, symbol in enumerate(self.symbols)}
            row = levels[spread_order(len(levels))[number % len(levels)]]
            yield self._rung(row, number, {**apart, **dict.fromkeys(pair, 3)})
            number += 1

    def _counts_beyond_sizes(self, rows: Sequence[Row]) -> Iterator[Case]:
        """A number of things that sizes bound, at its greatest beside small sizes, in calls of many sequences.

        Of a beam that is wider than there are tokens, a few sequences in a hundred show which beginnings it kept.
        """
        if not self.extent.largest or self.few_shapes:
            return
        levels = [_levels(self.factors, rows[place]) for place in spread_order(len(rows))]
        for key, attribute in self.op.attributes.items():
            ends = [parse_size(end, key) for end in attribute.range if isinstance(end, str)]
            bounds = dict.fromkeys((symbol for end in ends for symbol in sizes_in(end)), 2)
            rounds = {other.name: _ROUNDS for other in self.op.attributes.values() if other.size in bounds}
            if (
                not attribute.size
                or not bounds
                or not self._tried({**dict.fromkeys(rounds, "within"), key: "greatest"})
            ):
                continue
            sizes = {**bounds, **{self.op.attributes[name].size: count for name, count in rounds.items()}}
            greatest = {key: attribute.ends(sizes)[1]}
            for number in range(_COUNTED):
                row = {**levels[number % len(levels)], "regime": "generic"}
                case = self._with_some_step(row, -_ATTEMPTS * (1 + number), {"B": _SEQUENCES, **bounds})
                yield case.with_attributes(**rounds, **greatest)

    def _tried(self, places: Mapping[str, str]) -> bool:
        """Whether numbers at these places of their ranges are to be tried."""
        return all(place in {level.place for level in self.support.levels[key]} for key, place in places.items())

    @property
    def _of_parts(self) -> bool:
        """Whether it is built of parts that an attribute chooses."""
        return any(part.operation in self.op.attributes for part in self.op.parts)

    def _generic(self, rows: Sequence[Row]) -> Iterator[Case]:
        """Calls of generic numbers for what only all calls together show, as many that have each input.

        Of types of two bytes, in which each call by itself tells little.
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
        """A generic case of these sizes, with a row's choices."""
        case = self._with_some_step({**row, "regime": "generic"}, _ATTEMPTS * number, sizes)
        if max(sizes.values()) >= _STEADY_FROM:
            case = self._steady(case)
        if _flops(case) > DEAREST:  # with a plainer part, or fewer rounds, it may be cheaper
            case = self._plainest(case)
        if not all(is_differentiated(size, self._of_parts) for size in sizes.values()):
            case = replace(case, differentiated=False)
            # What is built of parts has each part's own ladder beside it: here, the usual one will do.
            case = self._plainest(case) if self._of_parts else case
        if case.sampled:
            small = {symbol: 3 if symbol == "D" else 1 for symbol in case.sizes}  # one feature alone may be dropped
            case = replace(
                case, sizes={**small, **{key: size for key, size in sizes.items() if key in small}}, steps="all"
            )
        return case

    def _steady(self, case: Case) -> Case:
        """The case with attributes under which numbers stay within the type, however long they are worked on."""
        usual = self.support.defaults()
        if "relu" in functions_of(case.spec, case.attributes):
            return replace(case, attributes=usual)
        rates = [key for key in case.attributes if self.op.attributes[key].domain == "probability"]
        return replace(case, attributes={**case.attributes, **{key: usual[key] for key in rates}})

    def _plainest(self, case: Case) -> Case:
        """The case with attributes at their defaults, and as few rounds as may be where an attribute counts them."""
        usual = self.support.defaults()
        rounds = {key: 1 for key, attribute in self.op.attributes.items() if attribute.size and usual[key]}
        plain = replace(case, attributes={**usual, **rounds})
        choosers = {part.operation for part in self.op.parts} & set(self.op.attributes)
        others = (plain.with_attributes(**{key: level.only}) for key in choosers for level in self.support.levels[key])
        return next((one for one in (plain, *others) if _flops(one) <= DEAREST), plain)

    def _affordable(self, case: Case, symbol: str, size: int) -> bool:
        """Whether a case is worked out in reasonable time; where the user chose the largest size, in memory at all."""
        if self.extent.largest <= LARGEST:
            return _flops(case) <= DEAREST
        gibibytes = _size_of(case, "elements") * _BYTES / 2**30
        if gibibytes > MEMORY:
            raise DeckError(
                f"--largest {self.extent.largest}: expected sizes that fit {MEMORY} GiB, but {case.operation} takes "
                f"{gibibytes:,.0f} GiB where {symbol} is {size:,}"
            )
        return True


def _averaging(case: Case) -> Case:
    """The case with sizes in which rounding averages out: few terms in every sum, and many features."""
    features = {item.shape[-1] for item in case.items.values() if item.kind == "float" and item.shape}
    wanted = {**dict.fromkeys(features, _FEATURES), **_FEW_TERMS}
    sizes = {symbol: wanted.get(symbol, size) for symbol, size in case.sizes.items()}
    return replace(case, sizes=sizes).with_at_least(**NEEDS[case.steps])


def _flops(case: Case) -> float:
    return _size_of(case, "flops")


def _size_of(case: Case, what: str) -> float:
    """What the specification's model of cost says of a case."""
    return float(size_of(parse_size(case.spec.cost[what], f"{case.operation}, cost"), case.lengths_of))


@lru_cache(maxsize=2)
def _made(scope: Scope, extent: Extent, seed: int, few_shapes: bool, refused: frozenset[Combination]) -> Deck:
    return Planner(scope, extent, seed, few_shapes, set(refused)).plan()


@lru_cache(maxsize=256)
def _planned(model: Model, own: Model | None) -> tuple[tuple[Row, ...], int]:
    """Rows that meet every possible tuple, and how many tuples are impossible."""
    given = covering_rows(own)[0] if own is not None else ()
    before = Coverage(model).total
    rows, coverage = covering_rows(model, given)
    return rows, before - coverage.total


def _holds_any(combinations: Iterable[Combination], row: Row) -> bool:
    chosen = set(enumerate(row))
    return any(combination <= chosen for combination in combinations)


def _levels(factors: Sequence[Factor], row: Row) -> dict[str, Any]:
    return {factor.name: factor.levels[level] for factor, level in zip(factors, row, strict=True)}
