"""Faults of the type that is computed in."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.conformance.faults.fault import CELLS, LAYERS, plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays


@plant(*CELLS)
class ProductsInTf32(Loops):
    """Products see float32 numbers with 10 bits after the point: TF32, which GPUs offer for speed."""

    def product(self, x: Array, M: Array) -> Array:
        return super().product(_to_tf32(x), _to_tf32(M))


def _to_tf32(array: Array) -> Array:
    if array.dtype != np.float32:
        return array
    bits = np.ascontiguousarray(array).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


@plant(*CELLS, dtype="float64")
class ComputedInFloat32(Loops):
    """float64 is computed in float32, as JAX does by default."""

    def working(self, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
        return np.dtype(np.float32)


@plant(*LAYERS)
class StateInFloat16(Loops):
    """Between steps the state is kept in float16."""

    def carried(self, after: NamedArrays, before: NamedArrays, valid: Array, a: Attributes) -> NamedArrays:
        carried = super().carried(after, before, valid, a)
        return {**carried, "h": carried["h"].astype(np.float16).astype(carried["h"].dtype)}
