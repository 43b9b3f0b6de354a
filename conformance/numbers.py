"""Numbers that users give."""

from __future__ import annotations

import math
from collections.abc import Callable


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
