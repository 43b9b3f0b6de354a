"""Files are written whole or not at all."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


class FileError(ValueError):
    """A file that cannot be read, or cannot hold what is to be written; the message says why and what to do."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file through a temporary one beside it, so that no one ever finds half of it."""
    with _replacing(path) as file:
        file.write(content)


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON."""
    write_bytes(path, (json.dumps(data, indent=2, allow_nan=False) + "\n").encode())


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an ``.npz`` that NumPy reads without pickle."""
    with _replacing(path) as file:
        np.savez(file, allow_pickle=False, **dict(arrays))


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
