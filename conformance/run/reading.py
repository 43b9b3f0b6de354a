"""Files of others are read with a bound on their size, and whatever is wrong with one ends in one line."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Final

from rnnspec.backends.words import name_of, words_of
from rnnspec.conformance.run.files import FileError

MOST_BYTES: Final = 2**28
"""Bytes of a file of text; no run writes as many."""


def read_text(path: Path) -> str:
    """Return a file's text in UTF-8; raise FileError if it is none, or too long."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise FileError(f"{path}: expected at most {MOST_BYTES / 2**20:.0f} MiB of text")
        return content.decode("utf-8-sig")  # some editors mark the encoding
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: expected text in UTF-8, got other bytes at byte {error.start}") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_json(path: Path, wanted: str = "expected JSON") -> Any:
    """Return the data of a file of JSON; raise FileError, which says what is `wanted`, if it is none."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for a number of too many digits
        raise FileError(f"{path}: {wanted}, got no JSON: {_why(error)}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a file of TOML; raise FileError if it is none."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError, OverflowError) as error:
        raise FileError(f"{path}: expected TOML: {_why(error)}") from error


def shown(value: Any) -> str:
    """Return a value of a file as a message shows it."""
    try:
        return name_of(repr(value))
    except (RecursionError, ValueError):
        return f"a {type(value).__name__}"


def _why(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else words_of(error)
