"""Errors of `rnnspec bench`."""

from __future__ import annotations


class BenchError(ValueError):
    """A request cannot be measured; the message has the expected form, the given one and the remedy."""


class NoneConformsError(BenchError):
    """No backend conforms on any workload, and at least one violates the specification."""
