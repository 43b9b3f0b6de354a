"""Faults of axes that are taken for each other: most show only where two sizes are equal."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from typing import ClassVar

from rnnspec.conformance.faults.altered import Misread
from rnnspec.conformance.faults.fault import LAYERS, plant
from rnnspec.conformance.faults.loops import Loops
from rnnspec.spec.arrays import Array


@plant(*LAYERS)
class TimeAndBatchConfused(Loops):
    """Time-major memory is read as batch-major."""

    def cleaned(self, x: Array, valid: Array) -> Array:
        batch, steps, features = x.shape
        return super().cleaned(x.reshape(steps, batch, features).swapaxes(0, 1), valid)


class Exchanged(Misread):
    """The reference on inputs of which two axes are taken for each other where they are equal."""

    axes: ClassVar[tuple[int, int]] = 1, 2

    def read(self, array: Array) -> Array:
        one, other = self.axes
        return array.swapaxes(one, other) if array.shape[one] == array.shape[other] else array


@plant("rnn")
class StepsTakenForSequences(Exchanged):
    """Where there are as many steps as sequences, the input is taken to have the steps first."""

    inputs, axes = ("x",), (0, 1)


@plant("peephole_lstm_cell", "nested_lstm_cell")
class InputWeightsTransposed(Exchanged):
    """Where there are as many features as units, W is read as its transpose: a square matrix fits either way."""

    inputs = ("W",)


@plant("output_projection")
class OutputWeightsTransposed(Exchanged):
    """Where there are as many outputs as units, V is read as its transpose."""

    inputs, axes = ("V",), (0, 1)


@plant("crf_log_likelihood")
class TagsTakenForSteps(Exchanged):
    """Where there are as many tags as steps, emissions are read with the tags before the steps."""

    inputs = ("emissions",)


@plant("cross_entropy")
class StepsTakenForClasses(Exchanged):
    """Where there are as many classes as steps, the logits are read with the classes before the steps."""

    inputs = ("logits",)
