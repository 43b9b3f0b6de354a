"""Masks with holes that code takes for what they are not.

If the ends of a mask are those of padding, code that looks at the ends alone takes them for lengths. Code that goes
through the steps in blocks may take one without a valid step for the end, or for nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.covering import Row
from rnnspec.conformance.cases.factors import STEPS
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.steps import BLOCK, HOLED

_STEPS: Final = {"B": 2, "T": 9}
"""Sequences, which all look padded alike, and steps, of which three may be padding."""
_BLOCKS: Final = {"B": 2, "T": BLOCK + 6}
"""Sequences of which each lacks another block of steps, and the steps of both."""


def looking_padded(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """A call whose mask looks padded on the right, one padded on the left, and one that lacks whole blocks."""
    factors = maker.factors
    if not rows or not factors.op.has_steps or factors.few_shapes:
        return
    for number, (kind, known) in enumerate(HOLED.items()):
        if known in factors.support.steps:
            row = {**factors.levels(rows[number % len(rows)]), "regime": "generic", STEPS: kind}
            sizes = _BLOCKS if kind == "holed_blocks" else _STEPS
            case = maker.with_some_step(row, -ATTEMPTS * (4000 + number), sizes)
            # Over many steps, numbers stay within the type under the usual attributes.
            yield replace(case, attributes=factors.support.defaults()) if kind == "holed_blocks" else case
