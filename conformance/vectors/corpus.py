"""Cases of the corpus, and the files that they are written to."""

from __future__ import annotations

import hashlib
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np

from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.judge.tolerance import Bounded, Expected
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.storage import Storage, write_stored
from rnnspec.conformance.vectors.manifest import MANIFEST, Entry, Vector
from rnnspec.spec.arrays import Array, NamedArrays

ATTEMPTS: Final = 20
"""Most cases that are drawn for each wanted one, until its results fit the type."""


def corpus(operation: str, dtype: str, count: int) -> Iterator[tuple[Case, Expected]]:
    """Yield the first `count` cases of an operation in a type, with their expected results.

    The cases depend only on the operation and the type, so that fewer cases are the first of more.

    Raises
    ------
    FileError
        If no case in `ATTEMPTS` has results that the type can hold.
    """
    seed = zlib.crc32(f"{operation} {dtype}".encode())
    choices, scope = RandomChoices(np.random.default_rng(seed)), Scope(operation, dtype)
    for _ in range(count):
        for _ in range(ATTEMPTS):
            case = draw_case(choices, scope)
            try:
                expected = expected_of(case, gradients=True)
            except OutOfRangeError:
                continue
            yield case, expected
            break
        else:
            raise FileError(f"{operation} {dtype}: no case in {ATTEMPTS} has results that the type can hold")


def write_vector(folder: Path, storage: Storage, number: int, case: Case, expected: Expected) -> Vector:
    """Write the file of one case; return its line of the manifest."""
    arrays: NamedArrays = {}

    def given(role: str, named: Mapping[str, Array]) -> tuple[Entry, ...]:
        arrays.update({f"{role}.{name}": array for name, array in named.items()})
        return tuple(Entry(name, f"{role}.{name}", array.dtype.name, array.shape) for name, array in named.items())

    def due(role: str, named: Mapping[str, Bounded], ids: frozenset[str] = frozenset()) -> tuple[Entry, ...]:
        entries = []
        for name, bounded in named.items():
            key, bound = f"{role}.{name}", f"bound.{role}.{name}"
            arrays[key] = bounded.value.astype(np.int64 if name in ids else np.float64)
            arrays[bound] = bounded.bound.astype(np.float64)
            dtype = "int64" if name in ids else Asked(case, case.call).float_type.name
            entries.append(Entry(name, key, dtype, bounded.value.shape, bound))
        return tuple(entries)

    floats = [name for name, output in case.results.items() if output.kind == "float"]
    cotangents = dict(zip(floats, case.cotangents, strict=True)) if expected.gradients else {}
    inputs = given("input", case.call.inputs)
    outputs = due("output", expected.outputs, frozenset(case.results) - frozenset(floats))
    seeds = given("cotangent", cotangents)
    gradients = due("gradient", expected.gradients)
    identity = f"{case.operation}/{case.dtype}/{number:03}"
    path = folder / f"{identity}.{storage}"
    write_stored(path, arrays)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Vector(identity, f"{identity}.{storage}", digest, case, inputs, outputs, seeds, gradients)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `folder` on success, its manifest last, and is deleted on failure.

    Raises
    ------
    FileError
        If `folder` is a file, or a folder that is not empty.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder}: expected a folder, got a file")
    if folder.is_dir() and any(folder.iterdir()):
        raise FileError(f"{folder}: expected a new or an empty folder: name another, or delete its contents")
    # Within a folder that is there: nothing beside it need be writable, and it may be a file system of its own.
    temporary = folder / f".{uuid4().hex}" if folder.is_dir() else folder.with_name(f".{folder.name}.{uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        folder.mkdir(exist_ok=True)
        for child in sorted(temporary.iterdir(), key=lambda child: child.name == MANIFEST):
            child.rename(folder / child.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
