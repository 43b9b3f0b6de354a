"""Sizes at which kernels break: around powers of two, and beyond the range of an index or a block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Final

from rnnspec.spec import Operation

RUNGS: Final = (
    1, 2, 3, 5, 8, 9, 10, 12, 15, 16, 17, 20, 24, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300,
)  # fmt: skip
"""Values that each size takes once, while the other sizes are small; beyond 8, with all remainders of 4, 8 and 16."""

NOT_DIFFERENTIATED: Final = frozenset((127, 128, 255, 256, 257))
"""Sizes at which only outputs are judged: a gradient takes as long again, and neighbouring sizes have one."""

OF_PARTS_DIFFERENTIATED: Final = frozenset((*(size for size in RUNGS if size < 63), 129))
"""Sizes at which gradients of operations with chosen parts are judged; each part has a ladder of its own."""

ONCE: Final = {"B": (65_537,), "T": (1_100,), "H": (512, 513)}
"""Sizes of one symbol each: sequences beyond 16 bits, steps beyond a block of 1,024, units around a block of 512."""

WHERE_CHEAP: Final = (512, 513, 1_024, 1_100)
"""Blocks of 512 and of 1,024, and sizes beyond them, for any symbol whose call is cheap then."""

IN_ONE_PIECE: Final = (70_000, 140_000, 2**20 + 1)
"""Sizes beyond 16 bits, twice that, and 20 bits, for any symbol whose call is cheap then and takes no step by step."""

OF_GRADIENTS: Final = 4_098
"""A size beyond a block of 4,096 for these symbols, which no type of two bytes holds; gradients are judged too."""

OF_ROWS: Final = 65_537
"""Rows of a table beyond the numbers of 16 bits."""

LABELS: Final = (9, 33, 64, 65, 129, 256, 257, 1_030)
"""Labels of a sequence that has as many steps as they need."""

LARGEST: Final = 65_537
"""The largest size of the usual ladder."""


DEEPEST: Final = 12
"""The largest number of layers or levels, each of which is computed by itself."""


def is_differentiated(size: int, of_parts: bool) -> bool:
    """Return whether gradients are judged at a size."""
    return size in OF_PARTS_DIFFERENTIATED if of_parts else size not in NOT_DIFFERENTIATED


def depths(op: Operation) -> frozenset[str]:
    """Return the sizes that count layers or levels: those before the gates' axis in a parameter's shape."""
    shapes = (item.shape for item in op.inputs.values() if not item.per_sequence and "G" in item.shape)
    return frozenset(symbol for shape in shapes for symbol in shape[: shape.index("G")])


def recurrent_sizes(op: Operation) -> frozenset[str]:
    """Return the sizes along which one number follows from the one before: steps, labels, layers.

    The letter of the index names the size.
    """
    found = {size for block in op.equations for size in re.findall(r"\b([a-z]) [-+] 1\b", block.text)}
    return frozenset(letter.upper() for letter in found)


def goes_by_steps(op: Operation) -> bool:
    """Return whether an operation, or a part that may be chosen, goes on step by step."""
    steps = recurrent_sizes(op) & {"T", "U"}
    return bool(op.unrolls or steps) or any(choice.unrolls for part in op.parts for choice in part.choices.values())


def rungs_of(symbol: str, largest: int) -> Iterator[int]:
    """Yield the sizes of a symbol, in order, up to `largest`; beyond the usual ones, around each power of two."""
    yield from (size for size in (*RUNGS, *ONCE.get(symbol, ())) if size <= largest)
    power = 512
    while largest > LARGEST and power <= largest:
        yield from (size for size in (power - 1, power, power + 1) if size <= largest)
        power *= 2


def equal_sizes(op: Operation, symbols: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of sizes that are neighbours in a shape, whose axes can be confused if they are equal."""
    shapes = [*(item.shape for item in op.inputs.values()), *(item.shape for item in op.outputs.values())]
    beside = {pair for shape in shapes for pair in pairwise(shape)}
    return [pair for pair in combinations(symbols, 2) if pair in beside or pair[::-1] in beside]
