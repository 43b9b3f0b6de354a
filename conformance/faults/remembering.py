"""Faults that no single call shows: a result of an earlier call is used again where it should not be."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec import spec
from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, Other
from rnnspec.conformance.faults.fault import LAYERS, plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays


class Remembering(Loops):
    """Prepares something once for each set of parameters, and recognises the set by its numbers."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._parameters: tuple[bytes, ...] = ()
        self._attributes: dict[tuple[bytes, ...], Attributes] = {}
        self._valid: dict[tuple[tuple[bytes, ...], int], Array] = {}
        self._steps: dict[tuple[tuple[bytes, ...], bytes, bytes], Array] = {}
        self._inputs: dict[tuple[tuple[bytes, ...], tuple[int, ...]], Array] = {}
        self._recognised: dict[tuple[tuple[bytes, ...], tuple[int, ...], tuple[int, ...]], Array] = {}

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        """Take note of the call's parameters."""
        given = super().admit(operation, inputs, attributes)
        self._parameters = tuple(
            inputs[name].tobytes() for name in spec.operation(operation).parameters if name in inputs
        )
        return given


@plant(*LAYERS)
class AttributesOfTheFirstCall(Remembering):
    """The attributes of the first call with some parameters hold for all later ones."""

    def admit(self, operation: str, inputs: NamedArrays, attributes: Attributes) -> Attributes:
        given = super().admit(operation, inputs, attributes)
        return self._attributes.setdefault(self._parameters, given)


@plant(*LAYERS)
class LengthsOfTheFirstCall(Remembering):
    """The lengths of the first call with some parameters hold for all later ones of as many steps and no more rows."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        valid = super().valid_steps(x, lengths, mask, a)
        kept = self._valid.setdefault((self._parameters, x.shape[1]), valid)
        return kept[: len(x)] if len(kept) >= len(x) else valid


@plant(*LAYERS)
class InputOfTheFirstCall(Remembering):
    """The first call's product of some parameters and its input is used for all later calls of the same shape."""

    def cleaned(self, x: Array, valid: Array) -> Array:
        return self._inputs.setdefault((self._parameters, x.shape), np.array(super().cleaned(x, valid)))


@plant(*LAYERS)
class InputByItsChecksum(Remembering):
    """An input is recognised by the sum of its bytes, and one read before that had it is read again in its place."""

    def cleaned(self, x: Array, valid: Array) -> Array:
        cleaned = np.array(super().cleaned(x, valid))
        sums = tuple(sum(row.tobytes()) for row in cleaned)
        return self._recognised.setdefault((self._parameters, x.shape, sums), cleaned)


@plant(*LAYERS)
class SequenceAloneLookedUp(Remembering):
    """A sequence that comes alone is looked up among those of earlier batches, all kept with the first one's steps."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        valid = super().valid_steps(x, lengths, mask, a)
        for row, own in zip(x, valid, strict=True):
            kept = self._steps.setdefault((self._parameters, row.tobytes(), own.tobytes()), valid[0])
        return kept[np.newaxis] if len(x) == 1 else valid


class KnowingArrays(Other):
    """Remembers the last result by the very array that was given."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._known: dict[int, tuple[Array, Array]] = {}

    def last(self, array: Array, result: Array) -> Array:
        """The result remembered for the array; the array is kept, so that no other has its address."""
        return self._known.setdefault(id(array), (array, result))[1]

    def remember(self, array: Array, result: Array) -> None:
        """Put what came now in the place of what was remembered."""
        self._known[id(array)] = array, result


@plant("lstm")
class RoomForTheFirstUnits(KnowingArrays):
    """Room for outputs is made once for each input array: of a wider layer over it, the units beyond stay 0."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        y, *states = outputs
        y[..., self.last(call.inputs["x"], y).shape[-1] :] = 0
        return (y, *states)


@plant("gru")
class WiderLayerReadAgain(KnowingArrays):
    """Outputs are kept by the input's array: a narrower layer over it gets the first units of the wider one."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        y, *states = outputs
        kept = self.last(call.inputs["x"], y)
        if kept.shape[:-1] == y.shape[:-1] and kept.shape[-1] > y.shape[-1]:
            return (np.array(kept[..., : y.shape[-1]]), *states)
        self.remember(call.inputs["x"], np.array(y))
        return (y, *states)


@plant("forget_only_lstm")
class SecondGradientOfACallHalved(Altered):
    """A caller that asks twice for the gradients of one call gets half of them: the tape is weighted by its readers."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._last: Call | None = None

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        again, self._last = call is self._last, call
        return {name: (d / 2).astype(d.dtype) for name, d in gradients.items()} if again else gradients
