"""Messages of guests, cut to a readable length, and without anything that a terminal would obey.

A guest is code or a file that the project did not write: an adapter, its library, its packages' entry points.
"""

from __future__ import annotations

import re
from typing import Final

from rnnspec.backends.interrupts import Interrupted

MOST_CHARACTERS: Final = 2000
MOST_LINES: Final = 20
MOST_OF_A_NAME: Final = 100

_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
"""Control characters but tab and line feed, what turns the direction of writing, and halves of characters."""


def words_of(error: BaseException) -> str:
    """Return the exception's message as it can be shown, or a note if making the message raises."""
    try:
        words = str(error)
    except Interrupted:
        raise
    except BaseException:
        return "(its message cannot be shown)"
    return readable(str.__str__(words))  # a class derived from str may do anything


def kind_of(value: object) -> str:
    """Return the name of a value's type as it can be shown, whatever the type does when it is asked for its name."""
    return name_of(_NAME_OF_TYPE(type(value)))


_NAME_OF_TYPE: Final = type.__dict__["__name__"].__get__


def readable(words: str) -> str:
    """Return a text cut to `MOST_CHARACTERS` in `MOST_LINES` lines, which says how much is left out."""
    shown = words[:MOST_CHARACTERS]
    lines = shown.splitlines()
    if len(lines) > MOST_LINES:
        shown = "\n".join(lines[:MOST_LINES])
    left_out = len(words) - len(shown)
    return visible(shown) + (f" … ({left_out:,} more characters)" if left_out > 1 else "")


def name_of(words: str) -> str:
    """Return a name in one line, cut to `MOST_OF_A_NAME`."""
    shown = " ".join(words[: MOST_OF_A_NAME + 1].split("\n"))
    return visible(shown if len(shown) <= MOST_OF_A_NAME else f"{shown[:MOST_OF_A_NAME]}…")


def visible(words: str) -> str:
    """Return the text with escapes, such as ``\\x1b``, for all that a terminal would obey and no one can read."""
    return _OBEYED.sub(_escape, words.replace("\r\n", "\n"))


def _escape(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
