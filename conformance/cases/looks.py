"""Masks with a hole whose ends are those of padding: code that looks at the ends alone takes them for lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.covering import Row
from rnnspec.conformance.cases.factors import STEPS
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.steps import HOLED

_STEPS: Final = {"B": 2, "T": 9}
"""Sequences, which all look padded alike, and steps, of which three may be padding."""


def looking_padded(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """A call whose mask looks padded on the right, and one whose mask looks padded on the left."""
    factors = maker.factors
    if not rows or not factors.op.has_steps or factors.few_shapes:
        return
    for number, (kind, known) in enumerate(HOLED.items()):
        if known in factors.support.steps:
            row = {**factors.levels(rows[number % len(rows)]), "regime": "generic", STEPS: kind}
            yield maker.with_some_step(row, -ATTEMPTS * (4000 + number), _STEPS)
