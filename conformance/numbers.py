"""Numbers that users give."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

MOST_COUNT: Final = 2**40
"""The most of anything that is counted; more is a slip of the hand, and beyond what loops and arrays take."""


def number_between(least: float, most: float) -> Callable[[str], float]:
    """Return a function that reads a number between these, and raises ValueError for any other, NaN included."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise ValueError(f"expected a number from {least:g} to {most:g}, got {text}")
        return number

    return read


def whole_between(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Return a function that reads a whole number between these, and raises ValueError for any other."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            bound = f" to {most:,}" if math.isfinite(most) else " on"
            raise ValueError(f"expected a whole number from {least}{bound}, got {text}")
        return number

    return read


def is_whole(text: str) -> bool:
    """Return whether a text is a whole number, of so few digits that it can be read."""
    return text.isdecimal() and len(text) < 20
