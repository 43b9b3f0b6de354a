"""Calls of a deck whose numbers are special all together, or in a way that few operations have a use for.

No pair of choices is met with their regimes (`rnnspec.conformance.cases.regimes.OF_THEIR_OWN`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Any, Final

from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.covering import Row, spread_order
from rnnspec.conformance.cases.factors import STEPS, Factors
from rnnspec.conformance.cases.ladder import goes_by_steps
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.regimes import (
    NOT_NEGATIVE,
    STRUCTURES,
    choices_of,
    has_moves,
    regimes_for,
    takes_spectra,
)
from rnnspec.conformance.cases.rungs import flops_of
from rnnspec.conformance.judge.formats import format_of

_WIDE_RANGE: Final = 2.0**40
"""A type's largest number where results of large numbers fit it, and small ones are not subnormal."""
_LARGE: Final = 3
"""Calls with large numbers."""
_FAR: Final = 12
_ONE_VECTOR: Final = {"B": 1}
_ALTERNATIVES: Final = 3
"""Alternatives between which moves are forbidden: enough for a path beside them."""
_PATHS: Final = 12
"""Sequences of which some would have a forbidden move, if it only cost much."""
_UNITS: Final = 4
"""Units of a matrix of a certain structure, and steps beside it: enough for its powers to tell."""
_MANY_STEPS: Final = {"B": 4, "T": 4}
"""Least sizes of a call in which some of what had probability 0 came true."""


_BEYOND_VECTORS: Final = 20
"""Numbers that go through one formula each, beyond those that a processor takes at once."""
_FEW_TERMS: Final = 16
_MANY_TERMS: Final = 160
"""Sequences and steps, and features, over all of which a sum of squares is beyond float16."""
_DEAREST: Final = 2e6
"""Most floating-point operations of such a call."""


def special_numbers(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls with large, small, vanishing and contradicting numbers, and with matrices of every structure."""
    yield from large(maker, rows)
    yield from small(maker, rows)
    yield from vanishing(maker, rows)
    yield from offset(maker, rows)
    yield from contradicting(maker, rows)
    yield from structured(maker, rows)


def large(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls whose numbers no type of two bytes holds: an accumulator of such a type shows."""
    if _is_narrow(maker.factors):
        return
    # Of the differences of large scores that are added up step by step, little but rounding is left in a gradient.
    of_scores = bool(choices_of(maker.factors.op)) and goes_by_steps(maker.factors.op)
    for number, place in zip(range(_LARGE), spread_order(len(rows)), strict=False):
        levels = {**maker.factors.levels(rows[place]), "regime": "large"}
        case = maker.with_some_step(levels, ATTEMPTS * (2000 + number))
        yield replace(case, differentiated=case.differentiated and not of_scores)
    if has_moves(maker.factors.op):
        sizes = {**dict.fromkeys(choices_of(maker.factors.op), _ALTERNATIVES), "B": _PATHS}
        for number, levels in enumerate(maker.factors.meeting_own_choices(rows), start=_LARGE):
            case = maker.with_some_step({**levels, "regime": "large"}, ATTEMPTS * (2000 + number), sizes)
            yield replace(case, differentiated=False)


def small(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls whose numbers are all small, with every choice of the operation's own: what is flushed to 0 shows."""
    if _is_narrow(maker.factors):
        return
    together = 1 if goes_by_steps(maker.factors.op) else 2
    for number, levels in enumerate(maker.factors.meeting_own_choices(rows, together)):
        case = maker.with_some_step({**levels, "regime": "small"}, ATTEMPTS * (3000 + number))
        least = 0 if "B" in maker.factors.op.sizes else _BEYOND_VECTORS
        yield case.with_at_least(**dict.fromkeys(case.sizes, least))


def vanishing(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls with numbers that are 0 or add up to 0, with every pair of the operation's own choices.

    Where an operation goes by steps, its cells' numbers meet zeros in enough of the covering array.
    """
    factors = maker.factors
    if goes_by_steps(factors.op) or factors.few_shapes:
        return
    regimes = [regime for regime in regimes_for(factors.op) if regime in ("integers", "zeros")]
    regimes += ["weightless"] * any(item.domain in NOT_NEGATIVE for item in factors.op.inputs.values())
    least = _UNITS if "B" in factors.op.sizes else _BEYOND_VECTORS
    for number, levels in enumerate(factors.meeting_own_choices(rows, together=2)):
        for place, regime in enumerate(regimes):
            salt = ATTEMPTS * (7000 + len(regimes) * number + place)
            case = maker.with_some_step({**levels, "regime": regime}, salt)
            # Of many whole numbers some are equal, where a slope may jump.
            yield case.with_at_least(**dict.fromkeys(case.sizes, least)) if regime == "integers" else case
    for number, levels in enumerate(factors.meeting_own_choices(rows)):
        case = maker.with_some_step({**levels, "regime": "generic"}, ATTEMPTS * (8000 + number))
        for name, item in case.items.items():
            if item.kind == "float" and item.per_sequence == ("B" in factors.op.sizes) and name not in case.absent:
                yield replace(case, zero=(name,))


def many_terms(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """A call of a type of two bytes with sums of so many terms that the type does not hold them.

    Operations that go by steps have no sums beyond those of their cells' products.
    """
    factors = maker.factors
    if not rows or not _is_narrow(factors) or goes_by_steps(factors.op) or factors.few_shapes:
        return
    levels = {**factors.levels(rows[0]), "regime": "generic", STEPS: "all"}
    symbols = maker.case(levels, ATTEMPTS * 9900).sizes
    sizes = {symbol: _FEW_TERMS if symbol in ("B", "T", "U") else _MANY_TERMS for symbol in symbols}
    case = replace(maker.case(levels, ATTEMPTS * 9900, sizes), attributes=factors.support.defaults())
    if flops_of(case) <= _DEAREST:
        yield case


def offset(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls with numbers whose differences are small beside them: what squares before it subtracts shows."""
    factors = maker.factors
    if _is_narrow(factors) or goes_by_steps(factors.op) or factors.few_shapes:
        return
    if any(item.per_sequence and item.kind == "float" and not item.domain for item in factors.op.inputs.values()):
        for number, levels in enumerate(factors.meeting_own_choices(rows)):
            yield maker.with_some_step({**levels, "regime": "offset"}, ATTEMPTS * (9000 + number))


def far(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls with vectors whose squares come near the type's ends, or pass them, with each number that people use."""
    factors = maker.factors
    if "far" not in regimes_for(factors.op):
        return
    if _is_narrow(factors):  # few vectors come near the ends of a type of two bytes
        for number, levels in enumerate(islice(cycle(factors.meeting_own_choices(rows)), _FAR)):
            yield maker.with_some_step({**levels, "regime": "far"}, ATTEMPTS * (9500 + number), _ONE_VECTOR)
        return
    for number, levels in enumerate(factors.meeting_own_choices(rows)):
        for place, regime in enumerate(("longest", "shortest")):
            case = maker.with_some_step({**levels, "regime": regime}, ATTEMPTS * (9600 + 2 * number + place))
            yield from (case.with_attributes(**numbers) for numbers in _usual_numbers(factors))


def _usual_numbers(factors: Factors) -> Iterator[dict[str, Any]]:
    """The numbers of attributes as they are by default, and with each to which implementations are fixed."""
    numbers = {key: factors.support.defaults()[key] for key, item in factors.op.attributes.items() if item.domain}
    yield numbers
    for key, item in factors.op.attributes.items():
        yield from ({**numbers, key: number} for number in item.usual if number != numbers[key])


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


def still(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls of optimizers in which all but the parameter is 0, as of one that no gradient has reached yet."""
    factors = maker.factors
    if "B" in factors.op.sizes or not any(item.domain in NOT_NEGATIVE for item in factors.op.inputs.values()):
        return
    usual = factors.support.defaults()
    numbers = {key: usual[key] for key, attribute in factors.op.attributes.items() if attribute.domain}
    for number, levels in enumerate(factors.meeting_own_choices(rows)):
        case = maker.with_some_step({**levels, "regime": "generic"}, ATTEMPTS * (9800 + number))
        _, *others = (name for name, item in case.items.items() if item.kind == "float" and name not in case.absent)
        yield replace(case.with_attributes(**numbers), zero=tuple(others))


def _is_narrow(factors: Factors) -> bool:
    """Whether the range of the type is too narrow for large and for small numbers."""
    return format_of(factors.scope.dtype).largest < _WIDE_RANGE
