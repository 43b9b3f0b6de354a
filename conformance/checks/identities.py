"""Check ``identities``: what theory says two operations have in common.

Each identity makes of a case of one operation a call of another that must have the same results; the backend runs the
other, and is held against what is right for the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.check import (
    Array,
    Check,
    compare,
    compare_gradients,
    expected_of,
)
from rnnspec.spec import Operation

_PLAIN_LSTM = {
    "activations": ("logistic", "tanh", "tanh"),
    "clip": None,
    "coupled": False,
    "projection": False,
    "gradient": "full",
    "direction": "forward",
    "truncate": None,
    "recurrent_dropout": None,
}


@dataclass(frozen=True)
class Identity:
    """That `other`, called as `derive` says, gives what `operation` gives in cases with these `fixed` attributes.

    `outputs` maps outputs of `operation` to what makes them of the other's outputs. With `gradients`, the gradients of
    every input, whose names and shapes are then the same, are compared in place of the outputs.
    """

    operation: str
    other: str
    about: str
    derive: Callable[[Case], Call]
    outputs: Mapping[str, Callable[[tuple[Array, ...]], Array]]
    fixed: Mapping[str, object]
    gradients: bool = False


def _one_layer(case: Case) -> Call:
    """The lstm as a stack of one layer."""
    inputs = dict(case.call.inputs)
    for name in ("W", "R", "b"):
        inputs[f"{name}_o"] = inputs[name][3]
        inputs[name] = inputs[name][:3]
    inputs |= {name: inputs[name][np.newaxis] for name in ("R", "b")}
    inputs |= {name: inputs[name][:, np.newaxis] for name in ("h0", "c0") if name in inputs}
    units = inputs["R_o"].shape[0]
    inputs["W_above"] = np.zeros((0, 3, units, units), inputs["W"].dtype)
    return Call("gate_once_stack", inputs, {})


def _no_peepholes(case: Case) -> Call:
    """The lstm as one whose peepholes are closed."""
    inputs = dict(case.call.inputs)
    inputs["P"] = np.zeros((3, inputs["W"].shape[1]), inputs["W"].dtype)
    return Call("peephole_lstm", inputs, {**_LAYER, "gradient": "full"})


_LAYER = {name: _PLAIN_LSTM[name] for name in ("direction", "truncate", "recurrent_dropout")}


def _one_beginning(case: Case) -> Call:
    """Greedy decoding as a beam of one."""
    attributes = {name: value for name, value in case.attributes.items() if name != "feedback"}
    return Call("beam_search", case.call.inputs, {**attributes, "width": 1, "normalise": False})


def _untruncated(case: Case) -> Call:
    """The same call, truncated beyond its last step."""
    return Call(case.operation, case.call.inputs, {**case.attributes, "truncate": case.sizes["T"] + 1})


def _number(place: int) -> Callable[[tuple[Array, ...]], Array]:
    return lambda outputs: outputs[place]


def _first_layer(place: int) -> Callable[[tuple[Array, ...]], Array]:
    return lambda outputs: np.ascontiguousarray(outputs[place][:, 0])


IDENTITIES: tuple[Identity, ...] = (
    Identity(
        "lstm",
        "gate_once_stack",
        "a gate_once_stack of one layer is an lstm",
        _one_layer,
        {"y": _number(0), "h_n": _first_layer(1), "c_n": _first_layer(2)},
        _PLAIN_LSTM,
    ),
    Identity(
        "lstm",
        "peephole_lstm",
        "a peephole_lstm with P = 0 is an lstm",
        _no_peepholes,
        {"y": _number(0), "h_n": _number(1), "c_n": _number(2)},
        _PLAIN_LSTM,
    ),
    Identity(
        "greedy_decode",
        "beam_search",
        "a beam of width 1 decodes greedily",
        _one_beginning,
        {"tokens": _number(0), "lengths": _number(1)},
        {"feedback": "token"},
    ),
    *(
        Identity(
            layer,
            layer,
            "truncated beyond the last step, the gradient is the whole one",
            _untruncated,
            {},
            {"truncate": None},
            gradients=True,
        )
        for layer in ("rnn", "lstm", "gru")
    ),
)
"""Every identity between operations of the specification."""


class Identities(Check):
    """One operation as a special case of another."""

    id = "identities"
    about = "where one operation is a special case of another, both give the same"

    def applies_to(self, op: Operation) -> bool:
        """Operations of which an identity is known."""
        return any(identity.operation == op.name for identity in IDENTITIES)

    def examine(self, backend: Backend, example: Case) -> float:
        """Run each identity's other side."""
        worst = 0.0
        for identity in IDENTITIES:
            if identity.operation == example.operation and identity.other in backend.operations():
                worst = max(worst, _hold(backend, example.with_attributes(**identity.fixed), identity))
        return worst


def _hold(backend: Backend, case: Case, identity: Identity) -> float:
    call = identity.derive(case)
    if identity.gradients:
        expected = expected_of(case, gradients=True).gradients
        return compare_gradients(case, call, case.cotangents, expected, backend.gradients(call, case.cotangents))
    outputs = backend.run(call)
    right = expected_of(case).outputs
    return max(
        compare(case, call, name, right[name], made(outputs), kind=case.results[name].kind)
        for name, made in identity.outputs.items()
    )


class MarginalsAreGradients(Check):
    """Forward-backward, and the derivative of log Z."""

    id = "marginals_are_gradients"
    about = "the gradient of log Z in the emissions is the marginals"
    law = "marginals"
    needs_gradients = True

    def examine(self, backend: Backend, example: Case) -> float:
        """Differentiate log Z and hold the gradient against the marginals."""
        if "crf_log_partition" not in backend.operations():
            return 0.0
        call = Call("crf_log_partition", example.call.inputs, {})
        ones = (np.ones(example.sizes["B"], example.call.inputs["emissions"].dtype),)
        gradient = backend.gradients(call, ones)["emissions"]
        return compare(example, call, "demissions", expected_of(example).outputs["marginals"], gradient, ones)
