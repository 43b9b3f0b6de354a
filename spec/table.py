"""Reading of TOML tables: unknown keys, wrong types and missing keys are errors that name file and place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

from rnnspec.spec.errors import SpecError


def document(file: Traversable) -> dict[str, Any]:
    """Return the tables of a TOML file; raise SpecError if it is none."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{file.name}: not TOML: {error}") from error


@dataclass(frozen=True)
class TableReader:
    """Reader of one table; its errors name the file, the table and the place in it."""

    file: str
    name: str

    def fail(self, where: str, expected: str, got: Any) -> SpecError:
        """Return the error at a place of the table."""
        place = f"{self.file}: [{'.'.join(part for part in (self.name, where) if part)}]"
        return SpecError(f"{place}: expected {expected}, got {got!r}")

    def table(self, value: Any, where: str) -> dict[str, Any]:
        """Return a value that is a table; refuse others."""
        if not isinstance(value, dict):
            raise self.fail(where, "a table", value)
        return value

    def take(self, table: Any, where: str, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
        """Return the entries of a table, each of its type; refuse unknown ones."""
        for key, value in self.table(table, where).items():
            if key not in kinds:
                raise self.fail(where, f"only the keys {', '.join(kinds)}", key)
            if not isinstance(value, kinds[key]):
                raise self.fail(f"{where}.{key}".lstrip("."), f"a {_name(kinds[key])}", value)
        return dict(table)

    def need(self, entries: Mapping[str, Any], where: str, *keys: str) -> None:
        """Refuse a table without these keys."""
        for key in keys:
            if key not in entries:
                raise self.fail(where, f"the key {key}", list(entries))

    def words(self, items: Iterable[Any], where: str) -> tuple[str, ...]:
        """Return words; refuse entries that are not text."""
        words = tuple(items)
        for word in words:
            if not isinstance(word, str):
                raise self.fail(where, "only strings", word)
        return words

    def among(self, allowed: Iterable[str], value: str, where: str) -> str:
        """Return a word; refuse one that is not allowed."""
        known = tuple(allowed)
        if value not in known:
            raise self.fail(where, f"one of {', '.join(known)}", value)
        return value


def _name(kind: type | tuple[type, ...]) -> str:
    return " or ".join(k.__name__ for k in kind) if isinstance(kind, tuple) else kind.__name__
