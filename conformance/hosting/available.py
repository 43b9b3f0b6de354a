"""The installed backends, each tried in a process of its own: whatever one does there, the list of them all is made."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from rnnspec.backends import BackendError
from rnnspec.backends.discovery import Offered, installs, missing, offered
from rnnspec.conformance.hosting.isolated import tried

SECONDS: Final = 20.0
"""Time limit of each, if nothing else is said."""
_AT_ONCE: Final = 4


@dataclass(frozen=True)
class Available:
    """One line of the list of backends: whether it opens here, and if not, why."""

    name: str
    available: bool
    reason: str
    operations: tuple[str, ...]
    by_default: bool = False


def available(seconds: float = SECONDS, found: Offered | None = None) -> list[Available]:
    """Try every installed backend for so many seconds; those of one module share a process, and so its imports.

    Those of rnnspec's own whose library is not installed are not tried.
    """
    found = found or offered()
    lacking = [_lacking(name, absent) for name in found.own if (absent := missing(name))]
    known = {one.name for one in lacking}
    by_module = sorted((_module(found, name), name) for name in found.entries if name not in known)
    groups = [[name for _, name in group] for _, group in groupby(by_module, lambda one: one[0])]
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        tries = pool.map(lambda group: _tried(group, seconds), groups)
        return sorted((*lacking, *(one for group in tries for one in group)), key=lambda one: one.name)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for the processes: they end with us


def _lacking(name: str, absent: Sequence[str]) -> Available:
    """One of rnnspec's own whose library is not installed, which needs no trial."""
    reason = f"{', '.join(absent)} not installed; {installs(name)} installs what it needs"
    return Available(name, False, reason, ())


def _module(found: Offered, name: str) -> str:
    """The key by which backends share a process: the module of each; one that is not to be opened is alone."""
    try:
        return found.entry(name).value.partition(":")[0]
    except BackendError:
        return f"{name}:"


def _tried(names: Sequence[str], seconds: float) -> list[Available]:
    return [
        Available(name, False, str(came), ())
        if isinstance(came, BackendError)
        else Available(name, True, "", came.operations, came.by_default)
        for name, came in zip(names, tried(names, seconds=seconds), strict=True)
    ]
