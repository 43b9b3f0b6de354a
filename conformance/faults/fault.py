"""Planted faults, and the decorator that plants them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from types import ModuleType
from typing import Any, TypeVar

from rnnspec.backends import Backend
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.variants import LOOPS
from rnnspec.spec.arrays import Array

Result = tuple[tuple[Array, ...], Callable[..., dict[str, Array]]]
"""The outputs of a call and their vector-Jacobian product."""

Wrong = TypeVar("Wrong", bound=type[Backend] | Callable[..., Result])

LAYERS = tuple(LOOPS)
CELLS = tuple(f"{family}_cell" for family in LOOPS)
"""The operations that are written as loops, into which a fault of any of them is planted."""


@dataclass(frozen=True)
class Fault:
    """A wrong implementation of `operation`, to be caught in `dtype`, and a sentence on its error."""

    name: str
    operation: str
    about: str
    implementation: type[Backend]
    dtype: str = "float32"


_PLANTED: dict[str, list[Fault]] = {}
"""The faults that each module planted, by the module's name."""


def plant(*operations: str, dtype: str = "float32", prefix: str = "") -> Callable[[Wrong], Wrong]:
    """Plant a class or a function into operations: a fault for each, described by the docstring.

    Its name is that of the operation, or the `prefix`, and then that of the class or function. A class that has the
    operation is the implementation. One that has not is a fault of any, and goes into what is right: the loops of the
    operation's family, or else the reference. A function is called as the operation is, and returns a `Result`.
    """

    def planted(wrong: Wrong) -> Wrong:
        words = re.sub(r"(?<!^)(?=[A-Z])", "-", wrong.__name__).lower().replace("_", "-")
        about = " ".join((wrong.__doc__ or "").split())
        for operation in operations:
            name = f"{prefix or family_of(operation)}-{words}"
            fault = Fault(name, operation, about, _implementation(wrong, operation), dtype)
            _PLANTED.setdefault(wrong.__module__, []).append(fault)
        return wrong

    return planted


def planted() -> tuple[Fault, ...]:
    """The faults of all modules that are imported, in the order in which they were."""
    return tuple(chain.from_iterable(_PLANTED.values()))


def planted_in(*modules: ModuleType) -> tuple[Fault, ...]:
    """The faults whose classes and functions stand in these modules."""
    return tuple(fault for module in modules for fault in _PLANTED.get(module.__name__, ()))


def family_of(operation: str) -> str:
    """How the name of an operation's faults begins."""
    return operation.removesuffix("_cell").replace("_", "-")


def _implementation(wrong: type[Backend] | Callable[..., Result], operation: str) -> type[Backend]:
    if not isinstance(wrong, type):
        return _computed(operation, wrong)
    if hasattr(wrong, operation):
        return wrong
    right = LOOPS.get(operation.removesuffix("_cell"), NumpyBackend)
    return type(wrong.__name__, (wrong, right), {})


def _computed(operation: str, wrong: Callable[..., Result]) -> type[Backend]:
    """A backend of one operation, which is computed so."""

    def outputs(self: Backend, **arguments: Any) -> tuple[Array, ...]:
        return wrong(**arguments)[0]

    def with_gradient(self: Backend, **arguments: Any) -> Result:
        return wrong(**arguments)

    return type("Faulty", (Backend,), {"name": "faulty", operation: outputs, f"{operation}_vjp": with_gradient})
