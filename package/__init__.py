"""An executable specification and conformance suite for recurrent sequence models.

>>> import rnnspec
>>> report = rnnspec.validate("torch", operations=["lstm"])
>>> report.conforms
True

`validate` judges a backend, `bench` times backends against each other, `trace` shows every intermediate value of a
call, and `conforms` makes a test of one's own test suite. Each name is imported when it is first used, so that
``import rnnspec.spec`` needs NumPy alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnspec.conformance.interface import Bench, Report, Trace, bench, conforms, read_report, trace, validate

    __version__: str

__all__ = ["Bench", "Report", "Trace", "__version__", "bench", "conforms", "read_report", "trace", "validate"]

_PACKAGES = ("spec", "reference", "backends", "conformance")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("rnnspec")
    if name in _PACKAGES:
        return import_module(f"rnnspec.{name}")
    if name in __all__:
        return getattr(import_module("rnnspec.conformance.interface"), name)
    raise AttributeError(f"module 'rnnspec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__, *_PACKAGES})
