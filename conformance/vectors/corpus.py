"""Cases of the corpus, and the files that they are written to."""

from __future__ import annotations

import hashlib
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np

from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.judge.tolerance import Bounded, Expected
from rnnspec.conformance.run.files import FileError, written_as
from rnnspec.conformance.run.storage import Storage, write_stored
from rnnspec.conformance.vectors.manifest import MANIFEST, Entry, Vector
from rnnspec.spec import CallError, check_attributes, operation
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.operation import WHOLE

DRAWS: Final = 20_000
"""Most draws for a case that is wanted; a draw takes no time."""

_SIZES: Final = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
"""Sizes of plain cases, all different."""

PART: Final = 50
"""The largest number that an attribute is tried with, over one that changes something, as a bound of clipping."""

ATTEMPTS: Final = 20
"""Most cases that are drawn for each wanted one, until its results fit the type."""


@dataclass(frozen=True)
class Wanted:
    """The cases that a corpus is to have: perhaps plain ones alone, or none that are padded.

    `attributes` has the values that attributes of an operation are set to, by its name.
    """

    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    padding: bool = True
    plain: bool = False

    def admits(self, case: Case) -> bool:
        """Return whether the corpus may have the case."""
        wanted = self.attributes.get(case.operation, {})
        return (self.padding or case.steps == "all") and all(case.attributes[key] == one for key, one in wanted.items())

    def numbers_in(self, case: Case) -> Case:
        """Return the case with the wanted numbers, which hardly a draw has; as it is where they do not go with it."""
        op, wanted = operation(case.operation), self.attributes.get(case.operation, {})
        kinds = op.attributes
        numbers = {key: one for key, one in wanted.items() if kinds[key].domain and not kinds[key].size}
        with suppress(CallError):
            return replace(case, attributes=check_attributes(op, {**case.attributes, **numbers})) if numbers else case
        return case


def corpus(name: str, dtype: str, count: int, wanted: Wanted | None = None) -> Iterator[tuple[Case, Expected]]:
    """Yield the first `count` cases of an operation in a type, with their expected results.

    The plain ones come first: default attributes, ordinary numbers and no padding; then optional inputs, then lengths;
    then each attribute by itself. The others are drawn. The cases depend only on the operation, the type and what is
    wanted, so that fewer cases are the first of more.

    Raises
    ------
    FileError
        If no case in `ATTEMPTS` has results that the type can hold, or none in `DRAWS` is wanted.
    """
    wanted = wanted or Wanted()
    seed = zlib.crc32(f"{name} {dtype}".encode())
    choices, scope = RandomChoices(np.random.default_rng(seed)), Scope(name, dtype)
    plain = [case for case in plain_cases(name, dtype, seed % 2**16, wanted) if wanted.admits(case)]
    if not wanted.plain:
        plain += [case for case in others(plain[0], wanted, most=1) if wanted.admits(case)] if plain else []
    else:
        plain = [again(plain[number % len(plain)], number // len(plain)) for number in range(count + ATTEMPTS)]
    for number in range(count):
        for _ in range(ATTEMPTS):
            case = plain[number] if number < len(plain) else _drawn(choices, scope, wanted)
            try:
                expected = expected_of(case, gradients=True)
            except OutOfRangeError:
                plain[number : number + 1] = []
                continue
            yield case, expected
            break
        else:
            raise FileError(f"{name} {dtype}: no case in {ATTEMPTS} has results that the type can hold")


def again(case: Case, time: int) -> Case:
    """A plain case for another time: with other numbers, and each second time with other sizes."""
    sizes = {symbol: size + time // 2 for symbol, size in case.sizes.items()}
    return replace(case, sizes=sizes, seed=case.seed + time)


def _drawn(choices: RandomChoices, scope: Scope, wanted: Wanted) -> Case:
    for _ in range(DRAWS):
        case = wanted.numbers_in(draw_case(choices, scope))
        if wanted.admits(case):
            return case
    set_to = ", ".join(f"{key}={value}" for key, value in wanted.attributes.get(scope.operation, {}).items())
    raise FileError(f"{scope.operation}: none of {DRAWS:,} drawn cases has {set_to or 'no padding'}: ask for less")


def plain_cases(name: str, dtype: str, seed: int, wanted: Wanted) -> list[Case]:
    """Return an operation's plain cases: as few inputs as it takes, then all of them, then several lengths."""
    op = operation(name)
    sizes = dict(zip((one for one in op.sizes if one not in ("G", "n")), _SIZES, strict=False))
    attributes = check_attributes(op, wanted.attributes.get(name, {}))
    whole = Case(name, dtype, sizes, attributes, seed=seed)
    whole = whole.with_at_least(**whole.spec.at_least)
    optional = tuple(key for key, item in whole.items.items() if item.optional and item.kind == "float")
    least = replace(whole, absent=optional)
    padded = [replace(whole, steps="lengths")] if "lengths" in whole.items else []
    return [least, *([whole] if optional else []), *padded]


def others(case: Case, wanted: Wanted, most: int | None = None) -> Iterator[Case]:
    """Yield the case with another value for one of its attributes, in turn: with all, or with `most` of each."""
    op = operation(case.operation)
    for name, attribute in op.attributes_for(case.attributes).items():
        values: list[Any] = [value for value in attribute.values if value != attribute.default]
        if attribute.is_tuple:
            values = [(value,) * len(attribute.functions) for value in values]
        if attribute.range and not attribute.size:
            low, high = attribute.ends(case.sizes)
            values.append(max(low, 1) if attribute.domain in WHOLE else high / PART)
        for value in values[:most]:
            if name not in wanted.attributes.get(case.operation, {}):
                with suppress(CallError):  # it does not go with the others
                    other = replace(case, attributes=check_attributes(op, {**case.attributes, name: value}))
                    if other != case:
                        yield other


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
    try:
        with written_as(folder):
            temporary.mkdir(parents=True)
            yield temporary
            folder.mkdir(exist_ok=True)
            for child in sorted(temporary.iterdir(), key=lambda child: child.name == MANIFEST):
                child.rename(folder / child.name)
    except FileError as error:  # of a file in it
        raise FileError(str(error).replace(str(temporary), str(folder))) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
