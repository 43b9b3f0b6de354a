"""Find adapters: by the entry-point group ``rnnspec.backends``, or named as ``package.module:Class``."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points, metadata
from pathlib import Path

from rnnspec.backends.contract import Backend
from rnnspec.backends.refusals import must_be_narrow

GROUP = "rnnspec.backends"


class BackendError(Exception):
    """A backend that cannot be opened; the message says which, why and what to do."""


@dataclass(frozen=True)
class Available:
    """One line of the list of backends: whether it opens here, and if not, why."""

    name: str
    available: bool
    reason: str
    operations: tuple[str, ...]
    by_default: bool = False


def names() -> list[str]:
    """Names of the installed backends, in alphabetical order; nothing is imported."""
    return sorted(_entry_points())


def open_backend(name: str, device: str = "cpu") -> Backend:
    """Open a backend by its entry point's name or as ``package.module:Class``."""
    backend_class = _load(name)
    try:
        backend = backend_class(device)
    except ValueError as error:  # a device it has not: the message says which it has
        raise BackendError(str(error)) from error
    except Exception as error:  # no driver, no licence, whatever it is that it needs
        raise BackendError(f"backend {name!r} does not open: {type(error).__name__}: {error}") from error
    backend.opened_as = name
    return backend


def available() -> list[Available]:
    """Try every installed backend."""
    found = []
    for name in names():
        try:
            backend = open_backend(name)
        except BackendError as error:
            found.append(Available(name, False, str(error), ()))
        else:
            found.append(Available(name, True, "", backend.operations(), backend.by_default))
    return found


def _entry_points() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _load(name: str) -> type[Backend]:
    if ":" in name:
        module, _, attribute = name.partition(":")
        entry = EntryPoint(name, name, GROUP)
        if str(Path.cwd()) not in sys.path:  # an adapter that is being written lies in the current folder
            sys.path.append(str(Path.cwd()))
        if not (module and attribute.isidentifier()):
            raise BackendError(f"backend {name!r}: expected package.module:Class")
    else:
        known = _entry_points()
        if name not in known:
            raise BackendError(
                f"unknown backend {name!r}: expected {', '.join(sorted(known)) or 'an installed backend'}, "
                "or package.module:Class"
            )
        entry = known[name]
    importlib.invalidate_caches()
    try:
        loaded = entry.load()
    except Exception as error:  # an adapter's import may fail in any way at all
        ours = isinstance(error, ImportError) and name in (metadata("rnnspec").get_all("Provides-Extra") or ())
        hint = f"; pip install 'rnnspec[{name}]' installs what it needs" if ours else ""
        raise BackendError(f"backend {name!r} fails to import: {type(error).__name__}: {error}{hint}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
        raise BackendError(f"backend {name!r}: expected a subclass of rnnspec.backends.Backend, got {loaded!r}")
    if not isinstance(getattr(loaded, "name", None), str):
        raise BackendError(f"backend {name!r}: expected {loaded.__name__} to have a name, like name = 'mine'")
    try:
        must_be_narrow(loaded.refuses_with)
    except ValueError as error:
        raise BackendError(f"backend {name!r}: refuses_with: {error}") from error
    return loaded
