"""Valid steps of a batch of sequences, given by lengths or a mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Steps = Literal[
    "all", "lengths", "equal", "shorter", "one_empty", "unsorted", "right_mask", "mask", "held_mask", "no_lengths",
    "no_mask", "holed_right", "holed_left", "holed_blocks", "full_lengths", "full_mask", "last_longest", "whole_blocks",
]  # fmt: skip
"""Kinds of valid steps: all steps without an input, or steps given by lengths or by a mask.

- ``lengths``: any lengths; ``equal``: all equal and below T; ``shorter``: none above T - 1.
- ``one_empty``: one length is 0, and the others are not; ``unsorted``: not in descending order.
- ``right_mask``: a mask without holes; ``mask``: a mask with holes; ``held_mask``: holes behind a valid first step.
- ``holed_right`` and ``holed_left``: masks with a hole inside, whose ends are those of padding on the right or left.
- ``holed_blocks``: masks that take out whole blocks, the first 64 steps of one sequence and 32 amid the next.
- ``full_lengths`` and ``full_mask``: given, though every step is valid.
- ``last_longest``: the first 32 sequences are shorter than those behind; ``whole_blocks``: lengths of powers of two.
- ``no_lengths`` and ``no_mask``: no step is valid.
"""
BY_LENGTHS: Final[tuple[Steps, ...]] = (
    "lengths",
    "equal",
    "shorter",
    "one_empty",
    "unsorted",
    "no_lengths",
    "full_lengths",
    "last_longest",
    "whole_blocks",
)
BY_MASK: Final[tuple[Steps, ...]] = (
    "right_mask",
    "mask",
    "held_mask",
    "no_mask",
    "holed_right",
    "holed_left",
    "holed_blocks",
    "full_mask",
)
NEEDS: Final[Mapping[Steps, Mapping[str, int]]] = {
    "all": {"B": 0, "T": 0},
    "lengths": {"B": 0, "T": 0},
    "equal": {"B": 2, "T": 2},
    "shorter": {"B": 1, "T": 2},
    "one_empty": {"B": 2, "T": 1},
    "unsorted": {"B": 2, "T": 2},
    "right_mask": {"B": 0, "T": 0},
    "mask": {"B": 1, "T": 2},
    "held_mask": {"B": 1, "T": 3},
    "no_lengths": {"B": 0, "T": 0},
    "no_mask": {"B": 0, "T": 0},
}
"""The least sizes at which steps can be of their kind, for every kind that any call may have."""
HOLED: Final[Mapping[Steps, Steps]] = {"holed_right": "held_mask", "holed_left": "mask", "holed_blocks": "mask"}
"""Kinds that a few calls of their own have, each with a kind that tells whether a backend takes it."""
DECIDING: Final[Mapping[Steps, Steps]] = {
    "full_lengths": "lengths", "full_mask": "right_mask", "last_longest": "lengths", "whole_blocks": "lengths",
}  # fmt: skip
"""The same of lengths that kernels take for what they are not."""
_LEAST_HOLED: Final = 6
"""The least number of steps of those that look padded."""
BLOCK: Final = 64
"""Steps of a block, all of which a mask may take out."""
TOGETHER: Final = 32
"""Sequences that a processor goes through together, and bits of a word that has one for each step."""


def needs_of(kind: Steps) -> Mapping[str, int]:
    """Return the least sizes at which steps can be of a kind."""
    if kind in HOLED:
        return {"B": 1, "T": BLOCK + 1 if kind == "holed_blocks" else _LEAST_HOLED}
    return NEEDS[DECIDING.get(kind, kind)]


def valid_steps(kind: Steps, batch: int, steps: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return the valid steps of a kind, (B, T); sizes below those in `NEEDS` give the nearest kind that they allow."""
    if kind in ("all", "full_mask"):
        return np.ones((batch, steps), np.bool_)
    if kind == "holed_blocks":
        return _without_blocks(batch, steps)
    if kind in HOLED:
        return _padded_with_hole(batch, steps, rng, left=kind == "holed_left")
    if kind in ("mask", "held_mask"):
        return _with_holes(batch, steps, rng, held=kind == "held_mask")
    return np.asarray(np.arange(steps) < _lengths(kind, batch, steps, rng)[:, None])


def _lengths(kind: Steps, batch: int, steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    match kind:
        case "no_lengths" | "no_mask":
            return np.zeros(batch, np.int64)
        case "full_lengths":
            return np.full(batch, steps)
        case "last_longest":
            short = rng.integers(min(1, steps // 2), steps // 2 + 1, batch)
            return np.where(np.arange(batch) < TOGETHER, short, steps)
        case "whole_blocks":
            return _of_whole_blocks(batch, steps, rng)
        case "equal":
            return np.full(batch, rng.integers(1, steps) if steps > 1 else 0)
        case "shorter":
            return _with_one(rng.integers(0, max(steps, 1), batch), max(steps - 1, 0), rng)
        case "one_empty":
            return _with_one(rng.integers(min(1, steps), steps + 1, batch), 0, rng)
        case "unsorted":
            return _unsorted(batch, steps, rng)
    # Short and empty sequences, and mostly one of full length, since batches are padded to their longest sequence.
    lengths = rng.integers(0, steps + 1, batch)
    lengths[rng.random(batch) < 0.3] = steps
    return lengths


def _of_whole_blocks(batch: int, steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """In turn all steps, the greatest power of two below them, as many as a word has bits, and any number."""
    powers = [1 << place for place in range(steps.bit_length()) if 1 << place < steps] or [steps]
    of_word = TOGETHER if TOGETHER in powers else powers[0]
    turns = np.array([steps, powers[-1], of_word])[np.arange(batch) % 4 % 3]
    return np.where(np.arange(batch) % 4 == 3, rng.integers(0, steps + 1, batch), turns)


def _with_one(lengths: NDArray[np.int64], length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The lengths with one of them replaced by `length`."""
    if lengths.size:
        lengths[rng.integers(lengths.size)] = length
    return lengths


def _unsorted(batch: int, steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Lengths of at least 1 that ascend somewhere, all different if there are enough."""
    lengths = 1 + (rng.permutation(steps)[:batch] if batch <= steps else rng.integers(0, max(steps, 1), batch))
    if batch > 1 and steps > 1 and not (np.diff(lengths) > 0).any():
        if batch <= steps:
            return np.sort(lengths)
        lengths[0], lengths[-1] = 1, steps  # so that one exceeds the length before it
    return np.minimum(lengths, steps)


def _with_holes(batch: int, steps: int, rng: np.random.Generator, *, held: bool) -> NDArray[np.bool_]:
    """A mask with an invalid step before a valid one; if `held`, the first step of every sequence is valid."""
    mask = rng.random((batch, steps)) < 0.6
    if held:
        mask[:, :1] = True
    first = int(held)
    if batch and steps > first + 1 and not (~mask[:, first:-1] & mask[:, first + 1 :]).any():
        row, hole = rng.integers(batch), rng.integers(first, steps - 1)
        mask[row, hole], mask[row, hole + 1] = False, True
    return mask


def _padded_with_hole(batch: int, steps: int, rng: np.random.Generator, *, left: bool) -> NDArray[np.bool_]:
    """A mask with steps taken out at the end (or the beginning, if `left`), and one hole between valid steps."""
    if steps < _LEAST_HOLED:
        return np.ones((batch, steps), np.bool_)
    out = rng.integers(2, max(steps // 3, 2) + 1, (batch, 1))
    hole = rng.integers(2, steps - out - 1)
    place = np.arange(steps)
    mask = np.asarray((place < steps - out) & (place != hole))
    return np.ascontiguousarray(mask[:, ::-1]) if left else mask


def _without_blocks(batch: int, steps: int) -> NDArray[np.bool_]:
    """A mask without the first block of every other sequence, and without half a block amid the sequences between."""
    place = np.arange(steps)
    first, amid = place >= BLOCK, (place < BLOCK // 2) | (place >= BLOCK)
    return np.asarray(np.where(np.arange(batch)[:, None] % 2 == 0, first, amid))
