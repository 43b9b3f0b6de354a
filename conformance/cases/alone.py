"""Calls that differ from the plainest one in a single choice: what most people run, which pairs of choices may miss."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.covering import Combination, Row
from rnnspec.conformance.cases.factors import STEPS
from rnnspec.conformance.cases.making import ATTEMPTS, Maker

_STEPS: Final = 5
"""Steps of such a call: more than any listed number of them."""


def one_at_a_time(maker: Maker, rows: Sequence[Row], refused: Collection[Combination]) -> Iterator[Case]:
    """Generic calls that differ from the plainest in one attribute or one absent input, where no row is such a call."""
    factors = maker.factors
    if factors.few_shapes:
        return
    runs = [factor.name for factor in factors.all if factor.runs and factor.name != STEPS]

    def chosen(levels: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(levels[name] for name in runs)

    met = {chosen(levels) for levels in map(factors.levels, rows) if levels.get("regime", "generic") == "generic"}
    for number, levels in enumerate(factors.one_at_a_time(refused)):
        if chosen(levels) not in met:
            met.add(chosen(levels))
            plain = {name: level for name, level in levels.items() if not name.startswith("size ")}
            case = maker.with_some_step({**plain, "regime": "generic"}, -ATTEMPTS * (9000 + number))
            yield case.with_at_least(T=_STEPS) if factors.op.has_steps else case
