"""Registry of the code that computes each operation, under the specification's names; every file enters its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rnnspec.reference.call import Compute
from rnnspec.reference.unroll import Cell

Build = Callable[..., Cell]
"""A function from a cell's parameters and attributes, as keywords, to the cell."""

C = TypeVar("C", bound=Build)

CELLS: dict[str, Build] = {}
"""Cells by name. They compute their one step, the layer that unrolls them, and operations built of either."""

COMPUTED: dict[str, Compute] = {}
"""Functions by the name of any other operation, from an admitted call to the outputs and the backward pass."""


def cell(name: str) -> Callable[[C], C]:
    """Enter a class as the cell of that name."""

    def enter(build: C) -> C:
        CELLS[name] = build
        return build

    return enter


def computes(*names: str) -> Callable[[Compute], Compute]:
    """Enter a function as the computation of the operations of these names."""

    def enter(compute: Compute) -> Compute:
        COMPUTED.update(dict.fromkeys(names, compute))
        return compute

    return enter
