"""Errors of the specification: in itself, and in calls."""

from __future__ import annotations


class SpecError(ValueError):
    """The specification itself is malformed; the message names the file, the place and the reason."""


class CallError(ValueError):
    """A call breaks the specification; the message has the expected form, the given one and the remedy."""
