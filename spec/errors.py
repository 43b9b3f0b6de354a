"""Errors of the specification: in itself, and in calls."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final


class SpecError(ValueError):
    """The specification itself is malformed; the message names the file, the place and the reason."""


class CallError(ValueError):
    """A call breaks the specification; the message has the expected form, the given one and the remedy."""


_MOST: Final = 200
"""Characters of a value that a message shows."""


def shown(value: object) -> str:
    """Return a value as a message shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}… ({len(text) - _MOST:,} more characters)"


def one_of(name: str, known: Collection[str]) -> str:
    """Return what was expected in place of a name that there is not: the name that is like it, and all there are."""
    small = {one.lower(): one for one in known}
    like = [small[one] for one in get_close_matches(name[:_MOST].lower(), small, 1)]
    expected = f"expected one of {', '.join(known)}" if known else "expected none"
    return f"did you mean {like[0]}? {expected}" if like else expected
