"""ONNX models: the nodes RNN, LSTM and GRU, with their weights as initialisers. Numbers are read, nothing is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from rnnspec.backends.discovery import installs
from rnnspec.backends.layouts import onnx as layout
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.finding import Groups, LayerPlace, in_order, place_of
from rnnspec.backends.layouts.gates import Family, LayoutError
from rnnspec.backends.words import kind_of, name_of, words_of
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.storage import must_have_an_end
from rnnspec.conformance.weights.found import Weights
from rnnspec.conformance.weights.stacks import Layer
from rnnspec.spec.arrays import Array

_FAMILIES: Final[Mapping[str, Family]] = {"RNN": "rnn", "LSTM": "lstm", "GRU": "gru"}
_PARAMETERS: Final = ("W", "R", "B")
_TYPES: Final = ("float16", "float32", "float64")
_DEEPEST: Final = 20


@dataclass
class _Scope:
    """The constants that a graph's nodes see."""

    initialisers: dict[str, Any] = field(default_factory=dict)
    producers: dict[str, str] = field(default_factory=dict)


def read_onnx(path: Path) -> Weights:
    """Return the recurrent layers of a model.

    Raises
    ------
    FileError
        If it is no model.
    LayoutError
        If it has no recurrent node, or one whose weights are no constants or have no place in the specification's.
    """
    library = _onnx()
    try:
        must_have_an_end(path)
        model = library.load_model_from_string(path.read_bytes())
        nodes = list(_nodes(library, model.graph, _Scope(), 0))
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or words_of(error)}") from error
    except Exception as error:  # protobuf's kinds of errors differ between its versions
        what = "" if isinstance(error, ValueError) else f"{kind_of(error)}: "
        raise FileError(f"{path}: expected an ONNX model: {what}{words_of(error)}") from error
    own: Groups = {}
    layers: Groups = {}
    notes: dict[LayerPlace, tuple[str, ...]] = {}
    left_out: list[str] = []
    for number, (node, scope) in enumerate(nodes):
        try:
            found = _layers_of(library, node, scope, number)
        except (LayoutError, ValueError) as error:
            raise LayoutError(f"{path}: {_title(node, number)}: {error}") from error
        for place, (group, arrays, told) in found.items():
            if place in own:
                place = LayerPlace(f"{place.path}_{number}", place.number, place.reverse)
            own[place], layers[place], notes[place] = group, arrays, told
    if not own:
        kinds = sorted({node.op_type for node in model.graph.node})
        raise LayoutError(f"{path}: expected a node RNN, LSTM or GRU, got {', '.join(map(name_of, kinds)) or 'none'}")
    return Weights("onnx", in_order(own), in_order(layers), left_out, notes)


def write_onnx(stacks: list[list[Layer]], own: Groups, layers: Groups) -> tuple[bytes, dict[LayerPlace, str]]:
    """Return a model with a chain of nodes for each stack, and each layer's node.

    A stack's inputs and outputs are batch second, as ONNX's are by default; each node's states begin at 0.
    """
    library = _onnx()
    helper, numpy_helper = library.helper, library.numpy_helper
    nodes, inputs, outputs, constants, named = [], [], [], [], dict[LayerPlace, str]()
    for stack in stacks:
        prefix = f"{stack[0].places[0].path}/" if stack[0].places[0].path else ""
        came, element = f"{prefix}X", None
        for layer in stack:
            arrays = {key: np.concatenate([own[place][key] for place in layer.places]) for key in _PARAMETERS}
            dtype = arrays["W"].dtype
            if dtype.name not in _TYPES:
                raise LayoutError(f"{layer.name}: expected {', '.join(_TYPES)}, as ONNX's operators have, got {dtype}")
            if element is None:
                element = helper.np_dtype_to_tensor_dtype(dtype)
                inputs.append(helper.make_tensor_value_info(came, element, ["T", "B", layer.features]))
            name = layer.name
            constants += [numpy_helper.from_array(array, f"{name}/{key}") for key, array in arrays.items()]
            states = [f"{name}/Y_h", *([f"{name}/Y_c"] if layer.family == "lstm" else [])]
            options: dict[str, Any] = {"direction": _direction(layer)}
            if layer.family == "gru":
                options["linear_before_reset"] = int("b_rn" in layers[layer.places[0]])
            nodes.append(
                helper.make_node(
                    layer.family.upper(),
                    [came, *(f"{name}/{key}" for key in _PARAMETERS)],
                    [f"{name}/Y", *states],
                    name=name,
                    hidden_size=layer.units,
                    **options,
                )
            )
            outputs += [
                helper.make_tensor_value_info(state, element, [len(layer.places), "B", layer.units]) for state in states
            ]
            # Y is (T, directions, B, H); the layer after it reads both directions side by side.
            constants.append(numpy_helper.from_array(np.array([0, 0, -1], np.int64), f"{name}/shape"))
            came = f"{name}/y"
            nodes += [
                helper.make_node("Transpose", [f"{name}/Y"], [f"{name}/turned"], perm=[0, 2, 1, 3]),
                helper.make_node("Reshape", [f"{name}/turned", f"{name}/shape"], [came]),
            ]
            named |= dict.fromkeys(layer.places, name)
        outputs.append(helper.make_tensor_value_info(came, element, ["T", "B", stack[-1].width]))
    graph = helper.make_graph(nodes, "recurrent", inputs, outputs, constants)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", layout.OPSET)],
        ir_version=layout.IR_VERSION,
        producer_name="rnnspec",
    )
    library.checker.check_model(model)
    return model.SerializeToString(deterministic=True), named


def _direction(layer: Layer) -> str:
    return "bidirectional" if layer.both else "reverse" if layer.places[0].reverse else "forward"


def _nodes(library: Any, graph: Any, outer: _Scope, depth: int) -> Iterator[tuple[Any, _Scope]]:
    """The recurrent nodes of a graph and of those within it, each with the constants that it sees."""
    if depth > _DEEPEST:
        raise ValueError(f"expected at most {_DEEPEST} graphs in each other")
    scope = _Scope(dict(outer.initialisers), dict(outer.producers))
    scope.initialisers |= {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        scope.producers |= dict.fromkeys(node.output, node.op_type)
        if node.op_type == "Constant" and len(node.output) == 1:
            for attribute in node.attribute:
                if attribute.name == "value":
                    scope.initialisers[node.output[0]] = attribute.t
    for node in graph.node:
        if node.op_type in _FAMILIES and node.domain in ("", "ai.onnx"):
            yield node, scope
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _nodes(library, inner, scope, depth + 1)


def _title(node: Any, number: int) -> str:
    return name_of(node.name) or f"{_FAMILIES[node.op_type]}_{number}"


def _layers_of(
    library: Any, node: Any, scope: _Scope, number: int
) -> dict[LayerPlace, tuple[dict[str, Array], dict[str, Array], tuple[str, ...]]]:
    """Each direction's arrays, as ONNX and as the specification has them, and what the numbers do not say."""
    family = _FAMILIES[node.op_type]
    options = {attribute.name: library.helper.get_attribute_value(attribute) for attribute in node.attribute}
    if options.get("input_forget"):
        raise LayoutError("input_forget=1 has no place among the weights of an lstm")
    if len(node.input) > 7 and node.input[7]:
        raise LayoutError("expected an LSTM without peepholes (P), which no other layout has")
    given = dict(zip(("X", *_PARAMETERS), node.input, strict=False))
    arrays = {key: _constant(library, key, given[key], scope) for key in _PARAMETERS if given.get(key)}
    direction = options.get("direction", b"forward")
    ways = {b"forward": [False], b"reverse": [True], b"bidirectional": [False, True]}.get(direction)
    if ways is None:
        raise LayoutError(f"direction: expected forward, reverse or bidirectional, got {direction!r}")
    for key, array in arrays.items():
        if array.ndim != (due := 2 if key == "B" else 3) or len(array) != len(ways):
            raise LayoutError(f"{key}: expected {due} axes, the first of {len(ways)}, got shape {array.shape}")
    after = family == "gru" and bool(options.get("linear_before_reset"))
    place = place_of(_title(node, number).strip("/"))
    told = _told(family, options)
    found = {}
    for way, reverse in enumerate(ways):
        own = {key: array[way : way + 1] for key, array in arrays.items()}
        made = layout.to_spec(NumpyShaping(), family, own, after=after)
        found[LayerPlace(place.path, place.number, reverse)] = (own, made, told)
    return found


def _told(family: Family, options: Mapping[str, Any]) -> tuple[str, ...]:
    usual = {"rnn": ("Tanh",), "lstm": ("Sigmoid", "Tanh", "Tanh"), "gru": ("Sigmoid", "Tanh")}[family]
    names = tuple(name_of(name.decode(errors="replace")) for name in options.get("activations", ()))
    told = []
    if any(name.lower() != due.lower() for name, due in zip(names, usual * 2, strict=False)):
        told.append(f"its activations, {', '.join(names)}, are none of the weights: set them on the other side")
    if "clip" in options:
        told.append(f"its clip of {options['clip']:g} is none of the weights: set it on the other side")
    return tuple(told)


def _constant(library: Any, key: str, name: str, scope: _Scope) -> Array:
    if name not in scope.initialisers:
        came = f"from a {name_of(scope.producers[name])}" if name in scope.producers else "as an input of the model"
        raise LayoutError(f"{key}: expected an initialiser or a Constant, got it {came}: fold the model's constants")
    tensor = scope.initialisers[name]
    if tensor.data_location == library.TensorProto.EXTERNAL:
        raise LayoutError(f"{key}: expected weights in the model, got them in a file beside it: save the model as one")
    try:
        array: Array = library.numpy_helper.to_array(tensor)
    except Exception as error:  # as many kinds as there are ways to be damaged
        raise LayoutError(f"{key}: cannot be read: {words_of(error)}") from error
    return array


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise FileError(f"onnx is not installed: {installs('convert')}") from error
    return onnx
