"""Faults of the steps that are taken out, of lengths and masks, and of what flows from step to step."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the loops')
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnspec.conformance.faults.fault import LAYERS, plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, NamedArrays


@plant(*LAYERS)
class ReverseOverThePadding(Loops):
    """In reverse, the padding is read first: the state that meets the last valid step is not the initial one."""

    def carried(self, after: NamedArrays, before: NamedArrays, valid: Array, a: Attributes) -> NamedArrays:
        everywhere = np.ones_like(valid)
        return super().carried(after, before, valid if a["direction"] == "forward" else everywhere, a)


@plant(*LAYERS)
class MaskNotReversed(Loops):
    """In reverse, the input is flipped and the mask is not."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        valid = super().valid_steps(x, lengths, mask, a)
        return valid if a["direction"] == "forward" else valid[:, ::-1]


@plant(*LAYERS)
class FinalStateAtTheEnd(Loops):
    """The final state is the output at the last step of the array, also where padding or a reverse reading ends it."""

    def final(self, states: NamedArrays, y: Array, valid: Array) -> NamedArrays:
        return {**states, "h": y[:, -1]} if y.shape[1] else states


@plant(*LAYERS)
class PaddingReachesTheState(Loops):
    """Steps that are taken out give no output, but the state runs on through them."""

    def carried(self, after: NamedArrays, before: NamedArrays, valid: Array, a: Attributes) -> NamedArrays:
        return {state: after[state] for state in self.states}


@plant(*LAYERS)
class PaddingRepeatsTheOutput(Loops):
    """The output of a step that is taken out is the last one before it, as of Keras by default, not 0."""

    def step_output(self, after: NamedArrays, carried: NamedArrays, valid: Array) -> Array:
        return carried["h"]


@plant(*LAYERS)
class PaddingShowsAnOutput(Loops):
    """Steps that are taken out have the output that they would have were they valid."""

    def step_output(self, after: NamedArrays, carried: NamedArrays, valid: Array) -> Array:
        return after["h"]


@plant(*LAYERS)
class LengthsIgnored(Loops):
    """All sequences have full length."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        return super().valid_steps(x, None, mask, a)


@plant(*LAYERS)
class LengthsOneShort(Loops):
    """The last valid step of a sequence is left out."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        return super().valid_steps(x, None if lengths is None else np.maximum(lengths - 1, 0), mask, a)


@plant(*LAYERS)
class MaskIgnored(Loops):
    """The mask has no effect."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        return super().valid_steps(x, lengths, None, a)


@plant(*LAYERS)
class MaskInverted(Loops):
    """True marks the padding."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        return super().valid_steps(x, lengths, None if mask is None else ~mask, a)


@plant(*LAYERS)
class MaskTakenForItsLength(Loops):
    """A mask is read as a length, the number of its valid steps, wherever they stand."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        return super().valid_steps(x, lengths if mask is None else mask.sum(axis=1), None, a)


@plant(*LAYERS)
class PaddingTimesZero(Loops):
    """The padding is multiplied by 0, which leaves NaN as it is."""

    def cleaned(self, x: Array, valid: Array) -> Array:
        return np.asarray(x * valid[:, :, np.newaxis].astype(x.dtype))


@plant(*LAYERS)
class StateBlendedByTheMask(Loops):
    """The state passes by as ``m h + (1 - m) h_prev``, and nothing keeps NaN in the padding out of h."""

    def cleaned(self, x: Array, valid: Array) -> Array:
        return x

    def carried(self, after: NamedArrays, before: NamedArrays, valid: Array, a: Attributes) -> NamedArrays:
        m = valid.astype(before["h"].dtype)
        return {state: m * after[state] + (1 - m) * before[state] for state in self.states}


@plant(*LAYERS)
class GradientForgetsAStep(Loops):
    """A parameter's gradient leaves out the step that was read first."""

    def accumulated(self, dp: Sequence[NamedArrays], p: NamedArrays) -> NamedArrays:
        return super().accumulated(dp[:-1], p)


@plant(*LAYERS)
class GradientCountsAStepTwice(Loops):
    """A parameter's gradient counts the step that was read last twice."""

    def accumulated(self, dp: Sequence[NamedArrays], p: NamedArrays) -> NamedArrays:
        return super().accumulated([*dp[:1], *dp], p)


@plant(*LAYERS)
class GradientStopsAtThePadding(Loops):
    """Steps that are taken out do not pass the gradient by."""

    def passed_back(self, dbefore: NamedArrays, dafter: NamedArrays, valid: Array) -> NamedArrays:
        return {state: np.where(valid, d, d.dtype.type(0)) for state, d in dbefore.items()}


@plant(*LAYERS)
class GradientOfThePadding(Loops):
    """The gradient of outputs in the padding, which are always 0, reaches the state."""

    def arrived(self, dstates: NamedArrays, dy: Array, valid: Array) -> NamedArrays:
        return super().arrived(dstates, dy, np.ones_like(valid))


@plant(*LAYERS)
class TruncationCountsThePadding(Loops):
    """Steps that are taken out count where the gradient is cut, as if they had been read."""

    def counted_as_read(self, valid: Array) -> Array:
        return np.ones_like(valid)
