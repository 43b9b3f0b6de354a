"""What a planted fault is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rnnspec.backends import Backend
from rnnspec.conformance.faults.loops import Loops


@dataclass(frozen=True)
class Fault:
    """A wrong implementation of `operation`, to be caught in `dtype`, and what is wrong with it."""

    name: str
    operation: str
    about: str
    implementation: type[Backend]
    dtype: str = "float32"

    @property
    def family(self) -> str:
        """``rnn``, ``lstm`` or ``gru``."""
        return self.operation.removesuffix("_cell")


def plant(operation: str, fault: type[Loops], into: type[Loops] | None = None, dtype: str = "float32") -> Fault:
    """A fault of a cell or a layer; a general one goes `into` a family's loops."""
    implementation = fault if into is None else type(fault.__name__, (fault, into), {})
    return planted(operation, implementation, fault, dtype)


def planted(
    operation: str,
    implementation: type[Backend],
    after: type | Callable[..., Any] | None = None,
    dtype: str = "float32",
) -> Fault:
    """The fault `implementation`, named after its class or what else stands in it, and described by its docstring."""
    return named(family_of(operation), operation, implementation, after, dtype)


def named(
    prefix: str,
    operation: str,
    implementation: type[Backend],
    after: type | Callable[..., Any] | None = None,
    dtype: str = "float32",
) -> Fault:
    """The same as `planted`, under a name that begins otherwise than with the operation."""
    source = after or implementation
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", source.__name__).lower().replace("_", "-")
    return Fault(f"{prefix}-{words}", operation, " ".join((source.__doc__ or "").split()), implementation, dtype)


def family_of(operation: str) -> str:
    """How the name of an operation's faults begins."""
    return operation.removesuffix("_cell").replace("_", "-")
