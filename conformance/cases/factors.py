"""The choices of an operation's calls: the factors of a covering array, and the combinations that they forbid."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import Any, Final

from rnnspec.conformance.cases.case import NEEDS, Steps
from rnnspec.conformance.cases.covering import Combination, FactorModel, Row, spread_order
from rnnspec.conformance.cases.draw import Scope
from rnnspec.conformance.cases.levels import Level, between, standing_for
from rnnspec.conformance.cases.regimes import REGIMES, gives_ids, regimes_for
from rnnspec.conformance.cases.support import Support, optional_inputs
from rnnspec.spec import Operation, operation
from rnnspec.spec.operation import Attribute, holds

UNUSED: Final = "unused"
"""The level of an attribute that has no meaning under the other attributes."""

STEPS: Final = "valid steps"
"""Name of the factor of steps; ``steps`` is the name of an attribute of some operation."""

NONE_VALID: Final[tuple[Steps, ...]] = ("no_lengths", "no_mask")
SMALL: Final[tuple[tuple[int, int], ...]] = ((1, 1), (2, 2), (3, 3), (4, 6))
"""Ends of the classes of a size in the covering array."""

# One id shows little of the computation behind it, so that batches of ids are larger.
_OF_IDS: Final[tuple[tuple[int, int], ...]] = ((1, 1), (2, 2), (8, 12), (16, 20))
_FEW_SHAPES: Final = 2
"""Number of shapes in a deck for backends that compile for each shape."""


@dataclass(frozen=True)
class Factor:
    """One choice: its name and its levels."""

    name: str
    levels: tuple[Any, ...]
    runs: bool = False
    """Whether it changes the path through the code, and not only the numbers."""


@dataclass(frozen=True)
class Factors:
    """The choices of an operation's calls in a type, within a backend's support."""

    scope: Scope
    few_shapes: bool = False
    """Whether calls have few shapes, for backends that compile for each shape."""

    @cached_property
    def op(self) -> Operation:
        """The specification's operation."""
        return operation(self.scope.operation)

    @cached_property
    def support(self) -> Support:
        """The backend's support of the operation."""
        return self.scope.supported

    @cached_property
    def all(self) -> tuple[Factor, ...]:
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
        for name in self.optional:
            yield Factor(f"absent {name}", (True,) if name in self.support.absent else (False, True), runs=True)
        regimes = regimes_for(self.op)
        padded = self.op.has_steps and any(kind != "all" for kind in self.support.steps)
        yield Factor("regime", tuple(name for name in regimes if padded or not REGIMES[name].forbids_padding))
        if self.few_shapes:
            yield Factor("shape", tuple(range(_FEW_SHAPES)))
        else:
            for symbol in self.symbols:
                classes = _OF_IDS if symbol == "B" and gives_ids(self.op) else SMALL
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
    def optional(self) -> tuple[str, ...]:
        """Float inputs that may be absent."""
        return optional_inputs(self.op)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the sizes that neither other sizes nor attributes ever give."""
        given = {"G", "n", *(item.size for item in self.op.attributes.values())}
        given |= {size for _, sizes in self.op.same_size for size in sizes}
        return tuple(symbol for symbol in self.op.sizes if symbol not in given)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {factor.name: place for place, factor in enumerate(self.all)}

    def _forbidden(self) -> Iterator[Combination]:
        """Forbidden combinations: meaningless attributes, empty ranges, and steps that exclude a size or a regime."""
        for factor in self.all:
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
        for key, chooser in self.op.attributes.items():
            for one, other in self._levels_of(key) if chooser.size else ():
                number = chooser.range[0] if one.place == "least" else one.only
                if isinstance(number, int):
                    low, high = attribute.ends({**dict.fromkeys(self.op.sizes, 3), chooser.size: number})
                    if isinstance(low, int) and not between(attribute, low, high):
                        yield frozenset({level, other})

    def _meaningless(self, factor: Factor, when: Mapping[str, Any]) -> Iterator[Combination]:
        """Levels of an attribute that has no meaning beside a level of another, and none where all give it one."""
        own = [((self._place[factor.name], number), level == UNUSED) for number, level in enumerate(factor.levels)]
        giving: list[list[tuple[int, int]]] = []
        for chooser, wanted in when.items():
            levels = self._levels_of(chooser)
            meant = [
                level
                for value, level in levels
                if value != UNUSED and holds({chooser: wanted}, {chooser: standing_for(value)})
            ]
            yield from (
                frozenset({level, mine})
                for _, level in levels
                if level not in meant
                for mine, unused in own
                if not unused
            )
            giving += [meant] if levels else []
        for combination in product(*giving):
            yield from (frozenset({*combination, mine}) for mine, unused in own if unused)

    def _levels_of(self, name: str) -> list[tuple[Any, tuple[int, int]]]:
        """Levels of a factor, each with the numbers of the factor and the level; none for a fixed one."""
        if name not in self._place:
            return []
        place = self._place[name]
        return [(level, (place, number)) for number, level in enumerate(self.all[place].levels)]

    def model(self, strength: int, deep: bool, refused: Iterable[Combination]) -> FactorModel:
        """Return the model of all choices, with all forbidden and refused combinations."""
        first = {key for attribute in self.op.attributes.values() for key in attribute.when}
        running = tuple(place for place, factor in enumerate(self.all) if factor.runs)
        return FactorModel(
            levels=tuple(len(factor.levels) for factor in self.all),
            strength=min(strength, max(len(self.all), 1)),
            deep=running if deep and len(running) > 2 else (),
            forbidden=frozenset({*self._always_forbidden, *refused}),
            first=tuple(place for place, factor in enumerate(self.all) if factor.name in first),
            # Attributes that meet no new tuple keep their usual level, under which most faults show best.
            plain=tuple(place for place, factor in enumerate(self.all) if factor.runs and factor.name != STEPS),
        )

    @cached_property
    def not_own(self) -> tuple[Combination, ...]:
        """Levels that the judged library itself does not have; none if it has all of them, or none."""
        return tuple(
            frozenset({(place, number)})
            for place, factor in enumerate(self.all)
            for number, level in enumerate(factor.levels)
            if not self.is_own({factor.name: level})
        )

    def is_own(self, levels: Mapping[str, Any]) -> bool:
        """Whether the judged library itself has these levels."""
        own = self._own_levels
        return all(level == UNUSED or _named(level) in own[name] for name, level in levels.items() if name in own)

    @cached_property
    def _own_levels(self) -> Mapping[str, tuple[Any, ...]]:
        """Levels that the judged library itself has, by factor; empty if it has all, or none."""
        own = self.support.own
        if own is None:
            return {}
        allowed: dict[str, tuple[Any, ...]] = {STEPS: own.steps}
        for key, attribute in self.op.attributes.items():
            entries = self._entries(key, own.levels[key]) if attribute.is_tuple else [(key, own.levels[key])]
            allowed.update((name, tuple(map(_named, entry))) for name, entry in entries)
        return allowed

    def meeting_own_choices(self, rows: Sequence[Row], together: int = 1) -> Iterator[dict[str, Any]]:
        """Levels of few of the rows that have every listed value of the operation's own attributes.

        Those are the attributes that neither choose a part nor belong to one; without any, it is the first row.
        The rows have every set of so many values `together` that any of the rows has.
        """
        parts = {part.operation for part in self.op.parts}
        attributes = self.op.attributes.items()
        own = {key for key, one in attributes if not one.when and not one.domain and key not in parts}
        met: set[tuple[tuple[int, int], ...]] = set()
        for number, place in enumerate(spread_order(len(rows))):
            row = rows[place]
            chosen = [(factor, level) for factor, level in enumerate(row) if self._attribute_of(factor) in own]
            sets = set(combinations(chosen, min(together, len(chosen))))
            if not number or not sets <= met:
                met |= sets
                yield self.levels(row)

    def _attribute_of(self, factor: int) -> str:
        return self.all[factor].name.partition("[")[0]

    def others(self, row: Row, factor: int, refused: Collection[Combination]) -> list[Row]:
        """Return rows with another level of a factor, the plainest first, without those known to be refused.

        If the rest of the row forbids every other level, the factors behind this one change too.
        """
        levels = [level for level in range(len(self.all[factor].levels)) if level != row[factor]]
        changed = [(*row[:factor], level, *row[factor + 1 :]) for level in levels]
        legal = [other for other in changed if not _holds_any(self._always_forbidden, other)]
        legal = legal or [mended for other in changed if (mended := self._mended(other, factor)) is not None]
        return [other for other in legal if not _holds_any(refused, other)]

    def _mended(self, row: Row, factor: int) -> Row | None:
        """The row with plain levels of the factors behind one that forbids theirs; None if no levels fit."""
        for place in range(factor, len(row)):
            levels = (row[place], *range(len(self.all[place].levels))) if place > factor else (row[place],)
            begun = ((*row[:place], level) for level in levels)
            fits = next((one for one in begun if not _holds_any(self._always_forbidden, one)), None)
            if fits is None:
                return None
            row = (*fits, *row[place + 1 :])
        return row

    def one_at_a_time(self, refused: Collection[Combination]) -> Iterator[dict[str, Any]]:
        """Yield levels that differ from the plainest ones in one attribute, or in one absent input.

        What gives an attribute its meaning differs too. Functions are left out: the check `functions` asks of each.
        """
        plain = self._mended((0,) * len(self.all), 0) if self.all else None
        if plain is None or _holds_any(refused, plain):
            return
        for place, factor in enumerate(self.all):
            attribute = self.op.attributes.get(self._attribute_of(place))
            if not factor.runs or factor.name == STEPS or (attribute and attribute.others):
                continue
            for level in range(len(factor.levels)):
                row = self._mended((*plain[:place], level, *plain[place + 1 :]), place)
                if row is not None and level != plain[place] and not _holds_any(refused, row):
                    yield self.levels(row)

    @cached_property
    def _always_forbidden(self) -> frozenset[Combination]:
        return frozenset(self._forbidden())

    def levels(self, row: Row) -> dict[str, Any]:
        """The levels of a row, by the names of their factors."""
        return {factor.name: factor.levels[level] for factor, level in zip(self.all, row, strict=True)}


def _named(level: Any) -> Any:
    """A level of an attribute by its name: of one of which a value is drawn, a library may have some values alone."""
    return level.name if isinstance(level, Level) else level


def _holds_any(forbidden: Iterable[Combination], row: Row) -> bool:
    chosen = set(enumerate(row))
    return any(combination <= chosen for combination in forbidden)
