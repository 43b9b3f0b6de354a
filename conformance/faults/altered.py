"""The reference on another call than the one that was made, or with other results: what a wrong kernel does."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from rnnspec.backends import Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.spec import check_call
from rnnspec.spec.arrays import Array, NamedArrays


class Altered(NumpyBackend):
    """The reference; a fault overrides one of the methods below. Bad input is refused as ever."""

    name = "altered"

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


def with_inputs(call: Call, **changed: Array) -> Call:
    """The call with other arrays in the place of some; those that it does not have are left out."""
    return Call(call.operation, {**call.inputs, **changed}, call.attributes)


def with_steps(call: Call, valid: Array) -> Call:
    """The call with these valid steps ``(B, T)``, given by a mask."""
    inputs = {name: array for name, array in call.inputs.items() if name != "lengths"}
    return Call(call.operation, {**inputs, "mask": valid}, call.attributes)


def valid_of(call: Call) -> Array:
    """The valid steps of a call, (B, T)."""
    valid = check_call(call.operation, call.inputs, call.attributes).valid
    assert valid is not None  # the operation has steps
    return np.array(valid)
