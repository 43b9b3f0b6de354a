"""What computes each operation: every file of the reference enters its own here, under the specification's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rnnspec.reference.call import Compute
from rnnspec.reference.unroll import Cell

Build = Callable[..., Cell]
"""From a cell's parameters and attributes, as keywords, to the cell."""

C = TypeVar("C", bound=Build)

CELLS: dict[str, Build] = {}
"""By the cell's name. Its one step, the layer that unrolls it, and what is built of either are computed with it."""

COMPUTED: dict[str, Compute] = {}
"""By the name of any other operation: from an admitted call to the outputs and the way back."""


def cell(name: str) -> Callable[[C], C]:
    """Enter a class as the cell of that name."""

    def enter(build: C) -> C:
        CELLS[name] = build
        return build

    return enter


def computes(*names: str) -> Callable[[Compute], Compute]:
    """Enter a function as what computes the operations of these names."""

    def enter(compute: Compute) -> Compute:
        COMPUTED.update(dict.fromkeys(names, compute))
        return compute

    return enter
