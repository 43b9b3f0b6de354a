"""The two ways to be wrong: a malformed specification, and a call that breaks it."""

from __future__ import annotations


class SpecError(ValueError):
    """The specification itself is malformed; the message names the file, the place and the reason."""


class CallError(ValueError):
    """A call breaks the specification; the message says what was expected, what came and how to mend it."""
