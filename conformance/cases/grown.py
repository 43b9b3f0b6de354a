"""Calls whose sizes are all large together: every single choice at sizes beyond the blocks that kernels work in.

The ladder tries one size at a time, so that a wrong result shows which. Faults of two sizes, or of a size with lengths,
with an attribute or with other values, need large sizes that come together with every other choice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Final

from rnnspec.conformance.cases.beyond import bounding
from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.covering import Combination, Row, covering_rows
from rnnspec.conformance.cases.factors import STEPS
from rnnspec.conformance.cases.ladder import depths, goes_by_steps
from rnnspec.conformance.cases.making import ATTEMPTS, Maker
from rnnspec.conformance.cases.regimes import choices_of
from rnnspec.conformance.cases.rungs import chooses, flops_of

TOGETHER: Final = (34, 40, 36, 48)
"""Sizes beyond a block of 32, in turn: two and four above one, and multiples of 8 and of 16."""
_SEQUENCES: Final = (0, 16, 9, 8)
"""Sequences of the calls, in turn; 0: as many as the other sizes."""
_TALL: Final = {"B": 40, "T": 16}
"""Sequences beyond a block of 32, and whole blocks of steps: a choice of the operation's own is met with them once."""
_TILES: Final = (70, 96)
_FEW: Final = 2
"""Sizes beyond a block of 64, in turn, and sequences of every other call that goes in one piece."""
_SMALLER: Final = (18, 10, 6)
"""Sizes in place of those that take too long to judge."""
_LAYERS: Final = 2
"""Layers or levels, each of which is computed by itself."""
_LATE: Final = 9
"""Steps after which a gradient ends: beyond a block of 8, and few enough for what is cut off to count."""
_WIDE: Final = 66
"""Sequences of a call with as many units, beyond a block of 64."""
_PAIR: Final = (70, 96)
"""Two sizes beyond a block of 64: one that no block divides, and one of one block and a half."""
_BLOCK: Final = 64
_BLOCKS: Final = {"B": 8, "T": 16, "U": 16}
"""Sequences and steps of a call whose sizes are all whole blocks."""
_FEW_UNITS: Final = 16
"""All other sizes of such a call with each choice of the operation's own."""
_BOTH: Final = {"B": 34, "T": 34}
"""Sequences and steps of a call with gradients, beyond a block of 32."""
_CHUNKS: Final = (600, 1_030)
"""Two sizes beyond blocks of 512 and of 1,024, where the call is cheap."""
_CHEAP: Final = 2e6
_STEP_BY_STEP: Final = {"T", "U"}
"""Sizes whose gradient takes as long again as many small calls."""
_DEAREST: Final = 2e7
_DEAREST_OF_CHOICES: Final = 4e6
"""Most floating-point operations of a call, by the specification's cost model; fewer where it chooses."""


def grown(maker: Maker, refused: Collection[Combination]) -> Iterator[Case]:
    """Calls at large sizes in which every level of every other choice is met, without combinations that are refused."""
    factors = maker.factors
    if factors.few_shapes:
        return
    others = [place for place, factor in enumerate(factors.all) if not factor.name.startswith("size ")]
    rows: tuple[Row, ...] = covering_rows(factors.model(1, False, refused))[0] if factors.all else ((),)
    running = {place for place in others if factors.all[place].runs and factors.all[place].name != STEPS}
    by_steps = goes_by_steps(factors.op)
    met: set[tuple[int, int]] = set()
    of_many: set[tuple[int, int]] = set()
    number = 0
    for row in rows:
        levels = {(place, row[place]) for place in others}
        if not levels <= met or not number:
            own = {level for level in levels if level[0] in running}
            # In turn, so that most choices are met with many steps too; where these cost little, with both at once.
            tall = not own <= of_many and (number % 2 == 1 or not by_steps)
            of_many |= own if tall else set()
            met |= levels
            apart = {symbol: size for symbol, size in _TALL.items() if by_steps or symbol == "B"}
            yield _large(maker, factors.levels(row), number, apart if tall else {})
            number += 1


def _large(maker: Maker, row: Mapping[str, Any], number: int, apart: Mapping[str, int]) -> Case:
    """The case of a row's choices at large sizes, or at the largest ones that are affordable, but for sizes `apart`."""
    by_steps = goes_by_steps(maker.factors.op)
    tile = _TILES[number // 2 % len(_TILES)]
    tiles = () if by_steps or number % 2 == 0 else ((tile, apart), (tile, {}))
    sizes = (*tiles, *((size, apart) for size in (TOGETHER[number % len(TOGETHER)], *_SMALLER)))
    cases = (_of_size(maker, row, number, *one) for one in sizes)
    for case in cases:
        if _affordable(case):
            break
    return case


def wide(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """A call of many sequences and many units at once, in few steps: a tile's corner beyond 64 of both."""
    factors = maker.factors
    if factors.few_shapes or "B" not in factors.symbols or not rows:
        return
    own = [row for row in map(factors.levels, rows) if factors.is_own(row)] or [factors.levels(rows[0])]
    choices = {**own[0], "regime": "generic"}
    salt = -ATTEMPTS * 3000
    symbols = maker.with_some_step(choices, salt)
    axes = {axis for item in symbols.items.values() for axis in item.shape} - {"B", "T", "U", *depths(symbols.spec)}
    features = [symbol for symbol in symbols.sizes if symbol in axes]
    fewer = [features[place:] for place in range(len(features))]
    for some in (features, [symbol for symbol in features if symbol == "H"], *fewer):
        large = {symbol: _WIDE + 2 * place for place, symbol in enumerate(("B", *some))}
        case = maker.with_some_step(choices, salt, {**dict.fromkeys(symbols.sizes, 2), **large})
        if _affordable(case):
            yield case
            return


def paired(maker: Maker, rows: Sequence[Row]) -> Iterator[Case]:
    """Calls with two sizes beyond a block of 64 and small others, and one whose sizes are all whole blocks.

    Kernels go through two sizes in tiles, and take another way where several sizes are whole blocks. Attributes are at
    their defaults. An operation with chosen parts has these calls in its parts.
    """
    factors = maker.factors
    if factors.few_shapes or not rows or any(part.operation in factors.op.attributes for part in factors.op.parts):
        return
    usual = factors.support.defaults()
    first = replace(maker.with_some_step({**factors.levels(rows[0]), "regime": "generic"}, 0), attributes=usual)
    symbols = [symbol for symbol in first.sizes if symbol not in depths(first.spec)]
    dear = choices_of(factors.op)  # beside many steps, moves between so many alternatives take long
    pairs = [pair for pair in combinations(symbols, 2) if not (dear & {*pair} and _STEP_BY_STEP & {*pair})]
    sizes: list[dict[str, int]] = [dict(zip(pair, two, strict=True)) for two in (_PAIR, _CHUNKS) for pair in pairs]
    if len(symbols) > 1:
        sizes.append({symbol: _BLOCKS.get(symbol, _BLOCK) for symbol in symbols})
    if _BOTH.keys() <= {*symbols} and not dear:
        sizes.append(_BOTH)
    for number, large in enumerate(sizes):
        choices = {**factors.levels(rows[number % len(rows)]), "regime": "generic"}
        drawn = maker.with_some_step(choices, -ATTEMPTS * (10_000 + number), large)
        case = replace(
            drawn, attributes=usual, differentiated=large is _BOTH or not large.keys() & _STEP_BY_STEP or len(large) > 2
        )
        in_chunks = max(large.values()) >= _CHUNKS[0]
        too_dear = in_chunks and (flops_of(case) > _CHEAP or bool(_STEP_BY_STEP & large.keys()))
        if _affordable(case) and not case.sampled and not too_dear:
            yield case
    for number, row in enumerate(factors.meeting_own_choices(rows) if goes_by_steps(factors.op) else ()):
        case = maker.with_some_step(
            {**row, "regime": "generic", STEPS: "all"},
            -ATTEMPTS * (11_000 + number),
            {symbol: _BLOCKS.get(symbol, _FEW_UNITS) for symbol in symbols},
        )
        if _affordable(case):
            yield case


def _affordable(case: Case) -> bool:
    return flops_of(case) <= (_DEAREST_OF_CHOICES if chooses(case) else _DEAREST)


def _of_size(maker: Maker, row: Mapping[str, Any], number: int, size: int, apart: Mapping[str, int]) -> Case:
    salt = -ATTEMPTS * (1000 + number)
    symbols = maker.with_some_step(row, salt)
    layers = depths(symbols.spec)
    sizes = {symbol: _LAYERS if symbol in layers else size for symbol in symbols.sizes}
    if "B" in sizes:
        sizes["B"] = _FEW if size in _TILES else _SEQUENCES[number % len(_SEQUENCES)] or size
    sizes |= {symbol: count for symbol, count in apart.items() if symbol in sizes}
    return _truncated_late(maker.with_some_step(row, salt, sizes))


def _truncated_late(case: Case) -> Case:
    """The case with numbers of steps, such as those of a truncated gradient, beyond a block and within the sequence."""
    steps = case.sizes.get("T", 0)
    attributes = case.spec.attributes
    late = {
        key: _LATE
        for key, value in case.attributes.items()
        if value is not None and "T" in bounding(attributes[key]) and steps > 2 * _LATE
    }
    return case.with_attributes(**late)
