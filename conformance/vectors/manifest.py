"""The manifest: the cases, and the arrays in their files. docs/vectors.md describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from rnnspec.backends.words import kind_of, words_of
from rnnspec.conformance.cases import Case
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.run.again import must_make_sense
from rnnspec.conformance.run.files import FileError, write_bytes
from rnnspec.conformance.run.reading import read_json, shown
from rnnspec.conformance.run.storage import STORAGES, STORED_AS, Storage
from rnnspec.spec import FLOAT_TYPES, CallError, SpecError

MANIFEST: Final = "manifest.json"
FORMAT: Final = "rnnspec vectors"
SCHEMA: Final = 1
"""Version of the form of manifest and files; no other is read."""


@dataclass(frozen=True)
class Entry:
    """One array of a case.

    `array` is its name in the file, and `bound` the name of the bound on its error. `dtype` and `shape` are those of
    the implementation's input or result.
    """

    name: str
    array: str
    dtype: str
    shape: tuple[int, ...]
    bound: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        named = {"name": self.name, "array": self.array, "dtype": self.dtype, "shape": list(self.shape)}
        return {**named, "bound": self.bound} if self.bound else named

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """Make it from plain data."""
        entry = cls(**{**data, "shape": tuple(data["shape"])})
        for name in ("name", "array", "dtype", "bound"):
            if not isinstance(getattr(entry, name), str):
                raise TypeError(f"{name}: expected a text, got {shown(data[name])}")
        if not all(type(size) is int and size >= 0 for size in entry.shape):
            raise ValueError(f"shape: expected numbers from 0 on, got {shown(data['shape'])}")
        return entry


@dataclass(frozen=True)
class Vector:
    """A case and the file with its arrays."""

    id: str
    file: str
    sha256: str
    case: Case
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    cotangents: tuple[Entry, ...]
    gradients: tuple[Entry, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        arrays = {name: [entry.to_json() for entry in getattr(self, name)] for name in _ARRAYS}
        return {"id": self.id, "file": self.file, "sha256": self.sha256, **self.case.to_json(), **arrays}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Vector:
        """Make it from plain data."""
        arrays = {name: tuple(map(Entry.from_json, data[name])) for name in _ARRAYS}
        for name in ("id", "file", "sha256"):
            if not isinstance(data[name], str):
                raise TypeError(f"{name}: expected a text, got {shown(data[name])}")
        file = PurePosixPath(data["file"])
        if file.is_absolute() or ".." in file.parts or "\0" in data["file"]:
            raise ValueError(f"file: expected one within the folder, got {shown(data['file'])}")
        case = Case.from_json(data)
        must_make_sense(case)
        return cls(data["id"], data["file"], data["sha256"], case, **arrays)


_ARRAYS: Final = ("inputs", "outputs", "cotangents", "gradients")


@dataclass(frozen=True)
class Manifest:
    """A corpus: the versions that made it, the storage of its arrays, and its cases."""

    versions: Mapping[str, str]
    storage: Storage
    vectors: tuple[Vector, ...]

    def write(self, folder: Path) -> None:
        """Write the manifest to a folder, one line for each case."""
        head = {
            "format": FORMAT,
            "schema": SCHEMA,
            "versions": dict(self.versions),
            "storage": self.storage,
            "types": _types(self.storage),
        }
        lines = ",\n".join(f"    {json.dumps(vector.to_json(), allow_nan=False)}" for vector in self.vectors)
        opened = json.dumps(head, indent=2, allow_nan=False).removesuffix("\n}")
        write_bytes(folder / MANIFEST, f'{opened},\n  "cases": [\n{lines}\n  ]\n}}\n'.encode())

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a folder's manifest; raise FileError unless it is one of this schema."""
        path = folder / MANIFEST
        if not path.is_file():
            raise FileError(f"{path}: there is no such file: expected a folder that 'rnnspec vectors export' wrote")
        data = read_json(path)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise FileError(f"{path}: expected a manifest of golden vectors, one with the format {FORMAT!r}")
        if data.get("schema") != SCHEMA:
            raise FileError(
                f"{path}: expected schema {SCHEMA}, got {data.get('schema')!r}: export the vectors anew, "
                "or check them with the rnnspec that wrote them"
            )
        if data.get("storage") not in STORAGES:
            raise FileError(f"{path}: expected a storage in {', '.join(STORAGES)}, got {shown(data.get('storage'))}")
        place = "versions"
        try:
            versions = {str(name): str(version) for name, version in data["versions"].items()}
            vectors = []
            for number, one in enumerate(data["cases"], 1):
                place = f"case {number}"
                vectors.append(Vector.from_json(one))
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, CallError, SpecError) as error:
            told = f"expected schema {SCHEMA}'s entries: {kind_of(error)}: {words_of(error)}"
            raise FileError(f"{path}: {place}: {told}; export the vectors anew") from error
        return cls(versions, data["storage"], tuple(vectors))


def _types(storage: Storage) -> dict[str, dict[str, Any]]:
    """Name of each type in files, and the constants of float types that judging needs."""
    types: dict[str, dict[str, Any]] = {}
    for name, stored_as in STORED_AS[storage].items():
        types[name] = {"stored_as": stored_as}
        if name in FLOAT_TYPES:
            form = format_of(name)
            numbers = ("unit_roundoff", "smallest_normal", "largest")
            types[name] |= {number: getattr(form, number) for number in numbers}
    return types
