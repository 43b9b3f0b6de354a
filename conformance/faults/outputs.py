"""Faults of layers that give their last output alone, or hold it where steps are taken out."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the loops')
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnspec.conformance.faults.fault import LAYERS, Result, plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array


@plant(*LAYERS)
class LastOutputOfTheArray(Loops):
    """The last output is that of the last step of the array: in the padding 0, and in reverse the one read first."""

    def chosen_outputs(self, y: Array, valid: Array, a: Attributes) -> Array:
        return y[:, -1] if a["output"] == "last" and y.shape[1] else super().chosen_outputs(y, valid, a)

    def chosen_outputs_back(self, dshown: Array, valid: Array, a: Attributes) -> Array:
        if a["output"] != "last" or not valid.shape[1]:
            return super().chosen_outputs_back(dshown, valid, a)
        dy = np.zeros_like(dshown, shape=(*valid.shape, dshown.shape[-1]))
        dy[:, -1] = dshown
        return dy


@plant(*LAYERS)
class LastOutputInTime(Loops):
    """In reverse, the last output is that of the last valid step, which is read first."""

    def chosen_outputs(self, y: Array, valid: Array, a: Attributes) -> Array:
        return super().chosen_outputs(y, valid, _forward(a, "last"))

    def chosen_outputs_back(self, dshown: Array, valid: Array, a: Attributes) -> Array:
        return super().chosen_outputs_back(dshown, valid, _forward(a, "last"))


@plant(*LAYERS)
class LastOutputIsTheFinalState(Loops):
    """The last output is the final state: where no step is read, the initial one."""

    def layer(self, operation: str, call: Mapping[str, Any]) -> Result:
        outputs, vjp = super().layer(operation, call)
        last = call["output"] == "last"

        def vjp_of_states(dy: Array, dh: Array, *rest: Array) -> dict[str, Array]:
            return vjp(np.zeros_like(dy), dh + dy, *rest) if last else vjp(dy, dh, *rest)

        return ((outputs[1], *outputs[1:]) if last else outputs), vjp_of_states


@plant(*LAYERS)
class HeldOutputIgnored(Loops):
    """Steps that are taken out have the output 0 where it is to be held."""

    def chosen_outputs(self, y: Array, valid: Array, a: Attributes) -> Array:
        return y if a["output"] == "held" else super().chosen_outputs(y, valid, a)


@plant(*LAYERS)
class HeldOutputInTime(Loops):
    """In reverse, the output that is held is that of the step before in time, which is read later."""

    def chosen_outputs(self, y: Array, valid: Array, a: Attributes) -> Array:
        return super().chosen_outputs(y, valid, _forward(a, "held"))

    def chosen_outputs_back(self, dshown: Array, valid: Array, a: Attributes) -> Array:
        return super().chosen_outputs_back(dshown, valid, _forward(a, "held"))


@plant(*LAYERS)
class GradientOfHeldOutputsLost(Loops):
    """The gradient of an output that is held at steps taken out does not reach the step that it is of."""

    def chosen_outputs_back(self, dshown: Array, valid: Array, a: Attributes) -> Array:
        return dshown if a["output"] == "held" else super().chosen_outputs_back(dshown, valid, a)


def _forward(a: Attributes, output: str) -> Attributes:
    """The attributes, with the steps read forward where the outputs are these."""
    return {**a, "direction": "forward"} if a["output"] == output else a
