"""Named arrays in files that other languages read: ``.npz`` or ``.safetensors``, uncompressed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args
from zipfile import BadZipFile, is_zipfile

import ml_dtypes
import numpy as np

from rnnspec.conformance.run.files import FileError, write_arrays, write_bytes
from rnnspec.spec.arrays import Array, NamedArrays

Storage = Literal["npz", "safetensors"]

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
    _safetensors()
    from safetensors.numpy import save

    write_bytes(path, save(ordered))


def read_stored(path: Path) -> NamedArrays:
    """Read arrays as they are stored; raise FileError if the file holds anything else."""
    try:
        arrays = _read_npz(path) if path.suffix == ".npz" else _read_safe(path)
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise FileError(f"{path}: expected a {path.suffix} of plain arrays: {error}") from error
    return {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in arrays.items()}


def in_type(array: Array, dtype: str) -> Array:
    """The array in its type, where the file holds the type's bits; an array of another type is left as it is."""
    return array.view(_BFLOAT16) if dtype == "bfloat16" and array.dtype == np.uint16 else array


def _read_npz(path: Path) -> NamedArrays:
    if not is_zipfile(path):
        raise ValueError("got a file that is no such archive")
    data = np.load(path, allow_pickle=False)
    if not isinstance(data, np.lib.npyio.NpzFile):
        raise ValueError("it is a single array")
    with data:
        return {name: data[name] for name in data.files}


def _read_safe(path: Path) -> NamedArrays:
    library = _safetensors()
    try:
        entries = library.deserialize(path.read_bytes())
    except library.SafetensorError as error:
        raise ValueError(error) from error
    return {
        name: np.frombuffer(bytearray(entry["data"]), _SAFE_TYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in entries
    }


def _safetensors() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise FileError("safetensors is not installed: pip install 'rnnspec[convert]'") from error
    return safetensors
