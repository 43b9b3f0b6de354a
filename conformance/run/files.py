"""Files are written whole or not at all, and what they are is kept: a link, a device, its permissions."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray


class FileError(ValueError):
    """A file that cannot be read, or cannot hold what is to be written; the message says why and what to do."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file through a temporary one beside it, so that no one ever finds half of it."""
    _write(path, lambda file: file.write(content))


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON."""
    write_bytes(path, (json.dumps(data, indent=2, allow_nan=False) + "\n").encode())


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an ``.npz`` that NumPy reads without pickle."""
    _write(path, lambda file: np.savez(file, allow_pickle=False, **dict(arrays)))


def must_be_writable(path: Path) -> None:
    """Raise FileError if a file cannot be written; it is left as it is, and none is made."""
    try:
        if (number := _descriptor(path)) is not None:
            os.write(number, b"")  # an error where it is open for reading alone
            return
        file = _target(path)
        if file.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if _is_replaceable(file):
            opened, temporary = _temporary(file)
            opened.close()
            temporary.unlink()
        elif not os.access(file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        elif file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: cannot be written: {_why(error)}; name another file") from error


_KINDS: Final = {
    "a page": (".html", ".htm"),
    "JSON": (".json", ".ipynb"),
    "an image": (".svg", ".png", ".pdf"),
    "arrays": (".npz", ".npy", ".safetensors", ".h5", ".keras", ".onnx", ".pt", ".pth"),
    "settings or code": (".toml", ".yaml", ".yml", ".py", ".md", ".c"),
}
"""Endings that say what a file holds, by what it is."""


def must_not_be_named_otherwise(path: Path, kind: str) -> None:
    """Raise FileError if the ending of a file that is to be written says that it holds another kind of thing.

    So no slip puts a page in the place of results. An ending that says nothing is as good as the right one.
    """
    for other, endings in _KINDS.items():
        if other != kind and path.suffix.lower() in endings:
            raise FileError(
                f"{path}: expected the name of {kind}, like {path.stem}{_KINDS[kind][0]}, got that of {other}"
            )


def must_be_writable_folder(path: Path) -> None:
    """Raise FileError if no files can be written into a folder, which is made if it is not there."""
    try:
        must_be_writable(path / ".rnnspec")
    except FileError as error:
        raise FileError(f"{path}: {str(error).partition(': ')[2]}".replace("another file", "another folder")) from error


def must_differ(written: Iterable[Path], read: Iterable[Path]) -> None:
    """Raise FileError if a file that is written is one that is read, lies in a folder that is read, or is named twice.

    Devices and pipes may be named more than once.
    """
    outputs, inputs = list(written), list(read)
    for place, path in enumerate(outputs):
        if path.exists() and not (path.is_file() or path.is_dir()):
            continue
        for other in inputs:
            if _same(path, other) or (path.is_file() and other.is_dir() and _target(other) in _target(path).parents):
                raise FileError(f"{path}: this command reads {other}, and would overwrite it: name another file")
        for other in outputs[:place]:
            if _same(path, other):
                raise FileError(f"{path}: is named for two things to be written: name another file for one of them")


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return _target(path) == _target(other)


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


_STREAMS: Final = {"stdin": 0, "stdout": 1, "stderr": 2}


def _descriptor(path: Path) -> int | None:
    """The number of the open file that a path like /dev/stdout names, which need have no other name."""
    named = re.fullmatch(r"/dev/(stdin|stdout|stderr|fd/(\d{1,9}))|/proc/self/fd/(\d{1,9})", str(path))
    if named is None:
        return None
    return _STREAMS[named[1]] if named[1] in _STREAMS else int(named[2] or named[3])


def _target(path: Path) -> Path:
    """Where a link leads."""
    return Path(os.path.realpath(path))


def _is_replaceable(file: Path) -> bool:
    """Whether another file can take the place of this one, and no one sees a difference but its content."""
    try:
        now = file.lstat()
    except FileNotFoundError:
        return True
    return (
        stat.S_ISREG(now.st_mode)
        and now.st_nlink == 1
        and os.access(file, os.W_OK)
        and os.access(file.parent, os.W_OK | os.X_OK)
        and (not hasattr(os, "geteuid") or now.st_uid == os.geteuid())
    )


def _temporary(file: Path) -> tuple[BinaryIO, Path]:
    """Open a new file in the folder of another, which is made if it is not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    name = file.parent / f".rnnspec-{secrets.token_hex(8)}"
    return name.open("xb"), name


@contextmanager
def written_as(path: Path) -> Iterator[None]:
    """Tell errors of writing by the path that the user gave: a temporary file or folder has a name of no use."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {_why(error)}") from error


def _write(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    with written_as(path):
        _write_whole(path, fill)


def _write_to(number: int, fill: Callable[[BinaryIO], Any]) -> None:
    """Write after what was written to an open file before, which another file in its place would lose."""
    content = io.BytesIO()
    fill(content)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):
            stream.flush()
    with suppress(BrokenPipeError), os.fdopen(os.dup(number), "wb") as there:  # whoever reads no further wants no more
        there.write(content.getvalue())


def _write_whole(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    if (number := _descriptor(path)) is not None:
        _write_to(number, fill)
        return
    file = _target(path)
    if not _is_replaceable(file):
        # A device, a pipe, a file of other names or in a folder that is closed: what it is matters more. The content is
        # made first, so that an error in it leaves the file as it was.
        content = io.BytesIO()
        fill(content)
        try:
            with file.open("wb") as there:
                there.write(content.getvalue())
        except OSError as error:
            raise FileError(f"{path}: cannot be written: {_why(error)}; name another file") from error
        return
    opened, temporary = _temporary(file)
    try:
        with opened:
            fill(opened)
        with suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(file.stat().st_mode))
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
