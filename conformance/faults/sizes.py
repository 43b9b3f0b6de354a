"""Faults of sizes: code that is right for small arrays and wrong from some size on, or beside a multiple of one."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, valid_of, with_inputs, with_steps
from rnnspec.conformance.faults.crf_loops import Chains, CrfLoops
from rnnspec.conformance.faults.fault import plant
from rnnspec.conformance.faults.gru_loops import GruLoops
from rnnspec.conformance.faults.loops import Attributes
from rnnspec.conformance.faults.lstm_loops import LstmLoops
from rnnspec.conformance.faults.rnn_loops import RnnLoops
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec.arrays import Array, NamedArrays


@plant("gru")
class StepsAfter64Dropped(GruLoops):
    """Steps after the 64th are taken for padding: the kernel's buffer holds so many."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        valid = np.array(super().valid_steps(x, lengths, mask, a))
        valid[:, 64:] = False
        return valid


@plant("lstm")
class TailAfterBlocksOf32Lost(LstmLoops):
    """Where there are 256 units or more, those after the last whole block of 32 get nothing from products: the loop has
    no tail."""

    def product(self, x: Array, M: Array) -> Array:
        products = super().product(x, M)
        if len(M) >= 256:
            products[:, len(M) - len(M) % 32 :] = 0
        return products


@plant("dense")
class TailAfterBlocksOf8Lost(Altered):
    """Where there are more than 8 outputs, those after the last whole block of 8 get no bias: the vectorised loop has
    no tail."""

    def altered(self, call: Call) -> Call:
        b = np.array(call.inputs["b"])
        if len(b) > 8:
            b[len(b) - len(b) % 8 :] = 0
        return with_inputs(call, b=b)


@plant("attention_scores")
class FeaturesInBlocksOf16(Altered):
    """Where there are more than 16 features, those after the last whole block of 16 are left out of the score."""

    def altered(self, call: Call) -> Call:
        q = np.array(call.inputs["q"])
        if q.shape[2] > 16:
            q[:, :, q.shape[2] - q.shape[2] % 16 :] = 0
        return with_inputs(call, q=q)


@plant("rnn_cell")
class FeaturesInFours(RnnLoops):
    """Features are read four at a time, and of more than four those that are left over are not read."""

    def input_product(self, x: Array, W: Array) -> Array:
        features = x.shape[1]
        read = features if features < 4 else features - features % 4
        return super().input_product(x[:, :read], W[:, :read])


@plant("dropout")
class RowsAfterTheGrid(Altered):
    """Rows after the 65,535th are not computed: a grid has no more blocks along its second axis."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        for output in outputs:
            output[65535:] = 0
        return outputs

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        for name in call.spec.inputs:
            if name in gradients and call.spec.inputs[name].per_sequence:
                gradients[name][65535:] = 0
        return gradients


@plant("crf_log_partition")
class LastBlockOfStepsDropped(CrfLoops):
    """Where there are more than 32 steps, those after the last whole block of 32 are left out."""

    def valid_steps(self, valid: Array, call: NamedArrays) -> Array:
        steps = valid.shape[1]
        kept = steps if steps <= 32 else steps - steps % 32
        return np.asarray(valid & (np.arange(steps) < kept))


@plant("cross_entropy")
class ClassesAfter128Uncounted(Altered):
    """The sum of exponentials is over 128 classes at most: one for each thread of a block."""

    def altered(self, call: Call) -> Call:
        logits = call.inputs["logits"]
        if logits.shape[2] <= 128:
            return call
        # Next to nothing, so that what it is for the target stays finite.
        fewer = np.where(np.arange(logits.shape[2]) < 128, logits, logits - 30).astype(logits.dtype)
        return with_inputs(call, logits=fewer)


@plant("layer_norm_lstm_cell")
class GainOfUnitsAfter256Ignored(Altered):
    """The gain of units after the 256th is taken for 1: a block has so many threads."""

    def altered(self, call: Call) -> Call:
        gain = np.array(call.inputs["gain"])
        gain[:, 256:] = 1
        return with_inputs(call, gain=gain)


@plant("attention_weights")
class StepsCountedInAByte(Altered):
    """Lengths are kept in a byte: one of 256 is 0."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        counts = valid.sum(axis=1)
        return with_steps(call, valid & (counts < 256)[:, np.newaxis]) if valid.size else call


@plant("dropout")
class ElementsAfter20BitsKept(Altered):
    """Elements after the 2^20th are neither dropped nor rescaled: so many is the most that a launch covers."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        (y,) = outputs
        y.reshape(-1)[2**20 :] = call.inputs["x"].reshape(-1)[2**20 :]
        return (y,)


@plant("clip_by_norm", "clip_by_global_norm")
class ElementsAfter17BitsUnclipped(Altered):
    """Elements after the 2^17th come back as they are: the grid of the kernel has no more threads."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        given = list(call.inputs.values())
        for output, x in zip(outputs, given, strict=False):
            if output.ndim:
                output[2**17 :] = x[2**17 :]
        return outputs


@plant("ctc_loss")
class LabelsAfter1024LeftOut(Altered):
    """Labels after the 1,024th are left out: a block has so many threads."""

    def altered(self, call: Call) -> Call:
        return with_inputs(call, label_lengths=np.minimum(call.inputs["label_lengths"], 1024))


@plant("context_vector")
class LastOf64Steps(Altered):
    """Where there are lengths, the last step of each sequence is looked for among the first 64."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        if call.attributes["source"] == "last" and "lengths" in call.inputs:
            valid[:, 64:] = False
        return with_steps(call, valid)


@plant("dense", "lstm_cell")
class CornerBeyond64Lost(Altered):
    """The last tile of 64 by 64 outputs is not written where sequences and units both have more than one."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        for output in outputs:
            output[64:, 64:] = 0
        return outputs


@plant("gru_cell")
class SequencesAfter1056Repeated(Altered):
    """Of up to 2,048 sequences, those after the 1,056th are computed from the one before them."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        for output in outputs:
            if 1056 < len(output) <= 2048:
                output[1056:] = output[1055]
        return outputs


@plant("gru")
class StepsAfter1032Unread(GruLoops):
    """A sequence of more than 1,032 steps is read up to there: its buffer has some to spare beyond 1,024."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        valid = np.array(super().valid_steps(x, lengths, mask, a))
        valid[:, 1032:] = False
        return valid


@plant("crf_score")
class ChainOfOneStepWithoutItsEnd(CrfLoops):
    """Where a sequence has one step, the score of the end is left out: the loop over the moves adds it."""

    def of_end(self, c: Chains) -> Array:
        return super().of_end(c) if c.steps > 1 else np.zeros(len(c.places))


@plant("gru")
class StateForgottenWithoutAStep(Altered):
    """The final state of a batch without a step is 0 in place of the initial one: room for it was made and left so."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        y, *states = outputs
        return (y, *(np.zeros_like(state) if y.shape[1] == 0 else state for state in states))


@plant("attention")
class MaskOf16Bits(Altered):
    """Beyond 65,536 keys, the mask is read from its beginning again."""

    def altered(self, call: Call) -> Call:
        steps = call.inputs["k"].shape[1]
        if steps <= 1 << 16 or not {"mask", "lengths"} & call.inputs.keys():
            return call
        return with_steps(call, valid_of(call)[:, np.arange(steps) % (1 << 16)])


@plant("rnn")
class LengthsInAByteBeyond255(Altered):
    """Lengths are kept in a byte: 257 steps are one."""

    def altered(self, call: Call) -> Call:
        return with_inputs(call, lengths=call.inputs["lengths"] % 256) if "lengths" in call.inputs else call


@plant("log_softmax")
class UnalignedRowsSummedAmiss(Altered):
    """Of more than 256 numbers that are no whole fours, every row but the first is normalised by the row before."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        x, (y,) = call.inputs["x"], outputs
        if x.shape[-1] <= 256 or x.shape[-1] % 4 == 0 or {"mask", "lengths"} & call.inputs.keys() or len(x) < 2:
            return outputs
        sums = np.roll(x.max(axis=-1) - y.max(axis=-1), 1, axis=0)
        sums[0] = x[0].max(axis=-1) - y[0].max(axis=-1)
        return (np.asarray(x - sums[..., np.newaxis], y.dtype),)


@plant("ctc_loss")
class LastOf256LabelsLost(Altered):
    """Of exactly 256 labels, the last one is left out: the kernel takes as many threads, and one for the end."""

    def altered(self, call: Call) -> Call:
        lengths = np.array(call.inputs["label_lengths"])
        return with_inputs(call, label_lengths=np.where(lengths == 256, 255, lengths))


@plant("one_to_many")
class LastOf32StepsTwice(Altered):
    """Of whole blocks of 32 steps, the last one is the step before once more; gradients are right."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        y = np.array(outputs[0])
        if y.shape[1] and y.shape[1] % 32 == 0:
            y[:, -1] = y[:, -2]
        return (y, *outputs[1:])


@plant("context_vector")
class StepsCountedInTwoBytes(Altered):
    """The mean divides by the number of steps in float16, which has no odd number beyond 2,048; gradients are right."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        if "mean" not in call.attributes["source"]:
            return outputs
        count = valid_of(call).sum(axis=1).astype(np.float64)
        too_much = np.where(count > 2048, count / np.maximum(count.astype(np.float16), 1), 1)
        return (np.asarray(outputs[0] * too_much[:, np.newaxis], outputs[0].dtype),)


@plant("softmax")
class GreatestOfTheFirst64(Altered):
    """The greatest of the first 64 numbers is subtracted: another one may still overflow; gradients are right."""

    def shown(self, call: Call, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        x = call.inputs["x"]
        if x.shape[-1] <= 64 or not valid_of(call).all():
            return outputs
        exponentials = np.exp(x - x[..., :64].max(axis=-1, keepdims=True))
        return (np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), outputs[0].dtype),)


@plant("mgu_cell")
class TailOfTheRecurrentGradient(Altered):
    """Beyond 64 units, the last four of the recurrent matrix's gradient are left out; only gradients are wrong."""

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        dR = np.array(gradients["R"])
        if dR.shape[-1] > 64 and dR.shape[-1] % 8 == 4:
            dR[..., -4:] = 0
        return {**gradients, "R": dR}


@plant("layer_norm_lstm")
class GainInTwoBytesAtLast(Altered):
    """From 32 sequences of 32 steps on, the gain's gradient is rounded to bfloat16; only gradients are wrong."""

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        if min(call.inputs["x"].shape[:2]) < 32:
            return gradients
        return {
            **gradients,
            "gain": gradients["gain"].astype(format_of("bfloat16").dtype).astype(gradients["gain"].dtype),
        }
