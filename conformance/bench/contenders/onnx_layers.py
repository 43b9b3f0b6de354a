"""ONNX's recurrent operators as models of one node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnnspec.backends import Call, Unsupported
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.gates import Family
from rnnspec.backends.layouts.onnx import from_spec
from rnnspec.conformance.bench.contenders.library import Library, Made, refuse_all_but
from rnnspec.spec.arrays import Array, NamedArrays

FAMILIES: Final[Mapping[str, Family]] = {"rnn": "rnn", "lstm": "lstm", "gru": "gru"}
OPSET: Final = 14
IR_VERSION: Final = 8
"""The version of the first release with the opset, which every runtime reads."""


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
        parameters = "W", "R", "b", "b_rn", "b_R"
        weights: dict[str, Any] = {name: call.inputs[name] for name in parameters if name in call.inputs}
        if "update" in attributes:
            weights["update"] = attributes["update"]
        constants = from_spec(NumpyShaping(), FAMILIES[call.operation], **weights)
        feed = {"X": call.inputs["x"].transpose(1, 0, 2)}
        if "lengths" in call.inputs:
            feed["sequence_lens"] = call.inputs["lengths"].astype(np.int32)
        feed |= {theirs: call.inputs[ours][None] for ours, theirs in _STATES.items() if ours in call.inputs}
        feed = {name: np.ascontiguousarray(array) for name, array in feed.items()}
        run = self.load(_model(call, feed, constants))
        return Made(lambda: run(feed), _outputs)


_STATES: Final = {"h0": "initial_h", "c0": "initial_c"}


def _outputs(found: Any) -> tuple[Array, ...]:
    """Transpose (T, 1, B, H) to (B, T, H), and (1, B, H) to (B, H)."""
    y, *finals = found
    return (y[:, 0].transpose(1, 0, 2), *(final[0] for final in finals))


def _model(call: Call, feed: NamedArrays, constants: Mapping[str, Array]) -> onnx.ModelProto:
    outputs = ["Y", "Y_h", "Y_c"][: len(call.spec.outputs_for(call.attributes))]
    given = {*feed, *constants}
    names = [name if name in given else "" for name in ("X", "W", "R", "B", "sequence_lens", *_STATES.values())]
    options: dict[str, Any] = {"hidden_size": call.inputs["R"].shape[1], "direction": call.attributes["direction"]}
    if call.operation == "rnn":
        options["activations"] = [call.attributes["activation"].capitalize()]
    if call.operation == "gru":
        options["linear_before_reset"] = int(call.attributes["reset"] == "after")
    while not names[-1]:
        names.pop()
    node = helper.make_node(call.operation.upper(), names, outputs, **options)
    element = helper.np_dtype_to_tensor_dtype(feed["X"].dtype)
    graph = helper.make_graph(
        [node],
        call.operation,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feed.items()
        ],
        [helper.make_tensor_value_info(name, element, None) for name in outputs],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
