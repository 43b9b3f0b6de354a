"""A cell: one step of a recurrent layer, its parameters laid out once to be used at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import ClassVar, Protocol

from rnnspec.backends.composed.activations import named
from rnnspec.backends.composed.arrays import ArrayNamespace, Many, Tensor


class Cell(Protocol):
    """A cell with its parameters and attributes.

    It carries a tuple of arrays (B, units) from step to step, the first of them h. `enter` computes the part of a step
    that needs its input alone, for any number of steps at once; `step` computes the rest.
    """

    def first(self, batch: int, **states: Tensor | None) -> Many:
        """Carry before the first step, from the states by name, h and c; zero where None or left out."""

    def enter(self, x: Tensor) -> Many:
        """The inputs' (…, D) contribution to their steps, arrays (…, units)."""

    def step(self, entered: Many, carry: Many) -> Many:
        """Carry after a step, from what entered, arrays (B, units), and the carry before."""

    def states(self, carry: Many) -> Many:
        """Return the states, h and c, in the specification's shapes."""


class GatedCell:
    """The base of the cells: ``W x + R h + b`` is one product for all gates, one more for all inputs beforehand.

    A second, recurrent bias b_R is added to b at once, and so are `constants`, numbers of single gates.

    `gates` is the specification's order of the gates; `layout` that in which their arguments stand side by side along
    the last axis, so that neighbours with the same function are computed as one block. `memory` tells whether the cell
    carries a memory beside its state.
    """

    gates: str
    layout: str
    memory: ClassVar[bool] = True

    def __init__(
        self,
        xp: ArrayNamespace,
        *,
        W: Tensor,
        R: Tensor,
        b: Tensor,
        b_R: Tensor | None = None,
        gradient: str = "full",
        constants: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.xp = xp
        self.dtype, self.units = W.dtype, xp.shape(W)[1]
        self.W, self.R = self.columns(W), self.columns(R)
        b = b if b_R is None else b + b_R
        if constants:
            b = xp.stack([row + constants.get(gate, 0.0) for gate, row in zip(self.gates, xp.unstack(b), strict=True)])
        self.b = self.row(b)
        self.sizes = (xp.shape(R)[-1], self.units) if self.memory else (self.units,)
        self.cell_only = gradient == "cell_only"

    def first(self, batch: int, **states: Tensor | None) -> Many:
        """Carry before the first step, from the states by name; zero where None or left out."""
        return tuple(
            self.xp.zeros((batch, size), self.dtype) if states.get(name) is None else states[name]
            for name, size in zip("hc", self.sizes, strict=False)
        )

    def enter(self, x: Tensor) -> Many:
        """``W x + b`` for inputs (…, D)."""
        return (affine(self.xp, x, self.W, self.b),)

    def states(self, carry: Many) -> Many:
        """Return the carry: it is the states."""
        return carry

    def arguments(self, entered: Tensor, h: Tensor) -> Tensor:
        """``W x + R h + b`` for all gates, (B, G·H)."""
        return self.xp.add_matmul(entered, self.seen(h), self.R)

    def seen(self, h: Tensor) -> Tensor:
        """The state before as the gates see it: a constant where the gradient goes through the memory alone."""
        return self.xp.stop_gradient(h) if self.cell_only else h

    def split(self, array: Tensor, *gates: int) -> Sequence[Tensor]:
        """Take arguments apart into blocks of so many gates each."""
        return self.xp.split(array, [count * self.units for count in gates], -1)

    def laid_out(self, parameter: Tensor) -> Tensor:
        """Bring the entries of axis 0, one for each gate, into the order of the layout."""
        if self.layout == self.gates:
            return parameter
        entries = self.xp.unstack(parameter)
        return self.xp.stack([entries[self.gates.index(gate)] for gate in self.layout])

    def columns(self, weights: Tensor) -> Tensor:
        """Weights (G, H, D) as (D, G·H), which rows are multiplied by from the left."""
        gates, units, size = self.xp.shape(weights)
        return self.xp.permute_dims(self.xp.reshape(self.laid_out(weights), (gates * units, size)), (1, 0))

    def row(self, parameter: Tensor) -> Tensor:
        """A parameter (G, H) as (G·H,)."""
        return self.xp.reshape(self.laid_out(parameter), (prod(self.xp.shape(parameter)),))


def affine(xp: ArrayNamespace, x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """``x @ weights + bias`` for x (…, D) and weights (D, K), as one product of two matrices."""
    *leading, size = xp.shape(x)
    product = xp.add_matmul(bias, xp.reshape(x, (prod(leading), size)), weights)
    return xp.reshape(product, (*leading, xp.shape(weights)[1]))


def function(xp: ArrayNamespace, name: str, clip: float | None = None) -> Callable[[Tensor], Tensor]:
    """Return the function that an attribute's value names, of its argument clipped to -clip .. clip."""
    activation = named(xp, name)
    if clip is None:
        return activation
    return lambda a: activation(xp.minimum(xp.maximum(a, -clip), clip))
