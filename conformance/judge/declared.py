"""The accuracy that the backend under judgement declares: all bounds are computed for it while it is in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from rnnspec.backends import Accuracy, Backend
from rnnspec.backends.accuracy import Declared, accuracy_in

_IN_FORCE: Final[ContextVar[Declared]] = ContextVar("declared accuracy", default=None)


@contextmanager
def judged_as_declared(backend: Backend) -> Iterator[None]:
    """Compute bounds for what this backend declares, within the block."""
    token = _IN_FORCE.set(backend.accuracy)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)


def in_force(dtype: str) -> Accuracy:
    """Return the accuracy that bounds in a type are computed for."""
    return accuracy_in(_IN_FORCE.get(), dtype)


def declared_by(backend: Backend) -> dict[str, str]:
    """Return what a backend declares, in words by the name of a type; empty where it declares nothing."""
    if backend.accuracy is None:
        return {}
    return {dtype: str(accuracy_in(backend.accuracy, dtype)) for dtype in backend.dtypes()}
