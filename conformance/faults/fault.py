"""What a planted fault is."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
    """A fault named after its class and described by its docstring; a general one goes `into` a family's loops."""
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", fault.__name__).lower()
    implementation = fault if into is None else type(fault.__name__, (fault, into), {})
    about = " ".join((fault.__doc__ or "").split())
    return Fault(f"{operation.removesuffix('_cell')}-{words}", operation, about, implementation, dtype)
