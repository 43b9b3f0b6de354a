"""Checks ``identities`` and ``marginals_are_gradients``: one operation as a special case of another.

Each identity makes of a case two calls, and says what the results of the second must be by those of the first. The
backend runs both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.conformance.cases import Case, Deck, Scope
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.pairs import Bounds, Change, Pair, hold, only, results_of, unchanged
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec import Operation, operation, operations
from rnnspec.spec.arrays import Array

_OPEN: Final = 150.0
"""Bias of a gate without weights at which its logistic is 1 in every type."""


@dataclass(frozen=True)
class Identity:
    """A relation of cases with these `fixed` attributes, without `absent` inputs, to another call."""

    operation: str
    about: str
    pair: Callable[[Case, str], Pair]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    def case(self, case: Case) -> Case:
        """The case as one that the identity holds for."""
        return replace(case.with_attributes(**self.fixed), absent=tuple(dict.fromkeys((*case.absent, *self.absent))))

    def __str__(self) -> str:
        return self.about


def _equal(second: Callable[[Case], Call], outputs: Change = unchanged, gradients: Change | None = None) -> Any:
    """An identity's pair: the case's own call and a second, whose outputs have the same shapes if gradients are due."""

    def pair(case: Case, about: str) -> Pair:
        cotangents = case.cotangents
        return Pair(about, case.call, second(case), outputs, gradients, cotangents, cotangents)

    return pair


def _attributes(name: str, case: Case, **changed: Any) -> dict[str, Any]:
    """Attributes of another operation: those that it has in common with the case, and defaults."""
    defaults = operation(name).defaults()
    return {key: changed.get(key, case.attributes.get(key, default)) for key, default in defaults.items()}


def _with_gate(case: Case, index: int, **added: Any) -> dict[str, Array]:
    """The inputs with one gate more, at this place: its weights and biases by name."""
    gates = {name: np.insert(case.call.inputs[name], index, entries, axis=0) for name, entries in added.items()}
    return {**case.call.inputs, **gates}


# Layers


def _untruncated(case: Case) -> Call:
    """Truncated beyond the last step."""
    return Call(case.operation, case.call.inputs, {**case.attributes, "truncate": case.sizes["T"] + 1})


def _without_recurrence(case: Case, about: str) -> Pair:
    """Both gradients where R = 0, and the state before has no say in any gate."""
    inputs = {**case.call.inputs, "R": np.zeros_like(case.call.inputs["R"])}
    full, cell_only = (
        Call(case.operation, inputs, {**case.attributes, "gradient": gradient}) for gradient in ("full", "cell_only")
    )
    return Pair(about, full, cell_only, unchanged, unchanged, case.cotangents, case.cotangents)


def _stack_of_one(stack: str) -> Callable[[Case, str], Pair]:
    """The layer as the only one of a stack."""

    def pair(case: Case, about: str) -> Pair:
        inputs = _repeated(case, 1)
        G, H, S = inputs["R"].shape[1:]
        inputs |= {"W": case.call.inputs["W"], "W_above": np.zeros((0, G, H, S), inputs["R"].dtype)}
        call = Call(stack, inputs, _attributes(stack, case, layer=case.operation))
        return Pair(about, case.call, call, lambda results: {"y": results["y"]})

    return pair


def _one_of_two(case: Case, about: str) -> Pair:
    """The layer, in its direction, as one of the two of a bidirectional layer."""
    name = f"y_{case.attributes['direction']}"
    inputs = _repeated(case, 2)
    call = Call("bidirectional", inputs, _attributes("bidirectional", case, layer=case.operation, merge="none"))
    return Pair(about, case.call, call, lambda results: {name: results["y"]})


def _repeated(case: Case, times: int) -> dict[str, Array]:
    """The inputs of a layer with states, and parameters of their own, for so many layers."""
    states = operation(case.operation).carries
    inputs = dict(case.call.inputs)
    for name, item in case.items.items():
        if name in inputs and (name in states or not item.per_sequence):
            inputs[name] = np.stack([inputs[name]] * times, axis=1 if name in states else 0)
    return inputs


# Long short-term memory


_LOGISTIC: Final = {"activations": ("logistic", "tanh", "tanh")}
_PLAIN: Final = {**_LOGISTIC, "clip": None, "coupled": False, "forget_bias": None, "projection": False}


def _spelt_out(case: Case) -> Call:
    """The coupled forget gate with weights: 1 - logistic(a) = logistic(-a)."""
    i = {name: -case.call.inputs[name][0] for name in ("W", "R", "b", "b_R") if name in case.call.inputs}
    return Call("lstm", _with_gate(case, 1, **i), {**case.attributes, "coupled": False})


def _forget_gate_open(case: Case) -> Call:
    """With a forget gate that never forgets."""
    return Call("lstm", _with_gate(case, 1, W=0, R=0, b=_OPEN), _attributes("lstm", case))


def _reset_gate_open(case: Case) -> Call:
    """With a reset gate that never resets; the update gate is the forget gate."""
    return Call("gru", _with_gate(case, 0, W=0, R=0, b=_OPEN), _attributes("gru", case, reset="before", update="keeps"))


def _no_peepholes(case: Case) -> Call:
    """With peepholes that are closed."""
    inputs = dict(case.call.inputs)
    G, H = inputs["W"].shape[:2]
    inputs["P"] = np.zeros((G - 1, H), inputs["W"].dtype)
    return Call("peephole_lstm", inputs, _attributes("peephole_lstm", case))


def _gate_once(case: Case, about: str) -> Pair:
    """As a stack of one layer, which has the one output gate."""
    inputs = dict(case.call.inputs)
    for name in ("W", "R", "b"):
        inputs[f"{name}_o"], inputs[name] = inputs[name][3], inputs[name][:3]
    inputs |= {name: inputs[name][np.newaxis] for name in ("R", "b")}
    inputs |= {name: inputs[name][:, np.newaxis] for name in ("h0", "c0") if name in inputs}
    units = inputs["R_o"].shape[0]
    inputs["W_above"] = np.zeros((0, 3, units, units), inputs["W"].dtype)
    dy, dh_n, dc_n = case.cotangents
    cotangents = dy, dh_n[:, np.newaxis], dc_n[:, np.newaxis]
    call = Call("gate_once_stack", inputs, {})
    return Pair(about, case.call, call, only("y"), only("x", "W_o"), case.cotangents, cotangents)


def _nearly_linear(case: Case, about: str) -> Pair:
    """As the outer level of a nested one, whose inner level adds: it sees so little that its tanh are nearly linear."""
    form = format_of(case.dtype)
    little = 2.0 ** np.floor(np.log2(form.unit_roundoff) / 2)
    inputs = dict(case.call.inputs)
    W, dtype = inputs["W"], inputs["W"].dtype
    G, H = W.shape[:2]
    inner = np.zeros((1, G, H, H), dtype)
    candidate = inner.copy()
    candidate[0, 2] = np.eye(H)
    open_but_f = np.array([_OPEN, -_OPEN, 0, _OPEN])[np.newaxis, :, np.newaxis] * np.ones(H)
    memory = inputs["c_prev"].astype(np.float64) * little
    inputs |= {
        "c_prev": np.stack([memory, np.zeros_like(memory)], axis=1).astype(dtype),
        "W_inner": (candidate.astype(np.float64) * little).astype(dtype),
        "R_inner": candidate,
        "b_inner": open_but_f.astype(dtype),
    }

    def scaled(results: Bounds) -> Bounds:
        c = results["c"]
        both = [np.stack([array * little] * 2, axis=1) for array in (c.value, c.bound)]
        # tanh(tanh(a)) differs from a by less than |a|^3.
        return {"c": Bounded(both[0], both[1] + np.abs(both[0]) ** 3)}

    call = Call("nested_lstm_cell", inputs, _attributes("nested_lstm_cell", case))
    return Pair(about, case.call, call, scaled)


# Attention, tags and tokens


def _joined(case: Case) -> Call:
    """The same weights, side by side."""
    inputs = {name: array for name, array in case.call.inputs.items() if name not in ("W_q", "W_k")}
    inputs["W_a"] = np.concatenate([case.call.inputs["W_q"], case.call.inputs["W_k"]], axis=1)
    return Call("attention_scores", inputs, {"score": "concat"})


def _by_the_identity(case: Case) -> Call:
    """With weights that change nothing."""
    q = case.call.inputs["q"]
    inputs = {**case.call.inputs, "W_a": np.eye(q.shape[2], dtype=q.dtype)}
    return Call("attention_scores", inputs, {"score": "general"})


def _no_transitions(case: Case) -> Call:
    """As a chain whose moves all score 0."""
    emissions = case.call.inputs["emissions"]
    tags = emissions.shape[2]
    inputs = {**case.call.inputs, "transitions": np.zeros((tags, tags), emissions.dtype)}
    return Call("crf_log_likelihood", inputs, _attributes("crf_log_likelihood", case))


def _beam_of_one(case: Case, about: str) -> Pair:
    """A search that keeps one hypothesis."""

    def searched(results: Bounds) -> Bounds:
        each = results["log_probabilities"]
        total = Bounded(each.value.sum(axis=1), each.bound.sum(axis=1))
        return {"tokens": results["tokens"], "lengths": results["lengths"], "score": total}

    attributes = _attributes("beam_search", case, width=1, normalise=False)
    return Pair(about, case.call, Call("beam_search", case.call.inputs, attributes), searched)


def _of_layers() -> Iterator[Identity]:
    for name, layer in operations().items():
        if not layer.unrolls:
            continue
        yield Identity(
            name,
            "truncated beyond the last step, the gradient is the whole one",
            _equal(_untruncated, gradients=unchanged),
            {"truncate": None},
        )
        if "gradient" in layer.attributes:
            about = "where R = 0, gradient = cell_only has the full gradient"
            yield Identity(name, about, _without_recurrence)
        alone = {"recurrent_dropout": None, "output": "sequence"}
        forward = {"direction": "forward", **alone}
        for stack in ("stacked", "alternating_stack"):
            yield Identity(name, f"as the only layer of {stack} it is the same", _stack_of_one(stack), forward)
        about = "in its direction, as one of the two layers of bidirectional, it is the same"
        yield Identity(name, about, _one_of_two, alone)


_STATES = only("x", "h0", "c0")

IDENTITIES: tuple[Identity, ...] = (
    *_of_layers(),
    Identity(
        "lstm",
        "a coupled forget gate is one that has the input gate's weights and bias negated",
        _equal(_spelt_out, gradients=_STATES),
        {**_LOGISTIC, "coupled": True},
    ),
    Identity(
        "lstm",
        "an lstm is peephole_lstm with P = 0",
        _equal(_no_peepholes, gradients=unchanged),
        {"projection": False},
        ("b_R",),
    ),
    Identity(
        "lstm",
        "an lstm is gate_once_stack of one layer",
        _gate_once,
        {
            **_PLAIN,
            "gradient": "full",
            "direction": "forward",
            "truncate": None,
            "recurrent_dropout": None,
            "output": "sequence",
        },
        ("b_R",),
    ),
    Identity(
        "lstm_1997",
        "an lstm_1997 is an lstm whose forget gate is open",
        _equal(_forget_gate_open, gradients=_STATES),
    ),
    Identity(
        "forget_only_lstm",
        "a forget_only_lstm is a gru whose reset gate is open",
        _equal(_reset_gate_open, gradients=_STATES),
        {"gradient": "full"},
    ),
    Identity(
        "lstm_cell",
        "an lstm is the outer level of nested_lstm_cell where the inner one adds",
        _nearly_linear,
        _PLAIN,
        ("b_R",),
    ),
    Identity(
        "attention_scores",
        "an additive score is concat with both weights side by side",
        _equal(_joined, gradients=only("q", "k", "b_a", "v_a")),
        {"score": "additive"},
    ),
    Identity(
        "attention_scores",
        "a dot product is general with weights that are the identity",
        _equal(_by_the_identity, gradients=only("q", "k")),
        {"score": "dot"},
    ),
    Identity(
        "framewise_log_likelihood",
        "independent softmaxes are a chain whose transitions are 0",
        _equal(_no_transitions, gradients=unchanged),
    ),
    Identity(
        "greedy_decode", "a beam of width 1 decodes greedily", _beam_of_one, {"feedback": "token", "begin": "token"}
    ),
)
"""Every identity between operations of the specification."""


def known_of(operation: str) -> list[Identity]:
    """The identities of an operation."""
    return [identity for identity in IDENTITIES if identity.operation == operation]


class Identities(Check):
    """One operation as a special case of another."""

    id = "identities"
    about = "where one operation is a special case of another, both give the same"
    why = "a library writes them twice, and they drift apart"
    calls = 3

    def applies_to(self, op: Operation) -> bool:
        """Operations of which an identity is known."""
        return any(identity.operation == op.name for identity in IDENTITIES)

    def of(self, case: Case, scope: Scope) -> tuple[Case, Identity]:
        """A case with one of the operation's identities, and its fixed attributes."""
        known = known_of(scope.operation)
        identity = known[int(stream(case.seed, "identity").integers(len(known)))]
        return identity.case(case), identity

    def planned(self, deck: Deck, count: int) -> Iterator[tuple[Case, Identity]]:
        """Cases of a deck, each with the next identity in turn."""
        turns = zip(islice(deck.spread(), count), cycle(known_of(deck.scope.operation)), strict=False)
        return ((identity.case(case), identity) for case, identity in turns)

    def examine(self, backend: Backend, example: tuple[Case, Identity]) -> float:
        """Run both sides of the identity."""
        case, identity = example
        return hold(backend, case, identity.pair(case, identity.about))


class MarginalsAreGradients(Check):
    """Forward-backward, and the derivative of log Z."""

    id = "marginals_are_gradients"
    about = "the gradient of log Z in the emissions is the marginals"
    why = "training uses the one and decoding the other"
    law = "marginals"
    needs_gradients = True
    calls = 4

    def examine(self, backend: Backend, example: Case) -> float:
        """Differentiate log Z and compare the gradient with the marginals."""
        if not backend.has_gradients("crf_log_partition"):
            raise Unsupported("no gradient of crf_log_partition to compare the marginals with")
        marginals = results_of(backend, example, example.call).outputs["marginals"]
        call = Call("crf_log_partition", example.call.inputs, example.attributes)
        ones = (np.ones(example.sizes["B"], example.call.inputs["emissions"].dtype),)
        gradient = results_of(backend, example, call, ones).gradients["emissions"]
        due = Bounded(marginals.value, marginals.bound + gradient.bound)
        return Asked(example, call, ones).judge("demissions", due, gradient.value)
