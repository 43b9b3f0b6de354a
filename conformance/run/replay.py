"""Failures of earlier runs, which the next run tries first."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis.database import DirectoryBasedExampleDatabase
from platformdirs import user_cache_path


def usual_folder() -> Path | None:
    """Where failures are kept if nothing else is said: in the user's cache, as the platform has it.

    None for a user without a home.
    """
    try:
        folder = user_cache_path("rnnspec", appauthor=False)
    except RuntimeError:
        return None
    return folder / "failures" if folder.is_absolute() else None  # older versions of platformdirs return ~/.cache


def failures_of(folder: Path, backend: str, operation: str, dtype: str, check: str) -> DirectoryBasedExampleDatabase:
    """Hypothesis's database of the failing examples of one check of one operation in one type.

    They are choices, not cases: another version may draw other cases from them, which do as well to begin with. A
    folder that cannot be written to is none, and no error.
    """
    backend, *parts = (re.sub(r"\W+", "-", name) for name in (backend, operation, dtype, check))
    return DirectoryBasedExampleDatabase(folder / backend / "-".join(parts))


def has_failures(database: DirectoryBasedExampleDatabase) -> bool:
    """Whether any were kept there."""
    return Path(database.path).is_dir()
