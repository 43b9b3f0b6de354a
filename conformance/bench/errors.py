"""Errors of `rnnspec bench`."""

from __future__ import annotations


class BenchError(ValueError):
    """A request cannot be measured; the message says what was expected, what was given and how to mend it."""
