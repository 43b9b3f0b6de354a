"""Calls of a deck whose numbers are special all together, or in a way that few operations have a use for.

No pair of choices is met with their regimes (`rnnspec.conformance.cases.regimes.OF_THEIR_OWN`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.covering import Row, spread_order
from rnnspec.conformance.cases.factors import Factors
from rnnspec.conformance.cases.ladder import goes_by_steps
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.regimes import NOT_NEGATIVE, STRUCTURES, regimes_for, takes_spectra
from rnnspec.conformance.judge.formats import format_of

_WIDE_RANGE: Final = 2.0**40
"""A type's largest number where results of large numbers fit it, and small ones are not subnormal."""
_LARGE: Final = 3
"""Calls with large numbers."""
_UNITS: Final = 4
"""Units of a matrix of a certain structure, and steps beside it: enough for its powers to tell."""
_MANY_STEPS: Final = {"B": 4, "T": 4}
"""Least sizes of a call in which some of what had probability 0 came true."""


def special_numbers(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls with large, small, vanishing and contradicting numbers, and with matrices of every structure."""
    yield from large(maker, rows)
    yield from small(maker, rows)
    yield from vanishing(maker, rows)
    yield from contradicting(maker, rows)
    yield from structured(maker, rows)


def large(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls whose numbers no type of two bytes holds: an accumulator of such a type shows."""
    if _is_narrow(maker.factors):
        return
    for number, place in zip(range(_LARGE), spread_order(len(rows)), strict=False):
        yield maker.with_some_step({**maker.factors.levels(rows[place]), "regime": "large"}, ATTEMPTS * (2000 + number))


def small(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls whose numbers are all small, with every choice of the operation's own: what is flushed to 0 shows."""
    if _is_narrow(maker.factors):
        return
    for number, levels in enumerate(maker.factors.meeting_own_choices(rows)):
        yield maker.with_some_step({**levels, "regime": "small"}, ATTEMPTS * (3000 + number))


def vanishing(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls with numbers that are 0 or add up to 0, with every pair of the operation's own choices.

    Where an operation goes by steps, its cells' numbers meet zeros in enough of the covering array.
    """
    factors = maker.factors
    if goes_by_steps(factors.op) or factors.few_shapes:
        return
    regimes = [regime for regime in ("integers", "zeros") if regime in regimes_for(factors.op)]
    regimes += ["weightless"] * any(item.domain in NOT_NEGATIVE for item in factors.op.inputs.values())
    for number, levels in enumerate(factors.meeting_own_choices(rows, together=2)):
        for place, regime in enumerate(regimes):
            salt = ATTEMPTS * (7000 + len(regimes) * number + place)
            yield maker.with_some_step({**levels, "regime": regime}, salt)


def contradicting(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls in which what had probability 0 came true: the result is infinite, and no gradient is asked for."""
    factors = maker.factors
    if not any(output.impossible == math.inf for output in factors.op.outputs.values()):
        return
    of_two = [row for row in rows if _probabilities_of(maker.case(factors.levels(row), 0)) > 1]
    for number, levels in enumerate(factors.meeting_own_choices(of_two)):
        for regime in ("contradicting", "unforeseen"):
            case = maker.with_some_step({**levels, "regime": regime}, ATTEMPTS * (4000 + number))
            yield replace(case, differentiated=False).with_at_least(**_MANY_STEPS)


def _probabilities_of(case: Case) -> int:
    """Number of inputs that are probabilities."""
    return sum(item.domain == "probability" for item in case.items.values())


def structured(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls with square matrices of every structure, where singular values are asked for.

    All else is 0, and the layer is one with a single matrix: the state's Jacobian is then that matrix.
    """
    if not takes_spectra(maker.factors.op):
        return
    usual = maker.factors.support.defaults()
    choosers = {part.operation for part in maker.factors.op.parts}
    sizes = dict.fromkeys(("H", "T"), _UNITS)
    levels = [maker.factors.levels(row) for row in rows]
    for number, name in enumerate(STRUCTURES):
        salt = ATTEMPTS * (5000 + number)
        made = (maker.with_some_step({**row, "regime": name}, salt, sizes) for row in levels)
        case = next((case for case in made if case.lengths_of.get("G", 0) <= 1), None)
        if case is not None:
            others = {key: value for key, value in usual.items() if key not in choosers}
            yield replace(case.with_attributes(**others), steps="all")


def _is_narrow(factors: Factors) -> bool:
    """Whether the range of the type is too narrow for large and for small numbers."""
    return format_of(factors.scope.dtype).largest < _WIDE_RANGE
