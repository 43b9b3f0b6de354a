"""Faults of lengths and masks of one kind: equal, unsorted, empty, with holes, one short of all."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, valid_of, with_steps
from rnnspec.conformance.faults.fault import LAYERS, plant
from rnnspec.conformance.faults.loops import Attributes, Loops
from rnnspec.spec.arrays import Array


@plant("gru")
class EqualLengthsTakenForFull(Loops):
    """Where all sequences are of one length, none is taken to have padding."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        equal = lengths is not None and len(lengths) > 1 and bool((lengths == lengths[0]).all()) and lengths[0] > 0
        return super().valid_steps(x, None if equal else lengths, mask, a)


@plant("lstm")
class LengthsTakenToBeSorted(Loops):
    """Lengths are taken to fall from sequence to sequence: a step is taken by the first so many that have it."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        valid = super().valid_steps(x, lengths, mask, a)
        if lengths is None:
            return valid
        return np.asarray(np.arange(len(x))[:, np.newaxis] < valid.sum(axis=0))


@plant("rnn")
class EmptySequenceShiftsTheOthers(Loops):
    """Sequences without a step are taken out, and the lengths of those after them move up."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        valid = super().valid_steps(x, lengths, mask, a)
        empty = ~valid.any(axis=1)
        return np.concatenate([valid[~empty], valid[empty]]) if len(valid) else valid


@plant("bidirectional")
class HeldMaskOfOneHoleClosed(Altered):
    """A mask with one hole is taken for one without: two changes in a row are needed to notice a hole, not one."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        after = np.logical_or.accumulate(valid[:, ::-1], axis=1)[:, ::-1]
        before = np.logical_or.accumulate(valid, axis=1)
        holes = ~valid & after & before
        return with_steps(call, valid | (holes & (holes.sum(axis=1, keepdims=True) == 1)))


@plant("context_vector")
class OneShortTakenForFull(Altered):
    """Lengths of all steps but one are taken for all: the comparison is ``>= T - 1``."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        steps = valid.shape[1]
        short = (valid.sum(axis=1) == steps - 1) & (steps > 1)
        return with_steps(call, valid | short[:, np.newaxis]) if "lengths" in call.inputs else call


@plant("lstm", "crf_score")
class LooksRightPadded(Altered):
    """A mask that begins with valid steps and ends with others in every row is taken for lengths: holes are filled."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        padded = "mask" in call.inputs and valid.shape[1] > 5 and valid[:, :2].all() and not valid[:, -2:].any()
        after = np.logical_or.accumulate(valid[:, ::-1], axis=1)[:, ::-1]
        return with_steps(call, after) if padded else call


@plant("gru", "attention_context")
class LooksLeftPadded(Altered):
    """A mask that ends with valid steps and begins with others in every row is taken to have no hole."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        padded = "mask" in call.inputs and valid.shape[1] > 5 and valid[:, -2:].all() and not valid[:, :2].any()
        return with_steps(call, np.logical_or.accumulate(valid, axis=1)) if padded else call


@plant("attention_weights")
class MaskCountedInASignedByte(Altered):
    """The valid steps of a mask are counted in a signed byte: where there are more than 127, none is read."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        many = valid.sum(axis=1, keepdims=True) > 127
        return with_steps(call, valid & ~many) if "mask" in call.inputs else call


@plant("crf_marginals")
class FirstStepAlwaysTaken(Altered):
    """The first step is taken whatever the mask says: it starts the recursion."""

    def altered(self, call: Call) -> Call:
        valid = valid_of(call)
        valid[:, :1] |= valid.any(axis=1, keepdims=True)
        return with_steps(call, valid)


@plant(*LAYERS)
class NoLengthsTakenForNone(Loops):
    """Where no sequence has a step, lengths and mask are as good as not given: ``if lengths.any()``."""

    def valid_steps(self, x: Array, lengths: Array | None, mask: Array | None, a: Attributes) -> Array:
        lengths = lengths if lengths is not None and lengths.any() else None
        return super().valid_steps(x, lengths, mask if mask is not None and mask.any() else None, a)
