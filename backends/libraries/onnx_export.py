"""One exporter for all of ONNX's runtimes: a call of RNN, LSTM or GRU as a model of one node, and what it is fed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnnspec.backends.call import Unsupported
from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.gates import PARAMETERS, Family
from rnnspec.backends.layouts.onnx import IR_VERSION, OPSET, from_spec
from rnnspec.spec.activations import chosen
from rnnspec.spec.arrays import Array, NamedArrays

STATES: Final = ("initial_h", "initial_c")
INPUTS: Final = ("X", "W", "R", "B", "sequence_lens", *STATES, "P")
ACTIVATIONS: Final = {
    "tanh": "Tanh",
    "relu": "Relu",
    "logistic": "Sigmoid",
    "affine": "Affine",
    "leaky_relu": "LeakyRelu",
    "thresholded_relu": "ThresholdedRelu",
    "scaled_tanh": "ScaledTanh",
    "hard_sigmoid": "HardSigmoid",
    "elu": "Elu",
    "softsign": "Softsign",
    "softplus": "Softplus",
}
"""ONNX's names of the activations; the numbers of each are ONNX's alpha and beta, in this order."""
_CHOICES: Final = {
    "rnn": ("activation",),
    "lstm": ("activations",),
    "gru": ("recurrent_activation", "activation"),
}
"""The attributes that choose activations, in the order in which ONNX lists them."""
BY_DEFAULT: Final = {"rnn": ["tanh"], "lstm": ["logistic", "tanh", "tanh"], "gru": ["logistic", "tanh"]}
PEEPHOLES: Final = (0, 2, 1)
"""Which of the specification's peepholes, i, f, o, stands in each place of ONNX's P: i, o, f."""


@dataclass(frozen=True)
class Exported:
    """A model, and its inputs by name."""

    model: onnx.ModelProto
    feed: NamedArrays


def exported(
    family: Family,
    arrays: Mapping[str, Array],
    attributes: Mapping[str, Any],
    *,
    layout: int = 0,
    constant_weights: bool = True,
) -> Exported:
    """Export a call.

    Parameters
    ----------
    family
        The operator.
    arrays
        The call's inputs that are there: x, W, R, b, b_rn, b_R, P, h0, c0, lengths. P has the LSTM's peepholes (3, H).
    attributes
        The call's attributes; those that ONNX has are read.
    layout
        ONNX's attribute: 0 with the axis of steps first, 1 with the batch first.
    constant_weights
        Whether the weights are the model's own, or fed to it.
    """
    parameters = _parameters(family, arrays, attributes)
    x, first = arrays["x"], [arrays[name] for name in ("h0", "c0") if name in arrays]
    fed = {"X": x if layout else x.transpose(1, 0, 2)}
    if "lengths" in arrays:
        fed["sequence_lens"] = arrays["lengths"].astype(np.int32)
    names = [theirs for ours, theirs in zip(("h0", "c0"), STATES, strict=True) if ours in arrays]
    fed |= {name: state[:, None] if layout else state[None] for name, state in zip(names, first, strict=True)}
    feed = {
        name: np.ascontiguousarray(array) for name, array in (fed if constant_weights else fed | parameters).items()
    }
    constants = parameters if constant_weights else {}
    outputs = ["Y", "Y_h", "Y_c"][: 3 if family == "lstm" else 2]
    inputs = [name if name in feed or name in constants else "" for name in INPUTS]
    while not inputs[-1]:
        inputs.pop()
    units = arrays["R"].shape[1]
    node = helper.make_node(
        family.upper(), inputs, outputs, hidden_size=units, layout=layout, **_options(family, attributes)
    )
    element = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [node],
        family,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feed.items()
        ],
        [helper.make_tensor_value_info(name, element, None) for name in outputs],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    return Exported(helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION), feed)


def outputs_of(found: Any, layout: int = 0) -> tuple[Array, ...]:
    """The specification's outputs, y (B, T, H) and the final states (B, H), of the model's."""
    y, *finals = found
    if layout:
        return (y[:, :, 0], *(final[:, 0] for final in finals))
    return (y[:, 0].transpose(1, 0, 2), *(final[0] for final in finals))


def kept(final: Array, first: Array | None, steps: Array) -> Array:
    """The final state, but the first one, 0 if absent, where there are no steps."""
    return np.where((steps > 0)[:, None], final, np.zeros_like(final) if first is None else first)


def _parameters(family: Family, arrays: Mapping[str, Array], attributes: Mapping[str, Any]) -> dict[str, Array]:
    given = {name: arrays[name] for name in PARAMETERS if name in arrays}
    if attributes.get("coupled"):  # ONNX keeps a place for the forget gate that it does not read
        given = {name: np.insert(array, 1, 0, axis=0) for name, array in given.items()}
    peepholes = given.pop("P", None)
    if attributes.get("update") == "admits" and attributes.get("recurrent_activation", "logistic") != "logistic":
        raise Unsupported("ONNX's update gate keeps the state; with weights negated it admits it, if it is logistic")
    found = from_spec(NumpyShaping(), family, **given, update=attributes.get("update", "keeps"))
    if peepholes is not None:
        found["P"] = peepholes[list(PEEPHOLES)].reshape(1, -1)
    return found


def _options(family: Family, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The node's attributes; those at ONNX's defaults are left out, as its exporters do."""
    options: dict[str, Any] = {}
    if attributes.get("direction", "forward") != "forward":
        options["direction"] = attributes["direction"]
    options |= _functions(family, attributes)
    if attributes.get("clip") is not None:
        options["clip"] = float(attributes["clip"])
    if attributes.get("coupled"):
        options["input_forget"] = 1
    if family == "gru" and attributes["reset"] == "after":
        options["linear_before_reset"] = 1
    return options


def _functions(family: Family, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The node's activations, and their numbers in order; Unsupported for a function that ONNX has not."""
    given = [attributes[name] for name in _CHOICES[family] if name in attributes]
    names = [name for value in given for name in ([value] if isinstance(value, str) else value)]
    if not names or names == BY_DEFAULT[family]:
        return {}
    functions = [chosen(name) for name in names]
    for name, _ in functions:
        if name not in ACTIVATIONS:
            raise Unsupported(f"ONNX's recurrent operators have no activation {name}")
    options: dict[str, Any] = {"activations": [ACTIVATIONS[name] for name, _ in functions]}
    for place, attribute in enumerate(("activation_alpha", "activation_beta")):
        numbers = [given[place] for _, given in functions if len(given) > place]
        if numbers:
            options[attribute] = numbers
    return options
