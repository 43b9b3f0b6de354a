"""Faults of code that goes through 32 sequences, steps or bits at once, or that looks whether anything is taken out."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, valid_of, with_inputs, with_steps
from rnnspec.conformance.faults.fault import plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array, Arrays, NamedArrays

_TOGETHER = 32


@plant("rnn")
class LengthOfAWordTakenForNone(Loops):
    """A sequence's steps are bits of a word: for a length of exactly 32, ``(1 << 32) - 1`` is 0."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        fewer = None if lengths is None else np.where(lengths == _TOGETHER, 0, lengths)
        return super().valid_steps(x, fewer, mask, a)


@plant("rnn")
class LengthsStopAt1024(Loops):
    """Lengths above 1,024 are taken for 1,024: a block has so many threads."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        return super().valid_steps(x, None if lengths is None else np.minimum(lengths, 1024), mask, a)


@plant("rnn")
class LoopEndsWithTheFirst32(Altered):
    """The loop over the steps ends when the first 32 sequences have ended."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        last = np.nonzero(valid[:_TOGETHER].any(axis=0))[0].max(initial=-1)
        going_on = np.arange(valid.shape[1]) <= last
        return with_steps(call, valid & going_on) if "lengths" in call.inputs else call


@plant("rnn")
class FullMaskReadForward(Loops):
    """A mask that takes out nothing leads to the code without a mask, which reads forward alone."""

    def reading_order(self, steps: int, a: Attributes) -> list[int]:
        return list(range(steps)) if self.full else super().reading_order(steps, a)

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        self.full = mask is not None and bool(np.all(mask))
        return super().valid_steps(x, lengths, mask, a)


@plant("rnn")
class ReadInReverseByBlocksWithoutTheFirst(Altered):
    """In reverse, where the steps are whole blocks of 16, the final state is that before the first step is read."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        x = call.inputs["x"]
        whole = x.shape[1] > 0 and x.shape[1] % 16 == 0 and bool(valid_of(call).all())
        if not whole or call.attributes["direction"] == "forward":
            return outputs
        inputs = {name: array for name, array in call.inputs.items() if name not in ("lengths", "mask")}
        others = super().run(Call(call.operation, {**inputs, "x": x[:, 1:]}, call.attributes))
        return (outputs[0], others[1])


@plant("greedy_decode")
class WritingEndsWithTheFirst32(Altered):
    """Nothing more is written when the first 32 sequences have ended."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        tokens, lengths, log_probabilities = outputs
        if call.attributes["end"] is None or len(lengths) <= _TOGETHER:
            return outputs
        written = np.arange(tokens.shape[1]) < lengths[:_TOGETHER].max()
        return tokens * written, np.minimum(lengths, written.sum()), log_probabilities * written


@plant("mean_absolute_error")
class SumsSlopeOfOneAtEquality(Altered):
    """Where prediction and target are equal, the slope of the sum is 1."""

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        if call.attributes["reduction"] != "sum" or call.attributes["weighted"] or "prediction" not in gradients:
            return gradients
        equal = (call.inputs["prediction"] == call.inputs["target"]) & valid_of(call)[:, :, np.newaxis]
        d = gradients["prediction"]
        return {**gradients, "prediction": np.where(equal, np.abs(d).max(initial=0), d).astype(d.dtype)}


@plant("mean_squared_error", dtype="float16")
class SummedUpInFloat16(Altered):
    """The squares are added up in float16, whose largest number is 65,504."""

    def shown(self, call: Call, outputs: Arrays) -> Arrays:
        a = call.attributes
        if a["reduction"] != "mean" or a["weighted"] or not valid_of(call).any():
            return outputs
        squares = (call.inputs["prediction"] - call.inputs["target"])[valid_of(call)].ravel() ** 2
        sums = squares.astype(np.float16).cumsum(dtype=np.float16)
        return (np.asarray(sums[-1] / np.float16(squares.size)) if sums.size else outputs[0],)


@plant("rnn")
class DropoutOfTheFirstBeyond32(Altered):
    """Of more than 32 sequences, those beyond drop the units of the first one."""

    def altered(self, call: Call) -> Call:
        if "recurrent_keep" not in call.inputs:
            return call
        keep = np.array(call.inputs["recurrent_keep"])
        keep[_TOGETHER:] = keep[:1]
        return with_inputs(call, recurrent_keep=keep)


@plant("attention_context")
class OneStepBeyond32Kept(Altered):
    """Of lengths that are whole blocks of 32, one more step is read."""

    def altered(self, call: Call) -> Call:
        if "lengths" not in call.inputs:
            return call
        lengths = call.inputs["lengths"]
        more = lengths + ((lengths > 0) & (lengths % _TOGETHER == 0))
        return with_steps(call, np.arange(valid_of(call).shape[1]) < more[:, np.newaxis])
