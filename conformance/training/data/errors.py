"""Errors of data files."""

from __future__ import annotations


class DataError(ValueError):
    """A data file that is damaged, or data that is not there; the message names the file, the fault and the remedy."""
