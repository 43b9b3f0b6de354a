"""Faults that any family's step can have: planted into each of them."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the loops')
from __future__ import annotations

import numpy as np

from rnnspec import spec
from rnnspec.conformance.faults.fault import CELLS, plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays


@plant(*CELLS)
class ProductsInTf32(Loops):
    """Products see float32 numbers with 10 bits after the point: TF32, which GPUs offer for speed."""

    def product(self, x: Array, M: Array) -> Array:
        return super().product(_to_tf32(x), _to_tf32(M))


@plant(*CELLS)
class InputsUnchecked(Loops):
    """Nothing is checked: sizes that do not fit are broadcast, unknown attributes have no effect."""

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        return attributes


@plant(*CELLS)
class TypesUnchecked(Loops):
    """Inputs of another type are converted without a word."""

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        kinds = spec.operation(operation).inputs
        floats = {name: array for name, array in inputs.items() if kinds[name].kind == "float"}
        alike = {name: array.astype(inputs["x"].dtype) for name, array in floats.items() if array.dtype != np.int64}
        return super().admit(operation, {**inputs, **alike}, attributes)


@plant(*CELLS)
class AttributesUnchecked(Loops):
    """Attributes that the operation does not have are dropped without a word."""

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        return super().admit(operation, inputs, {k: v for k, v in attributes.items() if k != "no_such_attribute"})


@plant(*CELLS)
class ResultInFloat64(Loops):
    """Results come in float64, whatever the type of the inputs."""

    def returned(self, array: Array, dtype: np.dtype[np.generic]) -> Array:
        return array.astype(np.float64)


@plant(*CELLS, dtype="float64")
class ComputedInFloat32(Loops):
    """float64 is computed in float32, as JAX does unless told otherwise."""

    def working(self, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
        return np.dtype(np.float32)


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


def _to_tf32(array: Array) -> Array:
    if array.dtype != np.float32:
        return array
    bits = np.ascontiguousarray(array).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
