"""Find adapters: by the entry-point group ``rnnspec.backends``, or named as ``package.module:Class``.

Entry points are read without importing anything. A package's wrong entry costs that package alone.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, distributions, metadata
from itertools import islice
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

from rnnspec.backends.contract import Backend
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.refusals import must_be_narrow
from rnnspec.backends.words import kind_of, name_of, words_of
from rnnspec.spec import FLOAT_TYPES
from rnnspec.spec.errors import one_of

GROUP: Final = "rnnspec.backends"
OWN: Final = "rnnspec"
"""The package whose names no other can take."""
LIBRARIES: Final = "rnnspec.backends.libraries."
"""The modules of the project's adapters of other people's libraries, which may crash as any code does."""


class BackendError(Exception):
    """A backend that cannot be opened; the message says which, why and what to do."""


@dataclass
class Offered:
    """The backends of the installed packages, by name, each with the packages that have it and with their errors."""

    entries: dict[str, list[tuple[str, EntryPoint]]] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def add(self, package: Distribution) -> None:
        """Add the backends of a package."""
        title, is_own = name_of(f"{package.metadata['Name']} {package.version}"), _normal(package) == OWN
        try:
            found = [entry for entry in package.entry_points if entry.group == GROUP]
        except Exception as error:  # as many kinds as there are ways to write the file wrongly
            self.wrong.append(f"package {title} is left out: its entry points cannot be read: {words_of(error)}")
            return
        for entry in found:
            self.entries.setdefault(entry.name, []).append((title, entry))
            if is_own:
                self.own.add(entry.name)

    def notes(self) -> list[str]:
        """The entries that are left out, and why."""
        taken = [
            f"package {title} also offers a backend {name_of(name)!r}, which is rnnspec's own: it is left out"
            for name in sorted(self.own)
            for title, entry in self.entries[name]
            if not self._is_own(title, entry)
        ]
        return self.wrong + taken

    def entry(self, name: str) -> EntryPoint:
        """Return the entry point of this name; raise BackendError if there is none, or more than one."""
        found = self.entries.get(name, [])
        if name in self.own:
            found = [one for one in found if self._is_own(*one)]
        if not found:
            known = one_of(name, list(map(name_of, sorted(self.entries))))
            module, _, last = name.rpartition(".")
            like = f"did you mean {name_of(f'{module}:{last}')}? " if module and last[:1].isupper() else ""
            if last == "py":
                like = f"a file is named as its module, with the class: {name_of(Path(name).stem)}:Class. "
            raise BackendError(f"unknown backend {name_of(name)!r}: {like}{known}, or package.module:Class")
        if len(found) > 1:
            packages = " and ".join(title for title, _ in found)
            raise BackendError(
                f"backend {name_of(name)!r} is offered by {packages}: expected one of them; uninstall the other, or "
                f"name the class: {' or '.join(name_of(entry.value) for _, entry in found)}"
            )
        return found[0][1]

    @staticmethod
    def _is_own(title: str, entry: EntryPoint) -> bool:
        return title.split()[0] == OWN and entry.value.startswith(f"{OWN}.")


def offered() -> Offered:
    """Read what the installed packages offer."""
    found = Offered()
    seen: set[str] = set()
    for name, package in _offering():
        if name in seen:
            continue
        seen.add(name)
        with suppress(PackageNotFoundError):  # of a name that its folder has not
            package = distribution(name)  # the first on the path, which hides others as its modules do
        found.add(package)
    return found


def _offering() -> Iterator[tuple[str, Distribution]]:
    """Yield the packages whose entry points have the group, or cannot be read.

    Only these packages have their metadata parsed: that of hundreds takes longer than many a command.
    """
    for package in distributions():
        with suppress(Exception):  # `Offered.add` says so of the package
            if GROUP not in (package.read_text("entry_points.txt") or ""):
                continue
        with suppress(Exception):  # a folder that only looks like a package's
            yield _normal(package), package


def names() -> list[str]:
    """Names of the installed backends, in alphabetical order; nothing is imported."""
    return sorted(offered().entries)


def installs(extra: str) -> str:
    """Return the command that installs what an extra of rnnspec needs, wherever rnnspec itself was installed from.

    A backend without an extra of its own needs what the one needs with whose name its own begins: ``jax-jit`` needs
    what ``jax`` does.
    """
    return " ".join(["pip install", *(f"'{one.name}{one.specifier}'" for one in _needed(extra))])


def missing(extra: str) -> list[str]:
    """Return the names of the packages that an extra of rnnspec needs and that are not installed."""
    return [one.name for one in _needed(extra) if not _is_installed(one.name)]


def _needed(extra: str) -> list[Requirement]:
    """The requirements of an extra beside those that rnnspec has anyway."""
    while extra and not _is_extra(extra):
        extra = extra.rpartition("-")[0]
    return [one for one in _of_extras() if one.marker and one.marker.evaluate({"extra": extra})]


def _is_extra(name: str) -> bool:
    return name in (metadata(OWN).get_all("Provides-Extra") or ())


@cache
def _of_extras() -> tuple[Requirement, ...]:
    """The requirements of all extras, read once for all backends."""
    every = map(Requirement, metadata(OWN).get_all("Requires-Dist") or ())
    return tuple(one for one in every if one.marker and not one.marker.evaluate({"extra": ""}))


def _is_installed(package: str) -> bool:
    try:
        metadata(package)
    except PackageNotFoundError:
        return False
    return True


def is_own(name: str) -> bool:
    """Return whether the project itself has the backend of this name; a library's code is not its own."""
    if ":" in name:
        return False
    found = offered()
    return name in found.own and not found.entry(name).value.startswith(LIBRARIES)


def open_backend(name: str, device: str = "cpu") -> Backend:
    """Open a backend by its entry point's name or as ``package.module:Class``."""
    backend = open_class(_load(name), device, name)
    backend.opened_as = name
    return backend


def open_class(adapter: object, device: str = "cpu", name: str = "") -> Backend:
    """Open an adapter's class on a device; `name` is the one to tell of it by, by default its own."""
    name = name or getattr(adapter, "__qualname__", repr(adapter))
    backend_class = _must_be_adapter(adapter, name_of(name))
    try:
        backend = backend_class(device)
        _must_have_types(backend, name_of(name))
        _must_have_libraries(backend, name)
    except ValueError as error:  # a device it has not: the message says which it has
        words = words_of(error)
        title = "" if words.startswith("backend ") else f"backend {name_of(name)!r}: "
        raise BackendError(title + words) from error
    except Interrupted:
        raise
    except BaseException as error:  # no driver, no licence, whatever it is that it needs
        raise BackendError(f"backend {name_of(name)!r} does not open: {kind_of(error)}: {words_of(error)}") from error
    return backend


def _normal(package: Distribution) -> str:
    return str(package.metadata["Name"]).lower().replace("_", "-")


def _load(name: str) -> object:
    shown = name_of(name)
    if ":" in name:
        module, _, attribute = name.partition(":")
        entry = EntryPoint(name, name, GROUP)
        if str(Path.cwd()) not in sys.path:  # an adapter that is being written lies in the current folder
            sys.path.append(str(Path.cwd()))
        if not all(part.isidentifier() for part in (*module.split("."), attribute)):
            raise BackendError(f"backend {shown!r}: expected package.module:Class")
    else:
        entry = offered().entry(name)
    importlib.invalidate_caches()
    try:
        loaded: object = entry.load()
    except Interrupted:
        raise
    except BaseException as error:  # an adapter's import may fail in any way at all
        hint = (isinstance(error, ImportError) and _install_hint(name)) or _hint(entry, error)
        raise BackendError(f"backend {shown!r} fails to import: {kind_of(error)}: {words_of(error)}{hint}") from error
    return loaded


def _hint(entry: EntryPoint, error: BaseException) -> str:
    """Say how to mend a module or a class that there is not; nothing of other errors of an import."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{entry.module}.".startswith(f"{error.name}."):
        return "; expected the name of a module that is installed or lies in the current folder"
    module = sys.modules.get(entry.module)
    if isinstance(error, AttributeError) and module is not None and not hasattr(module, entry.attr):
        classes = [name for name, found in vars(module).items() if _is_adapter_of(entry.module, found)]
        return f"; {one_of(entry.attr, list(map(name_of, classes)))}" if classes else ""
    return ""


def _is_adapter_of(module: str, found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Backend) and found.__module__ == module


def must_have_a_name(adapter: object, shown: str) -> None:
    """Raise BackendError unless an adapter, or its class, has a name that can stand in a line."""
    name = getattr(adapter, "name", None)
    if not (isinstance(name, str) and name and name.isprintable()):
        what = "" if name is None else f", got {name_of(repr(name))}"
        title = (adapter if isinstance(adapter, type) else type(adapter)).__name__
        raise BackendError(f"backend {shown!r}: expected {title} to have a name, like name = 'mine'{what}")


def _must_have_types(backend: Backend, shown: str) -> None:
    """Raise ValueError unless `Backend.dtypes` returns names of types that there are."""
    types: Any = backend.dtypes()
    few = list(islice(types, len(FLOAT_TYPES)))  # whoever asks for all of them sees that there is an end
    if isinstance(types, str) or not all(isinstance(one, str) and one in FLOAT_TYPES for one in few):
        listed = ", ".join(map(repr, FLOAT_TYPES))
        raise ValueError(f"backend {shown!r}: dtypes: expected a tuple of some of {listed}, got {name_of(repr(types))}")


def _must_have_libraries(backend: Backend, name: str) -> None:
    """Raise ValueError if a package that a backend names is not installed, though its module could be imported."""
    try:
        backend.versions()
    except PackageNotFoundError as error:
        raise ValueError(
            f"backend {name_of(name)!r}: package {name_of(error.name)} is not installed{_install_hint(name)}"
        ) from error


def _install_hint(name: str) -> str:
    """Say what to install for one of rnnspec's own backends, where something is missing; nothing of others."""
    ours = name in offered().own and missing(name)
    return f"; {installs(name)} installs what it needs" if ours else ""


def _must_be_adapter(loaded: object, shown: str) -> type[Backend]:
    if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
        what = "another class" if isinstance(loaded, type) else f"an object of type {kind_of(loaded)}"
        raise BackendError(f"backend {shown!r}: expected a subclass of rnnspec.backends.Backend, got {what}")
    must_have_a_name(loaded, shown)
    try:
        must_be_narrow(loaded.refuses_with)
    except ValueError as error:
        raise BackendError(f"backend {shown!r}: refuses_with: {words_of(error)}") from error
    return loaded
