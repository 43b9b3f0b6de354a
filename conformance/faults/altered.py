"""The reference on another call than the one that was made, or with other results, as a wrong kernel computes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.spec import check_call
from rnnspec.spec.arrays import Array, NamedArrays


class Other(Backend):
    """The right results of another call, or other results; a fault overrides a method below. Bad input is refused."""

    checks_calls = False  # the call that was made is checked, not the one that is computed

    def altered(self, call: Call) -> Call:
        """The call that is computed in the place of the one that was made."""
        return call

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """The outputs that are returned, where these were computed."""
        return outputs

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        """The gradients that are returned, where these were computed."""
        return gradients

    def received(self, cotangents: Cotangents) -> Cotangents:
        """The cotangents as they are read."""
        return cotangents

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the call."""
        check_call(call.operation, call.inputs, call.attributes)
        with np.errstate(all="ignore"):
            return self.shown(call, super().run(self.altered(call)))

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> NamedArrays:
        """Gradients of the call."""
        check_call(call.operation, call.inputs, call.attributes)
        with np.errstate(all="ignore"):
            found = super().gradients(self.altered(call), self.received(cotangents), wanted)
            return self.shown_gradients(call, found)


class Altered(Other, NumpyBackend):
    """The reference of another call, or with other results."""

    name = "altered"


class Misread(Altered):
    """The reference on inputs that are read in another order, in which their gradients come too."""

    inputs: ClassVar[tuple[str, ...]]

    def read(self, array: Array) -> Array:
        """One of these inputs, or its gradient; twice read, an array is as it was."""
        raise NotImplementedError

    def altered(self, call: Call) -> Call:
        """The call with these inputs as they are read."""
        return with_inputs(call, **{k: self.read(call.inputs[k]) for k in self.inputs if k in call.inputs})

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        """The gradients with those of these inputs in the order of their reading."""
        return {name: self.read(d) if name in self.inputs else d for name, d in gradients.items()}


def with_inputs(call: Call, **changed: Array) -> Call:
    """The call with other arrays in the place of some; those that it does not have are left out."""
    return Call(call.operation, {**call.inputs, **changed}, call.attributes)


def with_steps(call: Call, valid: Array) -> Call:
    """The call with these valid steps ``(B, T)``, given by a mask."""
    inputs = {name: array for name, array in call.inputs.items() if name != "lengths"}
    return Call(call.operation, {**inputs, "mask": valid}, call.attributes)


def with_all_steps(call: Call) -> Call:
    """The call with all its steps valid."""
    return with_steps(call, np.ones_like(valid_of(call)))


def valid_last(call: Call, array: Array) -> Array:
    """The valid steps of a call, to broadcast with an array that has the steps on its last axis."""
    valid = valid_of(call)
    return valid.reshape(len(valid), *[1] * (array.ndim - 2), -1)


def valid_of(call: Call) -> Array:
    """The valid steps of a call, (B, T)."""
    valid = check_call(call.operation, call.inputs, call.attributes).valid
    assert valid is not None  # the operation has steps
    return np.array(valid)
