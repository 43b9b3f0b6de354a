"""Faults of bad input that is taken without a word."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec import spec
from rnnspec.conformance.faults.fault import CELLS, LAYERS, plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import NamedArrays


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


@plant(*LAYERS)
class LengthsCutOff(Loops):
    """Lengths beyond the sequence, or below 0, are cut off without a word."""

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        if "lengths" in inputs:
            inputs = {**inputs, "lengths": np.clip(inputs["lengths"], 0, inputs["x"].shape[1])}
        return super().admit(operation, inputs, attributes)


@plant(*LAYERS)
class LengthsBesideAMask(Loops):
    """Where lengths and a mask are given, the lengths have no effect."""

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        left = {name: array for name, array in inputs.items() if name != "lengths" or "mask" not in inputs}
        return super().admit(operation, left, attributes)
