"""Named arrays in files that other languages read: ``.npz``, ``.safetensors`` or ``.json``, uncompressed."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args
from zipfile import ZipFile, ZipInfo, is_zipfile

import ml_dtypes
import numpy as np

from rnnspec.backends.discovery import installs
from rnnspec.backends.words import kind_of, name_of, words_of
from rnnspec.conformance.run.files import FileError, write_arrays, write_bytes
from rnnspec.spec import FLOAT_TYPES
from rnnspec.spec.arrays import Array, NamedArrays

Storage = Literal["npz", "safetensors", "json"]

MOST_BYTES: Final = 2**32
"""Bytes of the arrays of a file."""
_TOO_MUCH: Final = f"expected at most {MOST_BYTES / 2**30:.0f} GiB in a file"

STORAGES: Final[tuple[Storage, ...]] = get_args(Storage)

STORED_AS: Final[Mapping[Storage, Mapping[str, str]]] = {
    "npz": {
        "float16": "float16",
        "bfloat16": "uint16",  # its bits: NumPy's files have no name for it
        "float32": "float32",
        "float64": "float64",
        "int64": "int64",
        "bool": "bool",
    },
    "safetensors": {
        "float16": "F16",
        "bfloat16": "BF16",
        "float32": "F32",
        "float64": "F64",
        "int64": "I64",
        "bool": "BOOL",
    },
    "json": {name: name for name in (*FLOAT_TYPES, "int64", "bool")},
}
"""The names in files of the types that vectors have."""

_BFLOAT16: Final = np.dtype(ml_dtypes.bfloat16)
_OTHER_SAFE_TYPES: Final = {
    f"{letter}{bits}": f"{kind}{bits}" for letter, kind in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)
}
"""The types that no vector has, and wrong results may."""

_SAFE_TYPES: Final = {
    stored: np.dtype(getattr(ml_dtypes, dtype, dtype))
    for stored, dtype in (*_OTHER_SAFE_TYPES.items(), *((b, a) for a, b in STORED_AS["safetensors"].items()))
}


def write_stored(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays, in C order, in the format that the path ends in."""
    ordered = {name: np.array(array, order="C") for name, array in arrays.items()}
    if path.suffix == ".npz":
        write_arrays(path, {name: a.view(np.uint16) if a.dtype == _BFLOAT16 else a for name, a in ordered.items()})
        return
    if path.suffix == ".json":
        write_bytes(path, _as_json(ordered))
        return
    _safetensors()
    from safetensors.numpy import save

    write_bytes(path, save(ordered))


def must_have_an_end(path: Path) -> None:
    """Raise FileError where a path is no file, as a device is none, or one that is too large."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise FileError(f"{path}: expected a file, and this is none")
    if about.st_size > MOST_BYTES:
        raise FileError(f"{path}: {_TOO_MUCH}")


def read_stored(path: Path) -> NamedArrays:
    """Read arrays as they are stored; raise FileError if the file holds anything else, or more than `MOST_BYTES`."""
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise FileError(f"{path}: expected a file of arrays that ends in {', '.join(_READERS)}")
    try:
        must_have_an_end(path)
        arrays = reader(path)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or words_of(error)}") from error
    except Exception as error:  # a damaged archive raises as many kinds of errors as it has parts
        what = "" if isinstance(error, ValueError) else f"{kind_of(error)}: "
        raise FileError(f"{path}: expected a {path.suffix} of plain arrays: {what}{words_of(error)}") from error
    return {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in arrays.items()}


def in_type(array: Array, dtype: str) -> Array:
    """The array in its type, where the file holds the type's bits; an array of another type is left as it is."""
    return array.view(_BFLOAT16) if dtype == "bfloat16" and array.dtype == np.uint16 else array


def _read_npz(path: Path) -> NamedArrays:
    if not is_zipfile(path):
        raise ValueError("got a file that is no such archive")
    with ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MOST_BYTES:
            raise ValueError(_TOO_MUCH)
        return {member.filename.removesuffix(".npy"): _member(archive, member) for member in members}


def _member(archive: ZipFile, member: ZipInfo) -> Array:
    """Read one array, after its header says no other size than the archive does."""
    name = name_of(member.filename)
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{name}: expected version 1 or 2 of NumPy's format, got {version}")
        shape, _, dtype = _HEADERS[version](file)
        if dtype.hasobject:
            raise ValueError(f"{name}: expected plain numbers, got objects")
        due = math.prod(shape) * dtype.itemsize
        if due != member.file_size - file.tell():
            raise ValueError(f"{name}: the header says {due} bytes, and {member.file_size - file.tell()} are there")
    with archive.open(member) as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array


_HEADERS: Final[Mapping[tuple[int, int], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _read_safe(path: Path) -> NamedArrays:
    library = _safetensors()
    try:
        entries = library.deserialize(path.read_bytes())
    except library.SafetensorError as error:
        raise ValueError(error) from error
    unknown = {entry["dtype"] for _, entry in entries} - set(_SAFE_TYPES)
    if unknown:
        raise ValueError(f"expected types in {', '.join(_SAFE_TYPES)}, got {', '.join(sorted(unknown))}")
    return {
        name: np.frombuffer(bytearray(entry["data"]), _SAFE_TYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in sorted(entries, key=lambda one: one[0])  # they come in another order each time
    }


def _as_json(arrays: Mapping[str, Array]) -> bytes:
    """The arrays as JSON: numbers in decimals that read back as they are, those that are not finite as their names."""

    def plain(array: Array) -> dict[str, Any]:
        exact = array.reshape(-1) if array.dtype.kind in "biu" else array.reshape(-1).astype(np.float64)
        numbers = [_decimal(number) for number in exact.tolist()]
        return {"dtype": array.dtype.name, "shape": list(array.shape), "data": numbers}

    text = json.dumps({name: plain(array) for name, array in arrays.items()}, allow_nan=False)
    return (text.replace('}, "', '},\n"') + "\n").encode()


def _decimal(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)


def _read_json(path: Path) -> NamedArrays:
    data = json.loads(path.read_bytes())
    if not isinstance(data, dict):
        raise ValueError("expected an object with an array for each name")
    return {name_of(name): _from_json(name_of(name), one) for name, one in data.items()}


def _from_json(name: str, one: Any) -> Array:
    kinds = STORED_AS["json"]
    if not (isinstance(one, dict) and set(one) == {"dtype", "shape", "data"} and one["dtype"] in kinds):
        raise ValueError(f"{name}: expected dtype, shape and data, the dtype one of {', '.join(kinds)}")
    shape, numbers = one["shape"], one["data"]
    if not (isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)):
        raise ValueError(f"{name}: shape: expected a list of whole numbers")
    if not (isinstance(numbers, list) and len(numbers) == math.prod(shape)):
        raise ValueError(f"{name}: data: expected a list of {math.prod(shape)} numbers, as the shape has it")
    wanted = np.dtype(getattr(ml_dtypes, one["dtype"], one["dtype"]))
    if wanted.kind in "bi":
        if not all(type(number) is (bool if wanted.kind == "b" else int) for number in numbers):
            raise ValueError(f"{name}: data: expected {'true or false' if wanted.kind == 'b' else 'whole numbers'}")
        return np.array(numbers, wanted).reshape(shape)
    named = all(type(x) in (int, float) or x in ("inf", "-inf", "nan") for x in numbers)
    if not named:
        raise ValueError(f"{name}: data: expected numbers, 'inf', '-inf' or 'nan'")
    return np.array([float(x) for x in numbers], np.float64).astype(wanted).reshape(shape)


_READERS: Final[Mapping[str, Callable[[Path], NamedArrays]]] = {
    ".npz": _read_npz,
    ".safetensors": _read_safe,
    ".json": _read_json,
}


def _safetensors() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise FileError(f"safetensors is not installed: {installs('convert')}") from error
    return safetensors
