"""The directions in which rounding moves numbers, +1 or -1 at random: one fixed table, read on and on."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

COUNT: Final = 262_139
"""Directions in the table: the greatest prime below 2¹⁸. They take 2 MiB, which a processor's cache holds."""

SIGNS: Final = np.where(np.random.default_rng(0).integers(0, 2, COUNT) == 1, 1.0, -1.0)
"""The table. A generator with a fixed seed draws it once."""

_APART: Final = 7_919
"""Places from where one seed starts to where the next does. As `COUNT` is prime, that many seeds start at others."""

_TIMES: Final = 31
_PLUS: Final = 17
"""Where too few directions are left, place p becomes 31 p + 17, modulo the places that have enough after them."""

_AWAY: Final = COUNT // 3
"""How far off the table the direction stands that `shifts` has at a place, so that it is not that of `factors`."""


class Directions:
    """A stream of random directions, as places in the table.

    It is no NumPy generator, because of speed. A computation on `Rounded` arrays takes directions at every operation,
    half the time fewer than 50. To take 24 is a slice of the table, 0.3 µs; a generator draws them in 6 µs, and they
    must still be turned into factors, which the table holds ready. With a draw in the place of each slice, bounds of
    small cases took 1.4 times as long (204 cases, all operations that have gradients, on one core).

    The stream starts at the place of its seed, takes directions that stand side by side, and leaves one out after
    them. Where the table has too few left, the stream goes on at another place, which follows from where it was.

    So directions repeat. From that jump on, the stream may take what it took before, though for other numbers. The
    stream of seed s + 1 is that of seed s from its 7,919th place on, up to the jump. The places follow from the seed
    and the counts alone, so that a computation gives the same bits whenever it is done again.
    """

    __slots__ = ("position",)

    def __init__(self, seed: int) -> None:
        self.position = seed * _APART % COUNT
        """The place that is taken next; setting it back repeats the directions after it."""

    def places(self, count: int) -> slice:
        """Take so many directions, at most `COUNT`: where they stand in `SIGNS`, `factors` and `shifts`."""
        start = self.position
        if start + count > COUNT:
            start = (start * _TIMES + _PLUS) % (COUNT - count + 1)
        self.position = start + count + 1
        return slice(start, start + count)

    def turn(self) -> int:
        """Take one place, as the seed of a generator for what directions cannot decide: one of several ways."""
        self.position += 1
        return self.position


@cache
def factors(size: float) -> NDArray[np.float64] | None:
    """The factor at each place that moves a number by `size` of itself; None where 1 + size is no number.

    A step then has the sign of the number, too, which changes nothing where directions are random, and saves time.
    """
    return 1 + size * SIGNS if 1 + size > 1 else None


@cache
def shifts(size: float) -> NDArray[np.float64]:
    """At each place a step of this size, in another direction than that of `factors`."""
    return size * np.roll(SIGNS, _AWAY)
