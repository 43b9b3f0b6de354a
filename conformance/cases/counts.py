"""Calls with numbers of things beyond the ranges that are tried with every other choice, such as steps that are run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from rnnspec import reference
from rnnspec.conformance.cases.beyond import bounding
from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.covering import Row, spread_order
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.regimes import choices_of, regimes_for
from rnnspec.conformance.cases.steps import TOGETHER
from rnnspec.spec.operation import Operation

COUNTS: Final = (33, 130, 32, 64)
"""Numbers of things beyond a block of 32, beyond what a signed byte counts, and of whole blocks."""
_FEW_COUNTED: Final = 64
"""Rounds up to which a call is looked for that has not settled."""
_UNSETTLED: Final = "chaotic"
"""The regime in which what is fed back goes on changing; elsewhere, a round that is left out may not show."""
_CHANGE: Final = 0.01
"""The least change of a result in its last round by which a call has not settled."""
_STEPS: Final = 33
"""Steps of a call in which a sequence ends late."""
_LAST: Final = 4
"""Steps after a late end, in which nothing may follow."""
_SIZES: Final = {"B": 16, "D": 16, "H": 16}
_BEHIND: Final = {"B": 2 * TOGETHER, "K": 3}
"""Sequences of a call of which those behind go on longest, and alternatives of which most are soon met."""
_FEW_STEPS: Final = 5
_FEW_ALTERNATIVES: Final = 5
_KEPT: Final = 4
"""Sequences that are kept of those that have ended and those that have not."""
_ALTERNATIVES: Final = 20
"""Sizes at which the chosen tokens go on to be others for many steps."""


def beyond_ranges(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls with each number of things beyond its range, where that does not depend on sizes."""
    factors = maker.factors
    if factors.few_shapes or not rows:
        return
    order = spread_order(len(rows))
    for key in counted(factors.op):
        for number, count in enumerate(COUNTS):
            row = {**factors.levels(rows[order[number % len(order)]]), "regime": "generic"}
            case = maker.with_some_step(row, ATTEMPTS * (6000 + number)).with_attributes(**{key: count})
            yield replace(case, differentiated=number == 0)
            if count <= _FEW_COUNTED and _UNSETTLED in regimes_for(factors.op):
                others = (replace(case, regime=_UNSETTLED, seed=case.seed + more) for more in range(ATTEMPTS))
                if (going_on := next(filter(_goes_on, others), None)) is not None:
                    yield replace(going_on, differentiated=False)


def counted(op: Operation) -> list[str]:
    """Return the attributes that count things and whose range sizes do not bound."""
    return [key for key, attribute in op.attributes.items() if attribute.size and not bounding(attribute)]


def late_ends(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls in which the token that ends a sequence is first chosen after many steps, or last by a sequence behind.

    The end is the token that the right sequences of the call without an end have first at the latest step.
    """
    op, support = maker.factors.op, maker.factors.support
    ends = [key for key, attribute in op.attributes.items() if set(bounding(attribute)) & choices_of(op)]
    bounded = any(attribute.size and bounding(attribute) for attribute in op.attributes.values())
    if not rows or len(ends) != 1 or bounded or maker.factors.few_shapes:
        return
    (end,) = ends
    usual = {**support.defaults(), end: None, **dict.fromkeys(counted(op), _STEPS)}
    if len(support.levels[end]) < 2:
        return  # no sequence ends
    sizes = {**dict.fromkeys(choices_of(op), _ALTERNATIVES), **_SIZES}
    row = {**maker.factors.levels(rows[0]), "regime": "chaotic"}
    case = maker.with_some_step(row, ATTEMPTS * 7000, sizes)
    case = replace(case, attributes=usual, drawn_for=None)
    yield case.with_attributes(**{end: _latest(case)})
    yield from _ending_behind(replace(case, sizes={**case.sizes, **_BEHIND}), end)


def _ending_behind(case: Case, end: str) -> Iterator[Case]:
    """The call with an end after which a sequence beyond the first ones that go together is the last to go on."""
    for other in (replace(case, seed=case.seed + number) for number in range(2 * ATTEMPTS)):
        tokens = getattr(reference, other.operation)(**other.given.inputs, **other.attributes)[0]
        for token in np.unique(tokens):
            lengths = np.where((written := tokens == token).any(axis=1), written.argmax(axis=1) + 1, tokens.shape[1])
            if lengths[:TOGETHER].max() < lengths[TOGETHER:].max():
                yield other.with_attributes(**{end: int(token)})
                return


def unlike_ends(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls that return all of several sequences, whose order depends on their lengths: these differ.

    The end is the token with which most sequences are no longer in the order of their sums.
    """
    op, support = maker.factors.op, maker.factors.support
    kept = [key for key, attribute in op.attributes.items() if attribute.size and bounding(attribute)]
    ends = [key for key, one in op.attributes.items() if key not in kept and set(bounding(one)) & choices_of(op)]
    all_of_them = {key: value for item in op.outputs.values() for when, _ in item.shapes for key, value in when.items()}
    if not rows or len(ends) != 1 or len(kept) != 1 or not all_of_them or maker.factors.few_shapes:
        return
    ((end,), (width,)) = ends, kept
    several = {**dict.fromkeys(counted(op), _FEW_STEPS), width: _KEPT}
    takes_all = all(value in {level.only for level in support.levels[key]} for key, value in all_of_them.items())
    if not takes_all or any(len(support.levels[key]) < 2 for key in (end, *several)):
        return
    sizes = {**dict.fromkeys(choices_of(op), _FEW_ALTERNATIVES), **_SIZES}
    case = maker.with_some_step({**maker.factors.levels(rows[0]), "regime": "generic"}, ATTEMPTS * 7500, sizes)
    case = replace(case, attributes={**support.defaults(), **all_of_them, **several}, drawn_for=None)
    by_end = [case.with_attributes(**{end: token}) for token in range(_FEW_ALTERNATIVES)]
    yield max(by_end, key=_out_of_order)


def _goes_on(case: Case) -> bool:
    """Whether the last round still changes a result: where all has settled, a round that is left out does not show."""
    counts = {attribute.size for attribute in case.spec.attributes.values() if attribute.size}
    with np.errstate(all="ignore"):
        outputs = getattr(reference, case.operation)(**case.given.inputs, **case.attributes)
        return any(
            np.any(np.abs(output.take(-1, axis).astype(float) - output.take(-2, axis)) > _CHANGE)
            for item, output in zip(case.results.values(), outputs, strict=True)
            for axis, size in enumerate(item.shape)
            if size in counts and output.shape[axis] > 1
        )


def _out_of_order(case: Case) -> int:
    """The number of pairs of neighbours of which the first, which is better, is longer."""
    lengths = getattr(reference, case.operation)(**case.given.inputs, **case.attributes)[1]
    return int(np.sum(lengths[:, :-1] > lengths[:, 1:]))


def _latest(case: Case) -> int:
    """The token whose first place in a sequence is the latest but for the last few steps."""
    tokens = getattr(reference, case.operation)(**case.given.inputs, **case.attributes)[0]
    firsts = {
        (int(np.argmax(sequence == token)), int(token))
        for sequence in tokens[:, : tokens.shape[1] - _LAST]
        for token in np.unique(sequence)
    }
    return max(firsts)[1]
