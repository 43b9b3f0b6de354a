"""Expected failures: the known faults of a backend, as data.

A TOML file beside the adapter (`Backend.expected_failures`) or given by the user has an entry for each known fault::

    [[failure]]
    operation = "lstm"                      # or a list
    check = ["values", "gradients"]         # or one, or "any"
    when = { direction = "reverse", dtype = ["float16", "bfloat16"], T = 1 }
    versions = { tensorflow = ">=2.20,<2.22" }
    reason = "What is wrong, in a sentence."
    link = "https://…"

``when`` may be left out. It names attributes, sizes and properties of a case, each with one value or a list; ``other``
stands for every value of an attribute but its default. The properties are ``dtype``, ``regime`` (of the values),
``steps`` (how the padding is given), ``empty`` (whether some sequence has no valid step), ``padded`` (whether there is
padding) and ``own`` (whether the library's own implementation takes the call, `Backend.refusal`). An example that
violates the check where an entry speaks of it is counted as an expected failure, and the search goes on: an entry hides
nothing but what it describes. An entry that nothing was seen to violate no longer fails, and is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from rnnspec.backends import Backend
from rnnspec.backends.words import name_of, visible, words_of
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.checks.check import cases_of
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.reading import read_toml, shown
from rnnspec.spec import Operation, operation, operations
from rnnspec.spec.errors import one_of

_NAMES = ("operation", "check", "when", "versions", "reason", "link")
_CHECKS = tuple(check.id for check in CHECKS)
OTHER = "other"
"""In `when`, every value of an attribute but its default."""
_OF_CASES = ("dtype", "regime", "steps", "empty", "padded", "own")


@dataclass(frozen=True, eq=False)
class ExpectedFailure:
    """One known fault of a backend."""

    operations: tuple[str, ...]
    checks: tuple[str, ...]
    reason: str
    link: str
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    versions: Mapping[str, SpecifierSet] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The entry in one line."""
        where = "".join(f", {key} = {' or '.join(map(str, values))}" for key, values in self.when.items())
        checks = "any check" if self.checks == _CHECKS else ", ".join(self.checks)
        return f"{', '.join(self.operations)}: {checks}{where}"

    def concerns(self, case: Case, check: str, backend: Backend) -> bool:
        """Whether the entry speaks of this case under this check of this backend."""
        if case.operation not in self.operations or check not in self.checks:
            return False
        known = {
            **case.attributes, **case.sizes, "dtype": case.dtype, "regime": case.regime, "steps": case.steps
        }  # fmt: skip
        if self.when.keys() & {"empty", "padded"}:
            known["empty"] = case.spec.has_steps and not case.valid.any(1).all()
            known["padded"] = case.spec.has_steps and not case.valid.all()
        if "own" in self.when:
            known["own"] = backend.refusal(case.call) is None
        usual = operation(case.operation).defaults()
        return all(
            key in known and (known[key] in values or (OTHER in values and known[key] != usual.get(key)))
            for key, values in self.when.items()
        )

    def holds_for(self, versions: Mapping[str, str]) -> bool:
        """Whether the entry is about the library in these versions."""
        return all(
            name in versions and specifier.contains(Version(versions[name].split("+")[0]), prereleases=True)
            for name, specifier in self.versions.items()
        )


def load_expected(path: Path, versions: Mapping[str, str]) -> tuple[ExpectedFailure, ...]:
    """Read the entries of a file that are about these versions; raise FileError for what is none."""
    data = read_toml(path)
    if set(data) - {"failure"} or not isinstance(data.get("failure", []), list):
        raise FileError(f"{path}: expected [[failure]] entries only, got {name_of(', '.join(data))}")
    entries = [_entry(f"{path}: failure {number}", entry) for number, entry in enumerate(data.get("failure", []), 1)]
    try:
        return tuple(entry for entry in entries if entry.holds_for(versions))
    except InvalidVersion as error:
        raise FileError(
            f"{path}: versions: expected versions of the libraries, like 2.20: {words_of(error)}"
        ) from error


def expected_failures(backend: Backend, own_file: str | Path | None = None) -> tuple[ExpectedFailure, ...]:
    """The known faults of a backend in the installed versions: its own file's entries, and the user's."""
    of_backend = backend.expected_failures()
    if of_backend and not Path(of_backend).is_file():  # what the adapter names may be a pipe, which never ends
        told = "expected the backend's file of expected failures, and this is no file"
        raise FileError(f"{visible(str(of_backend))}: {told}")
    paths = [Path(path) for path in (of_backend, own_file) if path]
    return tuple(entry for path in paths for entry in load_expected(path, backend.versions()))


def concerning(
    entries: Iterable[ExpectedFailure], example: Any, check: str, backend: Backend
) -> ExpectedFailure | None:
    """The first entry that speaks of what a check was given: a case, or a case and more; None if no entry does."""
    cases = cases_of(example)
    return next((entry for entry in entries if any(entry.concerns(case, check, backend) for case in cases)), None)


def not_seen(entries: Iterable[ExpectedFailure], seen: Iterable[str], ran: Iterable[tuple[str, str, str]]) -> list[str]:
    """Titles of the entries that nothing was seen to violate, though some of what they speak of ran.

    Parameters
    ----------
    entries
        All that were expected.
    seen
        Titles of those that something violated.
    ran
        Operation, check and type of all that ran.
    """
    found, done = set(seen), set(ran)
    return [
        entry.title
        for entry in entries
        if entry.title not in found
        and any(
            operation in entry.operations and check in entry.checks and dtype in entry.when.get("dtype", (dtype,))
            for operation, check, dtype in done
        )
    ]


def _entry(where: str, entry: Any) -> ExpectedFailure:
    if not isinstance(entry, dict) or set(entry) - set(_NAMES):
        raise FileError(f"{where}: expected a table of {', '.join(_NAMES)}, got {shown(entry)}")
    for name in ("operation", "check", "reason", "link"):
        if not entry.get(name):
            raise FileError(f"{where}: {name} is missing")
    for name in ("reason", "link"):
        if not isinstance(entry[name], str):
            raise FileError(f"{where}: {name}: expected a text, got {shown(entry[name])}")
    for name in ("when", "versions"):
        if not isinstance(entry.get(name, {}), dict):
            raise FileError(f"{where}: {name}: expected a table, got {shown(entry[name])}")
    names = _names(where, "operation", entry["operation"], tuple(operations()))
    checks = _CHECKS if entry["check"] == "any" else _names(where, "check", entry["check"], _CHECKS)
    when = {key: tuple(value) if isinstance(value, list) else (value,) for key, value in entry.get("when", {}).items()}
    for key, values in when.items():
        if not values or any(isinstance(value, dict | list) for value in values):
            raise FileError(f"{where}: when: {name_of(key)}: expected a value or a list, got {shown(values)}")
        for op in map(operation, names):
            if key not in _known(op):
                raise FileError(f"{where}: when: expected {', '.join(_known(op))} for {op.name}, got {name_of(key)}")
    for name, text in entry.get("versions", {}).items():
        if not isinstance(text, str):
            raise FileError(f"{where}: versions: {name_of(name)}: expected a text like '>=2.20', got {shown(text)}")
    try:
        versions = {name: SpecifierSet(text) for name, text in entry.get("versions", {}).items()}
    except InvalidSpecifier as error:
        raise FileError(f"{where}: versions: expected something like '>=2.20,<2.22': {words_of(error)}") from error
    return ExpectedFailure(names, checks, entry["reason"], entry["link"], when, versions)


def _known(op: Operation) -> tuple[str, ...]:
    return (*op.attributes, *op.sizes, *_OF_CASES)


def _names(where: str, key: str, given: str | Sequence[str], known: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(given, str | list):
        raise FileError(f"{where}: {key}: expected a name or a list of names, got {shown(given)}")
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise FileError(f"{where}: {key}: {one_of(str(name), known)}, got {shown(name)}")
    return names
