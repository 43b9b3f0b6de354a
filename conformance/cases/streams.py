"""Streams of random numbers: one for each name, so that what one gives does not change what another gives."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The stream of this name for a seed."""
    return np.random.Generator(np.random.SFC64(seed << 32 | zlib.crc32(name.encode())))
