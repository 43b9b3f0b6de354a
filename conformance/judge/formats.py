"""The floating-point types of the specification, as numbers: unit roundoff, smallest normal, largest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np


@dataclass(frozen=True)
class Format:
    """One floating-point type. `unit_roundoff` is half the distance from 1 to the next number."""

    name: str
    dtype: np.dtype[Any]
    unit_roundoff: float
    smallest_normal: float
    largest: float

    @property
    def most_judged(self) -> float:
        """The magnitude below which results are judged: right implementations differ, and all are to stay finite."""
        return self.largest / 16


@cache
def format_of(name: str) -> Format:
    """Return the type of this name: float16, bfloat16, float32 or float64."""
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]  # ml_dtypes leaves it unannotated
    return Format(name, dtype, float(info.eps) / 2, float(info.smallest_normal), float(info.max))
