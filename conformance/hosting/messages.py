"""Messages between the suite and a guest: numbered, and read so that a guest's bytes make nothing but plain answers."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, Final

import ml_dtypes
import numpy as np

from rnnspec.backends.words import kind_of
from rnnspec.conformance.hosting.guest import REOPEN, About, Answer, Done, Foreign, Raised, Refused
from rnnspec.conformance.hosting.timed import REQUESTS

_MODULES: Final[Mapping[str, frozenset[str]]] = {
    "numpy": frozenset({"dtype", "ndarray"}),
    "numpy._core.multiarray": frozenset({"_reconstruct"}),
    "numpy._core.numeric": frozenset({"_frombuffer"}),
    "ml_dtypes": frozenset(name for name in dir(ml_dtypes) if isinstance(getattr(ml_dtypes, name), type)),
    "pathlib": frozenset({"PosixPath", "WindowsPath"}),
    "pathlib._local": frozenset({"PosixPath", "WindowsPath"}),
    About.__module__: frozenset(one.__name__ for one in (About, Done, Foreign, Raised, Refused)),
}
"""All that an answer is made of, by module."""
MOST_BYTES: Final = 2**34
"""Bytes of an answer."""


class MessageError(Exception):
    """Bytes that are no answer."""


class _Plain(pickle.Unpickler):
    """An unpickler of answers, which finds no function that does anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _MODULES.get(module, ()):
            raise MessageError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def received(connection: Connection) -> tuple[int, Answer]:
    """Return the next answer, and the number of the request that it is to.

    Raises
    ------
    MessageError, EOFError, OSError
        If something else came, or nothing more comes.
    """
    try:
        content = connection.recv_bytes(MOST_BYTES)
    except MemoryError as error:
        raise MessageError("it is too long") from error
    try:
        number, answer = _Plain(io.BytesIO(content)).load()
    except MessageError:
        raise
    except Exception as error:  # bytes that are no pickle raise whatever they like
        raise MessageError(str(error)) from error
    if type(number) is not int or not _is_answer(answer):
        raise MessageError(f"it is a {kind_of(answer)}")
    return number, answer


def _is_answer(answer: Any) -> bool:
    match answer:
        case Done(overwritten=overwritten, spoiled=spoiled):
            return isinstance(overwritten, dict) and isinstance(spoiled, dict)
        case Refused(str()) | Raised(str(), str(), str(), bool(), bool(), bool()):
            return True
    return False


def fits(answer: Done, request: str, inputs: Mapping[str, Any]) -> bool:
    """Whether an answer is one to this request, of a call with these inputs."""
    result = answer.result
    for name, array in answer.overwritten.items():
        if name not in inputs or _form(array) != _form(inputs[name]):
            return False
    if not all(map(_is_place, answer.spoiled)) or not all(map(_form, answer.spoiled.values())):
        return False
    match request:
        case "run" | "drawn":
            return isinstance(result, tuple) and all(map(_is_plain, result))
        case "gradients" | "second_order":
            return isinstance(result, dict) and all(
                isinstance(name, str) and _is_plain(one) for name, one in result.items()
            )
        case "refusal" | "script":
            return result is None or isinstance(result, str)
        case _ if request in REQUESTS:
            return isinstance(result, float)
    return request == REOPEN and result is None


def _is_place(key: Any) -> bool:
    """Whether it is the distance of an answer and the place of a result there."""
    return isinstance(key, tuple) and len(key) == 2 and all(type(one) is int for one in key) and key[0] > 0 <= key[1]


def _form(array: Any) -> Any:
    return (array.shape, array.dtype) if isinstance(array, np.ndarray) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, Foreign):
        return isinstance(value.type_name, str) and "\0" not in value.type_name
    return type(value) is np.ndarray
