"""What cannot be measured."""

from __future__ import annotations


class BenchError(ValueError):
    """What was asked for cannot be measured; the message says what was expected, what came and how to mend it."""
