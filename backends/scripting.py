"""Calls as source that needs the framework alone: the parts that the scripts of all frameworks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from rnnspec.backends.contract import Call
from rnnspec.spec.arrays import Array

WIDEST: Final = 120
"""Columns of a line."""


def hidden(call: Call) -> int:
    """Units of the cell, H."""
    return int(call.inputs["W"].shape[-2])


def width(call: Call) -> int:
    """Numbers of its output, S: H, or those that it is projected to."""
    return int(call.inputs["R"].shape[-1])


def counts(call: Call) -> Array | None:
    """Valid steps of each sequence; None where neither lengths nor a mask takes any out."""
    if "mask" in call.inputs:
        return np.asarray(call.inputs["mask"].sum(1))
    return call.inputs.get("lengths")


@dataclass(frozen=True)
class Lines:
    """A call's own lines: those that make the layers, once, and those that compute ``results`` from tensors ``t``."""

    compute: list[str]
    make: tuple[str, ...] = ()

    def compiled(self, decorator: str) -> list[str]:
        """The lines, with their computation under a decorator that compiles it."""
        return [*self.make, decorator, "def run(t):", *indented([*self.compute, "return results"]), "results = run(t)"]

    def plain(self) -> list[str]:
        """The lines, one after the other."""
        return [*self.make, *self.compute]


Script = Callable[[Call], Lines | None]
"""A function that writes a call of one operation; None for a call that it does not write."""


def indented(lines: Iterable[str]) -> list[str]:
    """The lines as a block of source."""
    return [f"    {line}" for line in lines]
