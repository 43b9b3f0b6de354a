"""Faults of the form of results: their axes and their type; the numbers are right."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from collections.abc import Collection

import numpy as np

from rnnspec.backends import Call, Cotangents
from rnnspec.conformance.faults.fault import CELLS, LAYERS, plant
from rnnspec.conformance.faults.loops import Loops
from rnnspec.spec.arrays import Array, NamedArrays


@plant(*LAYERS)
class StatesWithAnAxisOfLayers(Loops):
    """The final states have an axis in front, for layers, as torch's have: (1, B, H)."""

    def run(self, call: Call) -> tuple[Array, ...]:
        y, *states = super().run(call)
        return (y, *(state[np.newaxis] for state in states))


@plant(*LAYERS)
class BiasGradientFlat(Loops):
    """The gradient of b has the gates one after another on one axis, as torch's and Keras's has: (G H,)."""

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        found = super().gradients(call, cotangents, wanted)
        return {name: d.reshape(-1) if name == "b" else d for name, d in found.items()}


@plant(*CELLS)
class ResultInFloat64(Loops):
    """Results come in float64, whatever the type of the inputs."""

    def returned(self, array: Array, dtype: np.dtype[np.generic]) -> Array:
        return array.astype(np.float64)
