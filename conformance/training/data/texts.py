"""Labelled texts in the file that Keras fetches for IMDB: an ``.npz`` of lists of word ids.

The lists are pickled. They are read by an unpickler that makes arrays and lists of numbers and nothing else, so that no
code in a file can run.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy

from rnnspec.conformance.training.data.errors import DataError
from rnnspec.spec.arrays import Array

NAMES: Final = ("x_train", "y_train", "x_test", "y_test")

_ALLOWED: Final = {
    ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}  # fmt: skip


class _Numbers(pickle.Unpickler):
    """An unpickler of arrays and lists of numbers."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_texts(file: Path) -> dict[str, Array]:
    """Read the texts and labels of a file as Keras has it.

    Returns
    -------
    dict
        `x_train` and `x_test`, arrays of lists of ids, and `y_train` and `y_test`, labels 0 or 1.

    Raises
    ------
    DataError
        If the file is damaged, lacks one of them, or has other things than numbers in it.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            missing = [name for name in NAMES if f"{name}.npy" not in archive.namelist()]
            if missing:
                raise DataError(f"{file}: expected the arrays {', '.join(NAMES)}, got none called {missing[0]}")
            found = {name: _array(archive.read(f"{name}.npy"), f"{file}: {name}") for name in NAMES}
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(f"{file}: expected an .npz file: {error}; fetch it again") from error
    for part in ("train", "test"):
        texts, labels = found[f"x_{part}"], found[f"y_{part}"]
        if texts.shape != labels.shape or texts.ndim != 1:
            raise DataError(f"{file}: expected a label for each text of {part}, got {labels.shape} for {texts.shape}")
        for text in texts:
            if not isinstance(text, list) or not all(type(word) is int and word >= 0 for word in text):
                raise DataError(f"{file}: expected each text of {part} as a list of ids, got {str(text)[:40]!r}")
        wrong = labels[(labels != 0) & (labels != 1)]
        if wrong.size:
            raise DataError(f"{file}: expected labels 0 and 1, got {wrong[0]}")
    return found


def padded(texts: Array, length: int, words: int) -> Array:
    """Return the last so many words of each text, 0 before shorter ones; ids from `words` on become 2, as unknown."""
    ids = np.zeros((len(texts), length), np.int64)
    for row, text in zip(ids, texts, strict=True):
        last = text[-length:]
        if last:
            row[-len(last) :] = [word if word < words else min(2, words - 1) for word in last]
    return ids


def _array(content: bytes, place: str) -> Array:
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(stream)
        if not dtype.hasobject:
            return npy.read_array(io.BytesIO(content), allow_pickle=False)
        return np.asarray(_Numbers(stream).load()).reshape(shape)
    except (ValueError, EOFError, pickle.UnpicklingError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise DataError(
            f"{place}: expected arrays and lists of numbers alone: {error}; fetch the file again"
        ) from error
