"""Calls of a deck beyond its covering array and its ladder: such as one kind of fault alone asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from rnnspec.conformance.cases.case import NEEDS, Case
from rnnspec.conformance.cases.covering import Row, spread_order
from rnnspec.conformance.cases.factors import NONE_VALID, STEPS, Factors
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.regimes import REGIMES, regimes_for
from rnnspec.conformance.cases.support import Support
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec.language import parse_size, sizes_in

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


def none_valid(factors: Factors, rows: Sequence[Row], array: Sequence[Case]) -> Iterator[Case]:
    """Calls without a valid step that meet every choice once more."""
    kinds = [kind for kind in NONE_VALID if factors.op.has_steps and kind in factors.support.steps]
    if not kinds:
        return
    seen: set[tuple[int, int]] = set()
    regimes: set[str] = set()
    for place, (row, case) in enumerate(zip(rows, array, strict=True)):
        levels = {(factor, level) for factor, level in enumerate(row) if factors.all[factor].name != STEPS}
        if levels - seen and not REGIMES[case.regime].forbids_padding:
            # Numbers matter little where no step is valid, but for zeros, which whole numbers have among them.
            met = case.regime in regimes and "integers" in regimes_for(factors.op)
            regimes.add(case.regime)
            regime = "integers" if met else case.regime
            seen |= levels
            yield replace(case, steps=kinds[place % len(kinds)], regime=regime).with_at_least(B=1, T=1)


def counts_beyond_sizes(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """A number of things that sizes bound, at its greatest beside small sizes, in calls of many sequences.

    Of a beam that is wider than there are tokens, a few sequences in a hundred show which beginnings it kept.
    """
    factors = maker.factors
    if factors.few_shapes:
        return
    levels = [factors.levels(rows[place]) for place in spread_order(len(rows))]
    for key, attribute in factors.op.attributes.items():
        ends = [parse_size(end, key) for end in attribute.range if isinstance(end, str)]
        bounds = dict.fromkeys((symbol for end in ends for symbol in sizes_in(end)), 2)
        rounds = {other.name: _ROUNDS for other in factors.op.attributes.values() if other.size in bounds}
        if (
            not attribute.size
            or not bounds
            or not _tried(factors.support, {**dict.fromkeys(rounds, "within"), key: "greatest"})
        ):
            continue
        sizes = {**bounds, **{factors.op.attributes[name].size: count for name, count in rounds.items()}}
        greatest = {key: attribute.ends(sizes)[1]}
        for number in range(_COUNTED):
            row = {**levels[number % len(levels)], "regime": "generic"}
            case = maker.with_some_step(row, -ATTEMPTS * (1 + number), {"B": _SEQUENCES, **bounds})
            yield case.with_attributes(**rounds, **greatest)


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
    """The case at sizes where rounding averages out: few terms in each sum, and many features."""
    features = {item.shape[-1] for item in case.items.values() if item.kind == "float" and item.shape}
    wanted = {**dict.fromkeys(features, _FEATURES), **_FEW_TERMS}
    sizes = {symbol: wanted.get(symbol, size) for symbol, size in case.sizes.items()}
    return replace(case, sizes=sizes).with_at_least(**NEEDS[case.steps])
