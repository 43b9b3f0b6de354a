"""A cell whose input stands in two parts, only one of which is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor
from rnnspec.backends.composed.cells import make_cell


class FedCell:
    """A cell that reads [x; fed]: the first `features` columns of its input weights are those of x.

    Parameters and attributes are taken from `arguments`, as `make_cell` does.
    """

    def __init__(self, xp: ArrayNamespace, name: str, arguments: Mapping[str, Any], features: int) -> None:
        W, b = arguments["W"], arguments["b"]
        self.cell = make_cell(xp, name, {**arguments, "W": W[..., :features]})
        without = {"b": xp.zeros(xp.shape(b), b.dtype), "b_R": None, "forget_bias": None}  # these are those of the cell
        self.feeder = make_cell(xp, name, {**arguments, "W": W[..., features:], **without})

    def first(self, batch: int, **states: Tensor | None) -> Many:
        """Carry before the first step."""
        return self.cell.first(batch, **states)

    def enter(self, x: Tensor) -> Many:
        """The term of x (…, D) in its steps."""
        return self.cell.enter(x)

    def feed(self, entered: Many, fed: Tensor) -> Many:
        """The input of a step: the term of x, and the fed vector (B, F)."""
        return tuple(brought + late for brought, late in zip(entered, self.feeder.enter(fed), strict=True))

    def step(self, entered: Many, carry: Many) -> Many:
        """Carry after a step."""
        return self.cell.step(entered, carry)

    def states(self, carry: Many) -> Many:
        """Return the states in the specification's shapes."""
        return self.cell.states(carry)
