"""Faults of the form of results: their axes and their type; the numbers are right."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Other
from rnnspec.conformance.faults.fault import CELLS, LAYERS, plant
from rnnspec.conformance.faults.loops import Loops
from rnnspec.spec.arrays import Array, NamedArrays


@plant(*LAYERS)
class StatesWithAnAxisOfLayers(Other):
    """The final states have an axis in front, for layers, as torch's have: (1, B, H)."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        y, *states = outputs
        return (y, *(state[np.newaxis] for state in states))


@plant(*LAYERS)
class BiasGradientFlat(Other):
    """The gradient of b has the gates one after another on one axis, as torch's and Keras's has: (G H,)."""

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        return {name: d.reshape(-1) if name == "b" else d for name, d in gradients.items()}


@plant(*CELLS)
class ResultInFloat64(Loops):
    """Results come in float64 for inputs of every type."""

    def returned(self, array: Array, dtype: np.dtype[np.generic]) -> Array:
        return array.astype(np.float64)
