"""Faults of a batch: one sequence has what belongs to another, or sums over them are wrong."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, with_inputs
from rnnspec.conformance.faults.fault import CELLS, LAYERS, plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays


@plant(*CELLS)
class GradientOfTheFirstSequence(Loops):
    """A parameter's gradient is that of the batch's first sequence, not the sum over all."""

    def counted(self, da: Array) -> Array:
        first = np.zeros_like(da)
        first[:1] = da[:1]
        return first


@plant(*CELLS)
class GradientAveraged(Loops):
    """A parameter's gradient is the mean over the batch, not the sum."""

    def counted(self, da: Array) -> Array:
        return da / max(len(da), 1)


@plant(*LAYERS)
class InitialStateOfTheFirstSequence(Loops):
    """Every sequence begins with the first one's state."""

    def begin(self, given: NamedArrays) -> NamedArrays:
        return {state: np.broadcast_to(array[:1], array.shape) for state, array in given.items()}


@plant(*LAYERS)
class StateOfTheNeighbour(Loops):
    """Each sequence goes on with the state of the one before it in the batch."""

    def carried(self, after: NamedArrays, before: NamedArrays, valid: Array, a: Attributes) -> NamedArrays:
        return {k: np.roll(state, 1, axis=0) for k, state in super().carried(after, before, valid, a).items()}


@plant("lstm")
class RecurrentDropoutOfTheFirstSequence(Altered):
    """All sequences of a batch share the first one's mask."""

    def altered(self, call: Call) -> Call:
        keep = call.inputs.get("recurrent_keep")
        return call if keep is None else with_inputs(call, recurrent_keep=np.repeat(keep[:1], len(keep), axis=0))
