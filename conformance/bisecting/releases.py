"""The releases of a library that a user names: a list, or a range of those that pip finds."""

from __future__ import annotations

import re
import sys
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from rnnspec.conformance.bisecting.environments import run_quietly
from rnnspec.conformance.run.plan import PlanError

_RANGE: Final = "<>=!~"
"""The first characters of a range, as of ``>=0.10,<0.13``."""


def releases(library: str, text: str) -> list[str]:
    """Return the releases in order; a range leaves out releases before the final one.

    Raises
    ------
    PlanError
        If the text is neither a list of versions nor a range, or there are fewer than two releases.
    """
    text = text.strip()
    if text[:1] in _RANGE and text:
        found = [one for one in _offered(library) if _specifier(text).contains(one, prereleases=False)]
        where = f" of {library} in {text}"
    else:
        found = [_version(one.strip()) for one in text.split(",") if one.strip()]
        where = ""
    ordered = [str(one) for one in sorted(set(found))]
    if len(ordered) < 2:
        raise PlanError(f"--versions: expected at least two releases{where}, got {', '.join(ordered) or 'none'}")
    return ordered


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise PlanError(
            f"--versions: expected versions as 0.12.1,0.12.2 or a range as '>=0.10', got {text!r}"
        ) from error


def _specifier(text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier as error:
        raise PlanError(f"--versions: expected a range as '>=0.10,<0.13', got {text!r}") from error


def _offered(library: str) -> list[Version]:
    """The releases that pip finds."""
    done = run_quietly([sys.executable, "-m", "pip", "index", "versions", library])
    listed = re.search(r"^Available versions: (.+)$", done.stdout, re.MULTILINE)
    if done.returncode or listed is None:
        raise PlanError(
            f"--versions: pip finds no releases of {library} ({done.why}); give them as a list, 0.12.1,0.12.2"
        )
    return [_version(one.strip()) for one in listed[1].split(",")]
