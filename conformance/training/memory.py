"""Memory that is freed stays with the process, so that the next step of a training has it at once."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_MOST_KEPT: Final = 1 << 30
_LARGEST_KEPT: Final = 1 << 25
"""Bytes of the largest array that is kept: the C library takes no more."""


def keep_freed_memory() -> None:
    """Have GNU's C library keep what is freed; elsewhere this does nothing.

    NumPy makes an array anew for each result. By default its memory goes back to the system after every step, and each
    page that comes again is first cleared: at `image-rows` that is a tenth of a step.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
