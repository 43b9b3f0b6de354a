"""IDX files, in which MNIST is published: a magic number, the lengths of all axes, and the numbers."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Final

import numpy as np

from rnnspec.conformance.training.data.errors import DataError
from rnnspec.spec.arrays import Array

_MOST_BYTES: Final = 2**28
"""Bytes of a file's content; those of MNIST have a fifth of it."""
_TYPES: Final = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(file: Path) -> Array:
    """Read an IDX file, which may be compressed by gzip.

    Raises
    ------
    DataError
        If it is none, or has more or fewer numbers than its axes say.
    """
    content = _content(file)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise DataError(
            f"{file}: expected an IDX file, which begins with two zero bytes and a type, got {content[:4]!r}"
        )
    dtype, axes = np.dtype(_TYPES[content[2]]), content[3]
    begin = 4 + 4 * axes
    if len(content) < begin:
        raise DataError(
            f"{file}: expected the lengths of {axes} axes, got {len(content) - 4} bytes: the file is cut off"
        )
    shape = tuple(int(length) for length in np.frombuffer(content[4:begin], ">u4"))
    wanted, got = prod(shape) * dtype.itemsize, len(content) - begin
    if wanted != got:
        why = "the file is cut off" if got < wanted else "more follows than belongs to it"
        raise DataError(f"{file}: expected {wanted} bytes for shape {shape}, got {got}: {why}")
    return np.frombuffer(content[begin:], dtype).reshape(shape).astype(dtype.newbyteorder("="))


def read_images(images: Path, labels: Path, classes: int = 10) -> tuple[Array, Array]:
    """Read images, scaled to 0 .. 1, and their labels; raise DataError if they do not belong together."""
    pictures, marks = read_idx(images), read_idx(labels)
    if pictures.ndim != 3 or pictures.dtype != np.uint8:
        raise DataError(
            f"{images}: expected images of bytes, three axes, got {pictures.dtype} of shape {pictures.shape}"
        )
    if marks.ndim != 1 or len(marks) != len(pictures):
        raise DataError(f"{labels}: expected {len(pictures)} labels, one for each image, got shape {marks.shape}")
    wrong = marks[(marks < 0) | (marks >= classes)]
    if wrong.size:
        raise DataError(f"{labels}: expected labels 0 .. {classes - 1}, got {wrong[0]}")
    return pictures / 255.0, marks.astype(np.int64)


def _content(file: Path) -> bytes:
    with file.open("rb") as beginning:
        is_packed = beginning.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(file) if is_packed else file.open("rb") as there:
            content = there.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise DataError(f"{file}: expected at most {_MOST_BYTES / 2**20:.0f} MiB of numbers")
        return content
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{file}: cannot be unpacked: {error}; fetch it again") from error
