"""Calls of a deck beyond its covering array and its ladder: such as one kind of fault alone asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from rnnspec.conformance.cases.case import NEEDS, Case
from rnnspec.conformance.cases.covering import Row, spread_order
from rnnspec.conformance.cases.factors import NONE_VALID, SMALL, STEPS, UNUSED, Factors
from rnnspec.conformance.cases.levels import standing_for
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.regimes import REGIMES, regimes_for
from rnnspec.conformance.cases.support import Support
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec.language import parse_size, sizes_in
from rnnspec.spec.operation import Attribute

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


def none_valid(factors: Factors, rows: Sequence[Row], array: Sequence[Case]) -> Iterator[Case]:
    """Calls without a valid step that meet every choice once more."""
    kinds = [kind for kind in NONE_VALID if factors.op.has_steps and kind in factors.support.steps]
    if not kinds:
        return
    regimes: set[str] = set()
    for place, case in _meeting_every_choice(factors, rows, array, apart=STEPS):
        # Numbers matter little where no step is valid, but for zeros, which whole numbers have among them.
        met = case.regime in regimes and "integers" in regimes_for(factors.op)
        regimes.add(case.regime)
        regime = "integers" if met else case.regime
        yield replace(case, steps=kinds[place % len(kinds)], regime=regime).with_at_least(B=1, T=1)


def nothing_given(factors: Factors, rows: Sequence[Row], array: Sequence[Case]) -> Iterator[Case]:
    """Calls without a sequence, and calls without a step, that meet every choice once more."""
    for symbol in ("B", "T"):
        if symbol in factors.op.sizes and not factors.few_shapes:
            places = [place for place, case in enumerate(array) if NEEDS[case.steps][symbol] == 0]
            some = [rows[place] for place in places], [array[place] for place in places]
            for _, case in _meeting_every_choice(factors, *some):
                yield replace(case, sizes={**case.sizes, symbol: 0})


def _meeting_every_choice(
    factors: Factors, rows: Sequence[Row], array: Sequence[Case], apart: str = ""
) -> Iterator[tuple[int, Case]]:
    """Yield few of the array's cases that together have every level of each choice but one, with their places."""
    seen: set[tuple[int, int]] = set()
    for place, (row, case) in enumerate(zip(rows, array, strict=True)):
        levels = {(factor, level) for factor, level in enumerate(row) if factors.all[factor].name != apart}
        if levels - seen and not REGIMES[case.regime].forbids_padding:
            seen |= levels
            yield place, case


def counts_beyond_sizes(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls of many sequences with a number of things that sizes bound, such as the width of a beam."""
    if maker.factors.few_shapes:
        return
    levels = [maker.factors.levels(rows[place]) for place in spread_order(len(rows))]
    attributes = maker.factors.op.attributes
    for key, attribute in attributes.items():
        symbols = bounding(attribute)
        if attribute.size and symbols:
            rounds = [name for name, other in attributes.items() if other.size in symbols]
            yield from _greatest_counts(maker, levels, key, rounds)
            yield from _usual_counts(maker, levels, key, rounds)


def _greatest_counts(
    maker: Maker, levels: Sequence[Mapping[str, Any]], key: str, rounds: Sequence[str]
) -> Iterator[Case]:
    """The number at its greatest beside small sizes.

    A few sequences in a hundred show which beginnings a beam kept that is wider than the vocabulary.
    """
    if not _tried(maker.factors.support, {**dict.fromkeys(rounds, "within"), key: "greatest"}):
        return
    attributes = maker.factors.op.attributes
    bounds = dict.fromkeys(bounding(attributes[key]), 2)
    few = dict.fromkeys(rounds, _ROUNDS)
    sizes = {**bounds, **{attributes[name].size: count for name, count in few.items()}}
    for number in range(_COUNTED):
        case = _of_many(maker, levels[number % len(levels)], number, bounds)
        yield case.with_attributes(**few, **{key: attributes[key].ends(sizes)[1]})


def _usual_counts(maker: Maker, levels: Sequence[Mapping[str, Any]], key: str, rounds: Sequence[str]) -> Iterator[Case]:
    """The number at its usual value beside large sizes, for each of the operation's own choices.

    Some sequences show how a beam that drops most beginnings ranks one that has ended.
    """
    if not _tried(maker.factors.support, dict.fromkeys(rounds, "greatest")):
        return
    attributes = maker.factors.op.attributes
    bounds = dict.fromkeys(bounding(attributes[key]), SMALL[-1][1])
    usual = {key: attributes[key].default, **{name: attributes[name].ends(bounds)[1] for name in rounds}}
    differing: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in levels:
        if not _leaves_out(maker.factors, row):
            differing.setdefault(_own_choices(maker.factors, row, usual), row)
    for number, row in enumerate(differing.values(), start=_COUNTED):
        yield _of_many(maker, row, number, bounds).with_attributes(**usual)


def _of_many(maker: Maker, row: Mapping[str, Any], number: int, sizes: Mapping[str, int]) -> Case:
    """A generic case of many sequences with a row's choices."""
    choices = {**row, "regime": "generic"}
    return maker.with_some_step(choices, -ATTEMPTS * (1 + number), {"B": _SEQUENCES, **sizes})


def _own_choices(factors: Factors, row: Mapping[str, Any], apart: Collection[str]) -> tuple[Any, ...]:
    """A row's levels of the attributes that neither choose a part nor belong to one, but for those set apart."""
    parts = {part.operation for part in factors.op.parts}
    return tuple(
        row.get(key)
        for key, attribute in factors.op.attributes.items()
        if not attribute.when and key not in parts and key not in apart
    )


def _leaves_out(factors: Factors, row: Mapping[str, Any]) -> bool:
    """Whether a row has None for a number that sizes bound, such as the token that ends a sequence."""
    chosen = {**factors.fixed, **row}
    bounded = (key for key, attribute in factors.op.attributes.items() if bounding(attribute))
    return any(chosen[key] != UNUSED and standing_for(chosen[key]) is None for key in bounded)


def bounding(attribute: Attribute) -> tuple[str, ...]:
    """Symbols of the sizes that bound an attribute's number."""
    ends = (parse_size(end, attribute.name) for end in attribute.range if isinstance(end, str))
    return tuple(dict.fromkeys(symbol for end in ends for symbol in sizes_in(end)))


def _tried(support: Support, places: Mapping[str, str]) -> bool:
    """Whether numbers at these places of their ranges are to be tried."""
    return all(place in {level.place for level in support.levels[key]} for key, place in places.items())


def generic(maker: Maker, rows: Sequence[Row], count: int) -> Iterator[Case]:
    """Generic calls for faults that only many calls together show, the same number for each input.

    Only types of two bytes have them, since a single call shows little there.
    """
    factors = maker.factors
    if format_of(factors.scope.dtype).dtype.itemsize > 2:
        return
    usual = factors.support.defaults()
    levels = [factors.levels(rows[place]) for place in spread_order(len(rows))]
    having: Counter[str] = Counter()
    for number in range(count * (1 + len(levels)) if levels else 0):
        drawn = maker.with_some_step({**levels[number % len(levels)], "regime": "generic"}, -1 - number)
        case = _averaging(replace(drawn, attributes=usual) if number < count else drawn)
        present = [name for name, item in case.items.items() if item.kind == "float" and name not in case.absent]
        if number < count or any(having[name] < count for name in present):
            having.update(present)
            yield case


def _averaging(case: Case) -> Case:
    """The case at sizes where rounding averages out: few terms in each sum, and many features.

    Its cotangents have one sign, so that the terms of a parameter's gradient add up rather than cancel.
    """
    features = {item.shape[-1] for item in case.items.values() if item.kind == "float" and item.shape}
    wanted = {**dict.fromkeys(features, _FEATURES), **_FEW_TERMS}
    sizes = {symbol: wanted.get(symbol, size) for symbol, size in case.sizes.items()}
    return replace(case, sizes=sizes, regime="one_sign").with_at_least(**NEEDS[case.steps])
