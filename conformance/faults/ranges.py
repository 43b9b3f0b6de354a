"""Faults at the ends of what a number may be: large ones are capped or overflow, and 0 is taken for nothing."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from typing import Any

import numpy as np

from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.faults.altered import Altered, with_inputs
from rnnspec.conformance.faults.fault import plant
from rnnspec.conformance.faults.functions import Function
from rnnspec.conformance.faults.gru_loops import GruLoops
from rnnspec.conformance.faults.loops import Attributes
from rnnspec.conformance.faults.lstm_loops import LstmLoops
from rnnspec.spec.arrays import Array, NamedArrays


@plant("gru")
class TruncationBeyondTheEndCutsAtIt(GruLoops):
    """A truncation of T steps or more is brought down to the last step but one, and cuts there."""

    def layer(self, operation: str, call: Any) -> Any:
        truncate, steps = call["truncate"], call["x"].shape[1]
        capped = truncate if truncate is None or truncate < steps else max(steps - 1, 1)
        return super().layer(operation, {**call, "truncate": capped})


@plant("lstm_cell")
class ClipAbove10Ignored(LstmLoops):
    """A clip of more than 10 is taken for none, as arguments are small anyway."""

    def clipped(self, argument: Array, a: Attributes) -> Array:
        return argument if a["clip"] is not None and a["clip"] > 10 else super().clipped(argument, a)

    def within(self, argument: Array, a: Attributes) -> Array:
        large = a["clip"] is not None and a["clip"] > 10
        return np.ones_like(argument) if large else super().within(argument, a)


@plant("dropout")
class DropoutRateOfZeroTakenForNone(Altered):
    """A rate of 0 is taken for no dropout: features that the mask drops are kept."""

    def altered(self, call: Call) -> Call:
        return call if call.attributes["p"] else with_inputs(call, keep=np.ones_like(call.inputs["keep"]))


@plant("dropout")
class DropoutRateBelowATenthNotRescaled(Altered):
    """At a rate of less than a tenth, kept features are not rescaled: the factor is near enough to 1."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        p = call.attributes["p"]
        return tuple((y * (1 - p)).astype(y.dtype) for y in outputs) if p < 0.1 else outputs


@plant("lstm")
class RecurrentDropoutRateOfZeroTakenForNone(LstmLoops):
    """A rate of 0 is taken for no recurrent dropout: ``if rate`` stands where ``if rate is not None`` should."""

    def seen(self, states: NamedArrays, keep: Array | None, a: Attributes) -> NamedArrays:
        return super().seen(states, keep, a) if a["recurrent_dropout"] else states


@plant("clip_by_value")
class ThresholdAbove4TakenForNone(Altered):
    """A threshold of more than 4 is taken for none."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        return (np.array(call.inputs["x"]),) if call.attributes["threshold"] > 4 else outputs


@plant("lstm_cell")
class LogisticOverflows(LstmLoops):
    """The logistic is ``exp(a) / (1 + exp(a))``, which is no number for large a."""

    def function(self, name: str) -> Function:
        if name != "logistic":
            return super().function(name)

        def value(a: Array) -> Array:
            with np.errstate(over="ignore", invalid="ignore"):
                return np.asarray(np.exp(a) / (1 + np.exp(a)))

        return Function(value, super().function(name).slope)


@plant("one_to_many")
class StepsAfter32Repeated(Altered):
    """A buffer holds 32 steps: each one after them is shown as the 32nd."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        y, *states = outputs
        if y.shape[1] > 32:
            y[:, 32:] = y[:, 31:32]
        return (y, *states)


@plant("recurrent_power_spectrum")
class PowersAfterThe16thRepeated(Altered):
    """The 16th power is shown in the place of all after it."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        for output in outputs:
            output[16:] = output[15:16]
        return outputs


@plant("state_jacobian")
class SinceBeyondTheEndTakenForTheLast(Altered):
    """A product that begins after the last step is taken to begin with it."""

    def altered(self, call: Call) -> Call:
        steps = call.inputs["x"].shape[1]
        since = min(call.attributes["since"], max(steps - 1, 0))
        return Call(call.operation, call.inputs, {**call.attributes, "since": since})


@plant("greedy_decode")
class EndAfter16StepsUnnoticed(Altered):
    """Whether the end has been written is looked up in the first 16 tokens alone."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        tokens, lengths, *_ = outputs
        late = (lengths > 16) & (lengths < tokens.shape[1])
        if not late.any():
            return outputs
        endless = Call(call.operation, call.inputs, {**call.attributes, "end": None, "minimum": 0})
        others = NumpyBackend().run(endless)
        return tuple(
            np.where(late.reshape(-1, *[1] * (mine.ndim - 1)), other, mine)
            for mine, other in zip(outputs, others, strict=True)
        )
