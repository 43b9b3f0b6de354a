"""ONNX's recurrent operators as models of one node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import onnx

from rnnspec.backends import Call, Unsupported
from rnnspec.backends.layouts.gates import Family
from rnnspec.backends.libraries.onnx_export import exported, outputs_of
from rnnspec.conformance.bench.contenders.library import Library, Made, refuse_all_but
from rnnspec.spec.arrays import NamedArrays

FAMILIES: Final[Mapping[str, Family]] = {"rnn": "rnn", "lstm": "lstm", "gru": "gru"}


class OnnxLayers(Library):
    """Base class of contenders that run ONNX's RNN, LSTM and GRU. Subclasses give `load`."""

    offers: ClassVar[tuple[str, ...]] = tuple(FAMILIES)

    def load(self, model: onnx.ModelProto) -> Callable[[NamedArrays], Any]:
        """Return a function that runs the model, from its inputs by name to its outputs in order."""
        raise NotImplementedError

    def versions(self) -> dict[str, str]:
        """Version of ONNX; subclasses add their own."""
        return {"onnx": onnx.__version__}

    def make(self, call: Call) -> Made:
        """Make the model, with constant weights, and load it; the axis of steps comes first, as in ONNX."""
        attributes = call.attributes
        refuse_all_but(
            call,
            attributes=("direction", "activation", "reset", "update"),
            inputs=("h0", "c0", "lengths", "b_rn", "b_R"),
        )
        if attributes.get("activation", "tanh") not in (("tanh", "relu") if call.operation == "rnn" else ("tanh",)):
            raise Unsupported(f"activation = {attributes['activation']!r} is not mapped to the library")
        made = exported(FAMILIES[call.operation], call.inputs, call.attributes)
        run = self.load(made.model)
        return Made(lambda: run(made.feed), outputs_of)
