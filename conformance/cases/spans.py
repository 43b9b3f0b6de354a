"""Lengths that kernels take for what they are not.

Code that finds no step taken out may go on as if neither lengths nor a mask were given. Code that goes through 32
sequences together may end with the longest of the first ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from rnnspec.conformance.cases.case import Case, Steps
from rnnspec.conformance.cases.covering import Row
from rnnspec.conformance.cases.factors import STEPS
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.steps import DECIDING, TOGETHER

_FULL: Final[tuple[Steps, ...]] = ("full_lengths", "full_mask")
_FEW: Final = {"B": 2, "T": 5}
_MANY: Final = {"B": TOGETHER + 3, "T": 6}
"""Sequences beyond those that go together, and steps of which the first ones have half at most."""


def deciding(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls whose lengths or mask take out nothing, with every choice of the operation's own, and one of many lengths.

    In the last one, only sequences beyond the 32nd have all steps.
    """
    factors = maker.factors
    if not rows or not factors.op.has_steps or factors.few_shapes:
        return
    kinds = [kind for kind in _FULL if DECIDING[kind] in factors.support.steps]
    for number, row in enumerate(factors.meeting_own_choices(rows) if kinds else ()):
        choices = {**row, "regime": "generic", STEPS: kinds[number % len(kinds)]}
        yield maker.case(choices, -ATTEMPTS * (4100 + number), _FEW)
    if DECIDING["last_longest"] in factors.support.steps:
        choices = {**factors.levels(rows[0]), "regime": "generic", STEPS: "last_longest"}
        case = maker.case(choices, -ATTEMPTS * 4200, _MANY)
        yield replace(case, attributes=factors.support.defaults())
