"""The recurrent nodes of an ONNX model file: the operation, the attributes and the weights that the file has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.utils import Extractor

from rnnspec.backends.given import Given, ModelError
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.gates import Family
from rnnspec.backends.layouts.onnx import to_spec
from rnnspec.backends.libraries.onnx_export import ACTIVATIONS, BY_DEFAULT, INPUTS, PEEPHOLES, STATES, kept
from rnnspec.spec.activations import ACTIVATIONS as FUNCTIONS
from rnnspec.spec.activations import written
from rnnspec.spec.arrays import Array, NamedArrays

_FAMILIES: Final[Mapping[str, Family]] = {"RNN": "rnn", "LSTM": "lstm", "GRU": "gru"}
_OUTPUTS: Final = ("Y", "Y_h", "Y_c")
_OURS: Final = {"X": "x", "sequence_lens": "lengths", "initial_h": "h0", "initial_c": "c0"}
"""The specification's names of what a node is fed."""

Evaluate = Callable[[onnx.ModelProto, NamedArrays], Any]
"""A runtime: from a model and what it is fed to its outputs in order."""


@dataclass(frozen=True)
class _Node:
    """One direction of a recurrent node, which is a model of its own; `fed` names the node's inputs that are no
    constants."""

    evaluate: Evaluate
    model: onnx.ModelProto
    operation: str
    fed: tuple[str, ...]
    units: int
    place: int
    directions: int
    layout: int

    def run(self, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
        """Run the node on the specification's x, h0, c0 and lengths; return y and the final states."""
        x = inputs["x"]
        feed = {"X": x if self.layout else x.transpose(1, 0, 2)}
        if "sequence_lens" in self.fed:
            feed["sequence_lens"] = inputs.get("lengths", np.full(len(x), x.shape[1])).astype(np.int32)
        for ours, theirs in zip(("h0", "c0"), STATES, strict=True):
            if theirs in self.fed:
                states = np.zeros((self.directions, len(x), self.units), x.dtype)
                states[self.place] = inputs[ours]
                feed[theirs] = states.transpose(1, 0, 2) if self.layout else states
        found = self.evaluate(self.model, {name: np.ascontiguousarray(array) for name, array in feed.items()})
        y, *finals = found[: 3 if self.operation.endswith("lstm") else 2]
        if self.layout:
            y, finals = y[:, :, self.place], [final[:, self.place] for final in finals]
        else:
            y, finals = y[:, self.place].transpose(1, 0, 2), [final[self.place] for final in finals]
        steps = inputs.get("lengths", np.full(len(x), x.shape[1]))
        firsts = (inputs.get(name) for name in ("h0", "c0"))
        return (y, *(kept(final, first, steps) for final, first in zip(finals, firsts, strict=False)))


def read_nodes(path: Path, evaluate: Evaluate) -> list[Given]:
    """Return the recurrent nodes of a model, each direction by itself, as a runtime evaluates them.

    Raises
    ------
    ModelError
        If the file is no ONNX model, has no node RNN, LSTM or GRU, or has one whose weights are no constants.
    """
    try:
        model = onnx.shape_inference.infer_shapes(onnx.load(path))
    except (
        DecodeError,
        OSError,
        ValueError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        raise ModelError(f"{path}: expected an ONNX model: {str(error).strip().splitlines()[0]}") from error
    found = [node for node in model.graph.node if node.op_type in _FAMILIES and node.domain in ("", "ai.onnx")]
    if not found:
        raise ModelError(f"{path}: expected a node RNN, LSTM or GRU, got {_kinds(model)}")
    try:
        return [one for number, node in enumerate(found) for one in _directions(model, node, number, evaluate)]
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _kinds(model: onnx.ModelProto) -> str:
    return ", ".join(sorted({node.op_type for node in model.graph.node})) or "no node at all"


def _directions(model: onnx.ModelProto, node: onnx.NodeProto, number: int, evaluate: Evaluate) -> Iterator[Given]:
    name = node.name or f"{node.op_type} {number + 1}"
    given = {one: actual for one, actual in zip(INPUTS, node.input, strict=False) if actual}
    options = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    constants = {one: _constant(model, actual) for one, actual in given.items() if one != "X"}
    for weight in ("W", "R", "B", "P"):
        if weight in given and constants[weight] is None:
            raise ModelError(f"{name}: expected constant weights, got {weight} from what the model is fed")
    known = {one: array for one, array in constants.items() if array is not None}
    for state in ("sequence_lens", *STATES):
        if state in known and np.any(known[state]):
            raise ModelError(f"{name}: expected {state} to be fed or 0, got constants")
    if "sequence_lens" in known:
        raise ModelError(f"{name}: expected sequence_lens to be fed, got constants")
    fed = tuple(one for one in given if one not in known)
    single = _alone(model, node, known, fed)
    direction = options.get("direction", b"forward").decode()
    ways = {"bidirectional": ("forward", "reverse")}.get(direction, (direction,))
    family = _FAMILIES[node.op_type]
    for place, way in enumerate(ways):
        own: dict[str, Array] = {one: known[one][place : place + 1] for one in ("W", "R", "B", "P") if one in known}
        weights = to_spec(NumpyShaping(), family, own)
        attributes = _attributes(family, options, place, len(ways)) | {"direction": way}
        if "P" in own:
            peepholes = own["P"].reshape(3, -1)
            weights["P"] = peepholes[np.argsort(PEEPHOLES)]
            weights["b"] = weights["b"] + weights.pop("b_R", 0)
        if attributes.get("coupled"):  # the place that ONNX keeps for the forget gate, and does not read
            weights = {one: np.delete(array, 1, 0) for one, array in weights.items()}
        operation = "peephole_lstm" if "P" in own else family
        layout = options.get("layout", 0)
        sizes = _sizes(model, node, known, layout)
        alone = _Node(evaluate, single, operation, fed, sizes["H"], place, len(ways), layout)
        title = name if len(ways) == 1 else f"{name}, {way}"
        ours = frozenset(_OURS[theirs] for theirs in fed)
        yield Given(title, operation, attributes, weights, sizes, ours, alone.run)


def _constant(model: onnx.ModelProto, name: str) -> Array | None:
    """The value of what depends on nothing that is fed; None of all else."""
    for one in model.graph.initializer:
        if one.name == name:
            return np.array(numpy_helper.to_array(one))
    fed = {one.name for one in model.graph.input}
    makers = {output: node for node in model.graph.node for output in node.output}
    waiting, seen = [name], set()
    while waiting:
        one = waiting.pop()
        if one in fed:
            return None
        if one and one not in seen and one in makers:
            seen.add(one)
            waiting += makers[one].input
    return np.array(ReferenceEvaluator(Extractor(model).extract_model([], [name])).run(None, {})[0])


def _alone(model: onnx.ModelProto, node: onnx.NodeProto, known: NamedArrays, fed: tuple[str, ...]) -> onnx.ModelProto:
    """The node as a model, with its constants and attributes; ONNX's own names are those of what is fed and comes."""
    own = onnx.NodeProto()
    own.CopyFrom(node)
    names = [name if actual else "" for name, actual in zip(INPUTS, node.input, strict=False)]
    del own.input[:], own.output[:]
    own.input.extend(names)
    own.output.extend(_OUTPUTS[: 3 if node.op_type == "LSTM" else 2])
    element = helper.np_dtype_to_tensor_dtype(known["W"].dtype)
    types = {name: onnx.TensorProto.INT32 if name == "sequence_lens" else element for name in fed}
    graph = helper.make_graph(
        [own],
        "node",
        [helper.make_tensor_value_info(name, types[name], None) for name in fed],
        [helper.make_tensor_value_info(name, element, None) for name in own.output],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in known.items()],
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _attributes(family: Family, options: Mapping[str, Any], place: int, directions: int) -> dict[str, Any]:
    """The specification's attributes for those of a node, of one of its directions."""
    found: dict[str, Any] = {}
    if family == "gru":
        found |= {"reset": "after" if options.get("linear_before_reset") else "before", "update": "keeps"}
    if family == "lstm" and options.get("input_forget"):
        found["coupled"] = True
    if options.get("clip"):
        found["clip"] = _shortest(options["clip"])
    functions = _functions(options, len(BY_DEFAULT[family]) * directions)
    if functions:
        each = len(functions) // directions
        own = functions[place * each : (place + 1) * each]
        match family:
            case "rnn":
                found["activation"] = own[0]
            case "lstm":
                found["activations"] = tuple(own)
            case "gru":
                found["recurrent_activation"], found["activation"] = own
    return found


def _functions(options: Mapping[str, Any], count: int) -> list[str]:
    """The activations in the specification's words; each takes its numbers from the front of ONNX's lists."""
    ours = {theirs.lower(): name for name, theirs in ACTIVATIONS.items()}
    numbers = [list(options.get(name, ())) for name in ("activation_alpha", "activation_beta")]
    named = [text.decode() for text in options.get("activations", ())]
    if named and len(named) != count:
        raise ModelError(f"activations: expected {count}, got {', '.join(named)}")
    found = []
    for text in named:
        if text.lower() not in ours:
            raise ModelError(f"activations: expected one of {', '.join(ACTIVATIONS.values())}, got {text}")
        name = ours[text.lower()]
        own = [
            _shortest(left.pop(0)) if left else due for left, due in zip(numbers, FUNCTIONS[name].numbers, strict=False)
        ]
        found.append(written(name, tuple(own)) if tuple(own) != FUNCTIONS[name].numbers else name)
    return found


def _shortest(number: float) -> float:
    """The number that someone wrote, of the float32 that it became."""
    return float(str(np.float32(number)))


def _sizes(model: onnx.ModelProto, node: onnx.NodeProto, known: NamedArrays, layout: int) -> dict[str, int]:
    """Features and units; the batch and the steps where the model fixes them."""
    sizes = {"D": known["W"].shape[2], "H": known["R"].shape[2]}
    for name, axis in (("initial_h", 0 if layout else 1), ("initial_c", 0 if layout else 1)):
        if name in known:
            sizes["B"] = known[name].shape[axis]
    for info in (*model.graph.value_info, *model.graph.input):
        if info.name == node.input[0]:
            axes = info.type.tensor_type.shape.dim
            for symbol, axis in zip("BT" if layout else "TB", axes, strict=False):
                if axis.HasField("dim_value"):
                    sizes[symbol] = axis.dim_value
    return sizes
