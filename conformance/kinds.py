"""Kinds of arguments of the Python interface: another one is an error in one line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.run.reading import shown


def names(what: str, given: object) -> tuple[str, ...]:
    """A list of names; a name alone is none."""
    if isinstance(given, str):
        raise PlanError(f"expected a list of {what}, like [{given!r}], got {given!r}")
    listed = tuple(given) if isinstance(given, Iterable) else (None,)
    if not all(isinstance(name, str) for name in listed):
        raise PlanError(f"{what}: expected a list of names, got {shown(given)}")
    return listed


def words(what: str, given: object) -> str:
    """A text."""
    if not isinstance(given, str):
        raise PlanError(f"{what}: expected a text, got {shown(given)}")
    return given


def whole(what: str, given: object, least: int) -> int:
    """A whole number from `least` on, NumPy's too."""
    if not is_whole(given) or given < least:
        raise PlanError(f"{what}: expected a whole number from {least} on, got {shown(given)}")
    return int(given)


def is_whole(given: object) -> TypeGuard[int]:
    """Whether it is a whole number, of Python or NumPy; a truth value is none."""
    return isinstance(given, int | np.integer) and not isinstance(given, bool)


def mapping(what: str, given: object, example: str) -> Mapping[str, Any]:
    """A dict with names, or nothing for None."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise PlanError(f"{what}: expected a dict, like {example}, got {shown(given)}")
    return given


def path(what: str, given: object) -> Path | None:
    """The path of a file, or None."""
    return None if given is None else file(what, given)


def file(what: str, given: object) -> Path:
    """The path of a file."""
    if not isinstance(given, str | os.PathLike):
        raise PlanError(f"{what}: expected a path, got {shown(given)}")
    return Path(given)
