"""Faults of encoders and decoders that are no changed equations: padding, parameters, widths of beams.

Where a fault takes other inputs, its gradients are those at these.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; the method is one of the altered reference's)
from __future__ import annotations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import Altered, Misread, valid_of, with_all_steps, with_inputs, with_steps
from rnnspec.conformance.faults.fault import plant
from rnnspec.spec.arrays import Array, NamedArrays


@plant("context_vector")
class LastAtTheEnd(Altered):
    """The last state is that of the last step of all, whether or not it is valid."""

    def altered(self, call: Call) -> Call:
        return call if call.attributes["source"] == "projected_mean" else with_all_steps(call)


@plant("context_vector")
class MeanOverThePadding(Altered):
    """The mean is taken over all steps, valid or not."""

    def altered(self, call: Call) -> Call:
        return with_all_steps(call) if call.attributes["source"] == "projected_mean" else call


@plant("seq2seq")
class EncoderReadsThePadding(Altered):
    """The encoder runs through the padding, taken for zeros, and hands on the states after it."""

    def altered(self, call: Call) -> Call:
        x = call.inputs["x"]
        zeros = np.where(valid_of(call)[:, :, np.newaxis], x, x.dtype.type(0))
        return with_all_steps(with_inputs(call, x=zeros))


@plant("seq2seq")
class SourceReversed(Misread):
    """The encoder reads the source from its end, as Sutskever, Vinyals and Le have it, without being asked."""

    inputs = ("x",)

    def read(self, array: Array) -> Array:
        return array[:, ::-1]

    def altered(self, call: Call) -> Call:
        return with_steps(super().altered(call), self.read(valid_of(call)))


@plant("seq2seq")
class ParametersShared(Altered):
    """The decoder uses the encoder's parameters wherever they have the shape of its own."""

    def altered(self, call: Call) -> Call:
        return with_inputs(call, **{mine: call.inputs[theirs] for theirs, mine in self.shared(call).items()})

    def shown_gradients(self, call: Call, gradients: NamedArrays) -> NamedArrays:
        found = dict(gradients)
        for theirs, mine in self.shared(call).items():
            if theirs in found and mine in found:
                found[theirs], found[mine] = found[theirs] + found[mine], np.zeros_like(found[mine])
        return found

    def shared(self, call: Call) -> dict[str, str]:
        """Names of the encoder's parameters and of the decoder's that are as large."""
        pairs = ((name, name.replace("encoder_", "decoder_")) for name in call.inputs if name.startswith("encoder_"))
        return {theirs: mine for theirs, mine in pairs if call.inputs[theirs].shape == call.inputs[mine].shape}


# Beams of another width. The reference has them: thousands of calls by literal equations would take minutes.


def of_width(call: Call, width: int) -> Call:
    """The call with another width of the beam."""
    return Call(call.operation, call.inputs, {**call.attributes, "width": width})


@plant("beam_search", prefix="decoding")
class BeamWidthIgnored(Altered):
    """One hypothesis is kept for every width: the search is greedy."""

    def altered(self, call: Call) -> Call:
        return of_width(call, 1)


@plant("beam_search", prefix="decoding")
class BeamOneTooNarrow(Altered):
    """One hypothesis less than the width is kept, though at least one."""

    def altered(self, call: Call) -> Call:
        return of_width(call, max(call.attributes["width"] - 1, 1))


@plant("beam_search")
class BeamNoWiderThanTheVocabulary(Altered):
    """The beam keeps no more hypotheses than there are tokens, as after its first step."""

    def altered(self, call: Call) -> Call:
        return of_width(call, min(call.attributes["width"], call.inputs["V"].shape[0]))
