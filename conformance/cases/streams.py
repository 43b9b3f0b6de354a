"""Streams of random numbers, one for each name and independent of the others."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the stream of a name for a seed."""
    return np.random.Generator(np.random.SFC64(seed << 32 | zlib.crc32(name.encode())))
