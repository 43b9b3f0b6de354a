"""Faults that random cases hardly show: each is wrong, and here is a call that shows it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Backend, Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.faults import (
    axes,
    drift,
    kinds_of_steps,
    layouts,
    minus_infinity,
    ranges,
    sizes,
    ties,
    written_arrays,
)
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.fault import Fault, planted_in
from rnnspec.conformance.judge.tolerance import expect
from rnnspec.spec import check_call, operation

Array = np.ndarray[Any, Any]
KINDS = (sizes, axes, ranges, kinds_of_steps, minus_infinity, ties, layouts, written_arrays, drift)
PLANTED = {fault.name: fault for fault in faults()}


@dataclass(frozen=True)
class Witness:
    """A call that shows a fault: a case, and what its inputs and cotangents are changed to."""

    sizes: dict[str, int]
    attributes: dict[str, Any] = field(default_factory=dict)
    inputs: Callable[[dict[str, Array]], dict[str, Array]] = lambda given: {}
    cotangent: Callable[[Array], Array] = lambda given: given
    steps: Any = "all"
    seed: int = 0

    def case(self, fault: Fault) -> Case:
        attributes = {**operation(fault.operation).defaults(), **self.attributes}
        return Case(fault.operation, fault.dtype, self.sizes, attributes, steps=self.steps, seed=self.seed)

    def shows(self, fault: Fault, backend: Backend) -> str:
        """The violation of a backend on the call; "" if there is none."""
        case = self.case(fault)
        call = Call(fault.operation, {**case.call.inputs, **self.inputs(dict(case.call.inputs))}, case.call.attributes)
        check_call(call.operation, call.inputs, call.attributes)
        cotangents = tuple(self.cotangent(d) for d in case.cotangents)
        expected = expect(call, fault.dtype, cotangents if backend.has_gradients(fault.operation) else None)
        assert not expected.overflowed
        try:
            Asked(case, call, cotangents).compare_all(backend, expected)
        except Violation as violation:
            return str(violation)
        return ""


def low(name: str) -> Callable[[dict[str, Array]], dict[str, Array]]:
    """An input that is far below -10000, the numbers as far apart as they were."""
    return lambda given: {name: given[name] - given[name].dtype.type(20000)}


def forbidden(given: dict[str, Array]) -> dict[str, Array]:
    return {"transitions": np.full_like(given["transitions"], -np.inf)}


def spread(d: Array) -> Array:
    """One number, repeated by strides of 0."""
    return np.broadcast_to(d.ravel()[:1].reshape((1,) * d.ndim), d.shape)


WITNESSES = {
    "gru-steps-after64-dropped": Witness({"B": 1, "T": 66, "D": 1, "H": 2}),
    "lstm-tail-after-blocks-of32-lost": Witness({"B": 1, "T": 1, "D": 1, "H": 257, "S": 257}),
    "dense-tail-after-blocks-of8-lost": Witness({"B": 1, "D": 1, "H": 9}),
    "attention-scores-features-in-blocks-of16": Witness({"B": 1, "U": 1, "T": 1, "D": 17, "E": 17}),
    "dropout-rows-after-the-grid": Witness({"B": 65600, "T": 1, "D": 1}),
    "crf-log-partition-last-block-of-steps-dropped": Witness({"B": 1, "T": 33, "K": 2}),
    "cross-entropy-classes-after128-uncounted": Witness({"B": 1, "T": 1, "K": 130}),
    "layer-norm-lstm-gain-of-units-after256-ignored": Witness({"B": 1, "D": 1, "H": 258}),
    "attention-weights-steps-counted-in-a-byte": Witness({"B": 1, "U": 1, "T": 256}),
    "lstm-clip-above10-ignored": Witness(
        {"B": 1, "D": 1, "H": 2},
        {"clip": 12.0, "activations": ("logistic", "relu", "relu")},
        lambda given: {"b": given["b"] + np.float32(20)},
    ),
    "dropout-dropout-rate-below-a-tenth-not-rescaled": Witness({"B": 2, "T": 3, "D": 4}, {"p": 0.05}),
    "lstm-recurrent-dropout-rate-of-zero-taken-for-none": Witness(
        {"B": 3, "T": 3, "D": 1, "H": 3, "S": 3}, {"recurrent_dropout": 0.0}
    ),
    "beam-search-beam-no-wider-than-the-vocabulary": Witness(
        {"B": 24, "K": 2, "D": 3, "H": 4, "S": 4}, {"width": 4, "steps": 5, "normalise": False}, seed=4
    ),
    "greedy-decode-tokens-after-the16th-lost": Witness({"B": 2, "K": 3, "D": 2, "H": 3, "S": 3}, {"steps": 18}),
    "gru-state-forgotten-without-a-step": Witness({"B": 2, "T": 0, "D": 2, "H": 3}),
    "gru-equal-lengths-taken-for-full": Witness(
        {"B": 2, "T": 4, "D": 2, "H": 2},
        inputs=lambda given: {"lengths": np.array([2, 2], np.int64)},
        steps="lengths",
    ),
    "attention-weights-masked-keys-at-minus10000": Witness(
        {"B": 2, "U": 2, "T": 4}, inputs=low("scores"), steps="mask", seed=2
    ),
    "softmax-padded-steps-at-minus10000": Witness({"B": 2, "T": 4}, inputs=low("x"), steps="mask", seed=2),
    "crf-log-partition-scores-kept-above-minus10000": Witness({"B": 1, "T": 2, "K": 2}, inputs=low("transitions")),
    "crf-viterbi-best-path-through-a-forbidden-move": Witness({"B": 1, "T": 2, "K": 2}, inputs=forbidden),
    "framewise-log-likelihood-emissions-kept-above-minus10000": Witness(
        {"B": 1, "T": 2, "K": 3}, inputs=low("emissions")
    ),
    "crf-log-partition-impossible-taken-for-empty": Witness({"B": 1, "T": 2, "K": 2}, inputs=forbidden),
    "crf-log-partition-nan-from-all-forbidden": Witness({"B": 1, "T": 2, "K": 2}, inputs=forbidden),
    "lstm-stride-of-zero-read-on": Witness({"B": 2, "T": 2, "D": 1, "H": 2, "S": 2}, cotangent=spread),
    "attention-context-stride-of-zero-read-on": Witness({"B": 1, "U": 2, "T": 2, "V": 2}, cotangent=spread),
}


@pytest.mark.parametrize("name", WITNESSES)
def test_a_call_shows_the_fault_and_nothing_wrong_with_what_is_right(name: str) -> None:
    fault, witness = PLANTED[name], WITNESSES[name]
    assert not witness.shows(fault, NumpyBackend())
    assert witness.shows(fault, fault.implementation())


def test_another_thread_shows_that_the_workspace_is_the_first_ones() -> None:
    fault = PLANTED["lstm-workspace-of-the-first-thread"]
    witness, backend = Witness({"B": 1, "D": 1, "H": 2}), fault.implementation()
    assert not witness.shows(fault, backend)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(witness.shows, fault, backend).result()


def test_who_asks_twice_is_shown_that_the_second_gradient_is_half_the_first() -> None:
    backend = PLANTED["forget-only-lstm-second-gradient-of-a-call-halved"].implementation()
    case = Case(
        "forget_only_lstm", "float32", {"B": 1, "T": 2, "D": 2, "H": 2}, operation("forget_only_lstm").defaults()
    )
    first, second = (backend.gradients(case.call, case.cotangents) for _ in range(2))
    np.testing.assert_array_equal(second["W"], first["W"] / 2)


@pytest.mark.parametrize("name", ["greedy-decode-greedy-ties-to-the-highest", "beam-search-beam-ties-to-the-last"])
def test_where_all_tokens_are_alike_the_reference_writes_the_first(name: str) -> None:
    fault = PLANTED[name]
    case = Case(fault.operation, "float32", {"B": 1, "K": 3}, operation(fault.operation).defaults())
    alike = {key: np.zeros_like(case.call.inputs[key]) for key in ("V", "c")}
    call = Call(fault.operation, {**case.call.inputs, **alike}, case.call.attributes)
    assert NumpyBackend().run(call)[0].tolist() == [[0, 0, 0]]
    assert fault.implementation().run(call)[0].any()


@pytest.mark.parametrize("module", [pytest.param(module, id=module.__name__.rpartition(".")[2]) for module in KINDS])
def test_every_kind_has_some_and_all_are_in_the_catalogue(module: Any) -> None:
    assert len(planted_in(module)) >= 2
    assert {fault.name for fault in planted_in(module)} <= set(PLANTED)
