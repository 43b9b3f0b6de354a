"""Faults of axes that are taken for each other: most show only where two sizes are equal."""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of those of the class it is derived from)
from __future__ import annotations

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, with_inputs
from rnnspec.conformance.faults.fault import LAYERS, plant
from rnnspec.conformance.faults.loops import Loops
from rnnspec.spec.arrays import Array, NamedArrays


@plant(*LAYERS)
class TimeAndBatchConfused(Loops):
    """Time-major memory is read as batch-major."""

    def cleaned(self, x: Array, valid: Array) -> Array:
        batch, steps, features = x.shape
        return super().cleaned(x.reshape(steps, batch, features).swapaxes(0, 1), valid)


def _swapped(array: Array) -> Array:
    """The first two axes exchanged where they are equal."""
    return array.swapaxes(0, 1) if array.shape[0] == array.shape[1] else array


@plant("rnn")
class StepsTakenForSequences(Altered):
    """Where there are as many steps as sequences, the input is taken to have the steps first."""

    def altered(self, call: Call) -> Call:
        return with_inputs(call, x=_swapped(call.inputs["x"]))

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        return {name: _swapped(d) if name == "x" else d for name, d in gradients.items()}


@plant("peephole_lstm_cell", "nested_lstm_cell")
class InputWeightsTransposed(Altered):
    """Where there are as many features as units, W is read as its transpose: a square matrix fits either way."""

    def altered(self, call: Call) -> Call:
        W = call.inputs["W"]
        return with_inputs(call, W=W.swapaxes(1, 2) if W.shape[1] == W.shape[2] else W)

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        return {
            name: d.swapaxes(1, 2) if name == "W" and d.shape[1] == d.shape[2] else d for name, d in gradients.items()
        }


@plant("output_projection")
class OutputWeightsTransposed(Altered):
    """Where there are as many outputs as units, V is read as its transpose."""

    def altered(self, call: Call) -> Call:
        return with_inputs(call, V=_swapped(call.inputs["V"]))

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        return {name: _swapped(d) if name == "V" else d for name, d in gradients.items()}


@plant("crf_log_likelihood")
class TagsTakenForSteps(Altered):
    """Where there are as many tags as steps, emissions are read with the tags before the steps."""

    def altered(self, call: Call) -> Call:
        emissions = call.inputs["emissions"]
        square = emissions.shape[1] == emissions.shape[2]
        return with_inputs(call, emissions=emissions.swapaxes(1, 2) if square else emissions)

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        return {
            name: d.swapaxes(1, 2) if name == "emissions" and d.shape[1] == d.shape[2] else d
            for name, d in gradients.items()
        }


@plant("cross_entropy")
class StepsTakenForClasses(Altered):
    """Where there are as many classes as steps, the logits are read with the classes before the steps."""

    def altered(self, call: Call) -> Call:
        logits = call.inputs["logits"]
        square = logits.shape[1] == logits.shape[2]
        return with_inputs(call, logits=logits.swapaxes(1, 2) if square else logits)

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        return {
            name: d.swapaxes(1, 2) if name == "logits" and d.shape[1] == d.shape[2] else d
            for name, d in gradients.items()
        }
