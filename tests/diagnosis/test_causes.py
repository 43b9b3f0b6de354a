"""On what a fault depends is told: attributes, steps, absent inputs, sizes, numbers; and its smallest case is plain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.conformance.cases import Case
from rnnspec.conformance.diagnosis import FoundFault, suspects
from rnnspec.conformance.diagnosis.causes import Cause
from rnnspec.conformance.diagnosis.condition import Condition
from rnnspec.spec import check_call
from rnnspec.spec.arrays import Array

FaultsOf = Callable[..., list[FoundFault]]
Make = Callable[..., Backend]
Outputs = dict[str, Array]
Where = Callable[[Call], bool]


def off(where: Where) -> Callable[[Call, Outputs], Outputs]:
    """Results that are off by a third in some calls."""

    def show(call: Call, results: Outputs) -> Outputs:
        return {name: a + a.dtype.type(1 / 3) for name, a in results.items()} if where(call) else results

    return show


def valid_of(call: Call) -> Array:
    """The valid steps of a call, (B, T)."""
    valid = check_call(call.operation, call.inputs, call.attributes).valid
    assert valid is not None
    return np.asarray(valid)


def has_holes(call: Call) -> bool:
    """Whether some valid step comes after one that is not."""
    return "mask" in call.inputs and bool((np.diff(valid_of(call).astype(int), axis=1) > 0).any())


def is_padded(call: Call) -> bool:
    """Whether some step is not valid."""
    return not valid_of(call).all()


def has_an_empty_sequence(call: Call) -> bool:
    """Whether some sequence has no valid step."""
    return not valid_of(call).any(axis=1).all()


@pytest.fixture(autouse=True)
def _without_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cause is looked for before what the code computes is, and two edits at once take the longest to find."""
    monkeypatch.setattr(suspects, "PAIRS", 0.0)


@pytest.mark.parametrize(
    ("name", "where", "cause"),
    [
        ("rnn_cell", lambda call: True, "in every call"),
        ("gru_cell", lambda call: call.attributes["update"] == "admits", "only with update=admits"),
        ("gru_cell", lambda call: call.attributes["reset"] == "after", "only with reset=after"),
        (
            "gru_cell",
            lambda call: (call.attributes["reset"], call.attributes["update"]) == ("before", "admits"),
            "only with reset=before and with update=admits",
        ),
        ("rnn_cell", lambda call: call.attributes["activation"] != "tanh", "only with activation other than tanh"),
        ("lstm_cell", lambda call: call.attributes["clip"] is not None, "only with clip"),
        ("rnn", lambda call: call.attributes["direction"] == "reverse", "only with direction=reverse"),
        ("rnn", lambda call: "lengths" in call.inputs, "only with lengths"),
        ("rnn", lambda call: "mask" in call.inputs, "only with a mask"),
        ("rnn", lambda call: "mask" not in call.inputs, "only without a mask"),
        ("rnn", lambda call: not {"mask", "lengths"} & call.inputs.keys(), "only with every step valid"),
        ("rnn", has_holes, "only with holes in the mask"),
        ("rnn", is_padded, "only with sequences that are shorter than T"),
        ("rnn", has_an_empty_sequence, "only with a sequence that has no step"),
        ("rnn", lambda call: "h0" not in call.inputs, "only without h0"),
        ("rnn", lambda call: "h0" in call.inputs, "only with h0"),
        ("crf_viterbi", lambda call: "end" not in call.inputs, "only without end"),
        (
            "rnn",
            lambda call: bool((np.diff(call.inputs.get("lengths", [])) > 0).any()),
            "only with lengths that are not in descending order",
        ),
        (
            "ctc_loss",
            lambda call: not call.inputs["label_lengths"].all(),
            "only with a 0 in label_lengths",
        ),
        ("sgd_step", lambda call: call.attributes["momentum"] == 0, "only with momentum=0.0"),
        ("rnn", lambda call: len(call.inputs["x"]) > call.inputs["x"].shape[1], "only with B > T"),
        ("rnn_cell", lambda call: call.inputs["R"].shape[-1] >= 5, "only with H >= 5"),
        ("rnn_cell", lambda call: len(call.inputs["x"]) >= 2, "only with B >= 2"),
        (
            "rnn_cell",
            lambda call: len(call.inputs["x"]) >= 3 and call.attributes["activation"] == "relu",
            "only with activation=relu and with B >= 3",
        ),
        (
            "rnn_cell",
            lambda call: bool((call.inputs["W"] == np.rint(call.inputs["W"])).all() and call.inputs["W"].any()),
            "only with numbers of the kind integers; gone when W = 0",
        ),
        ("rnn_cell", lambda call: bool(call.inputs["h_prev"].any()), "in every call; gone when h_prev = 0"),
        (
            "rnn_cell",
            lambda call: bool(call.inputs["x"].any() and call.inputs["b"].any()),
            "in every call; gone when x = 0 or b = 0",
        ),
        (
            "gru_cell",
            lambda call: call.attributes["update"] == "admits" and bool(call.inputs["b"].any()),
            "only with update=admits; gone when b = 0",
        ),
    ],
)
def test_a_cause(name: str, where: Where, cause: str, wrong: Make, faults_of: FaultsOf) -> None:
    (fault,) = faults_of(wrong(outputs=off(where)), name, "values")
    assert str(fault.cause) == cause
    assert fault.case is not None
    assert fault.cause.holds(fault.case) or fault.cause.gone
    assert where(fault.case.given), "the smallest case shows the fault"


@pytest.mark.parametrize(("units", "sizes"), [(17, "H = 17"), (33, "H = 33")])
def test_a_cause_of_one_size(units: int, sizes: str, wrong: Make, faults_of: FaultsOf) -> None:
    backend = wrong(outputs=off(lambda call: call.inputs["R"].shape[-1] == units))
    (fault,) = faults_of(backend, "rnn_cell", "values", dtypes=("float32",))
    assert str(fault.cause) == f"only with {sizes}"
    assert fault.case is not None
    assert fault.case.sizes == {"B": 1, "D": 1, "H": units}


@pytest.mark.parametrize(
    ("where", "cause"),
    [
        (lambda call: True, "in every call"),
        (lambda call: call.attributes["activation"] == "relu", "only with activation=relu"),
        (lambda call: call.inputs["R"].shape[-1] >= 3, "only with H >= 3"),
    ],
)
def test_a_cause_of_wrong_gradients(where: Where, cause: str, wrong: Make, faults_of: FaultsOf) -> None:
    (fault,) = faults_of(wrong(gradients=off(where)), "rnn_cell")
    assert (fault.part, str(fault.cause)) == ("gradients", cause)


def test_who_refuses_an_input_has_no_fault_without_it(wrong: Make, faults_of: FaultsOf) -> None:
    def alter(call: Call) -> Call:
        if "b_R" in call.inputs:
            raise Unsupported("one bias only")
        return call

    (fault,) = faults_of(wrong(alter, off(lambda call: True)), "rnn_cell", "values")
    assert str(fault.cause) == "in every call"


# The smallest case.


def test_the_smallest_case_is_plain(wrong: Make, faults_of: FaultsOf) -> None:
    (fault,) = faults_of(wrong(outputs=off(lambda call: True)), "gru", "values")
    case = fault.case
    assert case is not None
    assert set(case.sizes.values()) == {1}
    assert case.attributes == case.spec.defaults()
    assert (case.steps, case.absent, case.regime) == ("all", (), "generic")
    assert set(case.zero) == {name for name, item in case.items.items() if item.kind == "float"}


def test_the_smallest_case_has_no_more_than_the_fault_needs(wrong: Make, faults_of: FaultsOf) -> None:
    def where(call: Call) -> bool:
        reset, units = call.attributes["reset"], call.inputs["R"].shape[-1]
        return reset == "before" and units >= 2 and bool(call.inputs["x"].any())

    (fault,) = faults_of(wrong(outputs=off(where)), "gru_cell", "values", dtypes=("float32",))
    case = fault.case
    assert case is not None
    assert case.sizes == {"B": 1, "D": 1, "H": 2}
    assert {name for name, value in case.attributes.items() if value != case.spec.defaults()[name]} == {"reset"}
    assert "x" not in case.zero
    assert {"h_prev", "W", "R", "b", "b_R"} == set(case.zero)


@pytest.mark.parametrize("where", [is_padded, lambda call: "lengths" in call.inputs and is_padded(call)])
def test_a_sequence_is_shorter_rather_than_empty(where: Where, wrong: Make, faults_of: FaultsOf) -> None:
    """Nobody disputes what is right of a sequence that has a step."""
    (fault,) = faults_of(wrong(outputs=off(where)), "rnn", "values")
    case = fault.case
    assert case is not None
    assert case.sizes["T"] == 2
    assert case.given.inputs["lengths"].tolist() == [1]


def test_a_sequence_is_empty_where_the_fault_needs_it(wrong: Make, faults_of: FaultsOf) -> None:
    (fault,) = faults_of(wrong(outputs=off(has_an_empty_sequence)), "rnn", "values")
    assert fault.case is not None
    assert 0 in fault.case.valid.sum(axis=1)


# Where conditions hold.


@pytest.mark.parametrize(
    ("name", "where", "given"),
    [
        ("gru_cell", lambda call: call.attributes["update"] == "admits", {"attributes": {"update": "admits"}}),
        ("rnn_cell", lambda call: call.inputs["R"].shape[-1] >= 5, {"sizes": {"H": 7}}),
        ("rnn", lambda call: "lengths" in call.inputs, {"steps": "unsorted"}),
        ("rnn", lambda call: "h0" not in call.inputs, {"absent": ("h0",)}),
        ("rnn", has_holes, {"steps": "mask", "sizes": {"T": 5}}),
    ],
)
def test_a_cause_holds_where_the_fault_shows_and_nowhere_else(
    name: str, where: Where, given: dict[str, Any], wrong: Make, faults_of: FaultsOf, small_case: Callable[..., Case]
) -> None:
    (fault,) = faults_of(wrong(outputs=off(where)), name, "values")
    affected = small_case(name, **given)
    assert where(affected.given)
    assert fault.cause.holds(affected)
    assert fault.cause.holds(replace(affected, seed=5, dtype="float32"))
    assert not where(small_case(name).given)
    assert not fault.cause.holds(small_case(name))


def test_no_cause_holds_where_an_input_is_absent_or_zero_that_the_fault_needs(
    wrong: Make, faults_of: FaultsOf, small_case: Callable[..., Case]
) -> None:
    def where(call: Call) -> bool:
        return bool(call.inputs.get("h0", np.zeros(1)).any())

    (fault,) = faults_of(wrong(outputs=off(where)), "rnn", "values")
    assert fault.cause.gone == ("h0",)
    assert fault.cause.holds(small_case("rnn"))
    assert not fault.cause.holds(small_case("rnn", zero=("h0",)))
    assert not fault.cause.holds(small_case("rnn", absent=("h0",)))


def test_a_cause_reads_as_a_sentence() -> None:
    def always(case: Case) -> bool:
        return True

    one, two, three = (Condition(text, always) for text in ("with a", "with b", "with c"))
    assert str(Cause()) == "in every call"
    assert str(Cause((one,))) == "only with a"
    assert str(Cause((one, two, three))) == "only with a, with b and with c"
    assert str(Cause((one,), ("x", "y"))) == "only with a; gone when x = 0 or y = 0"
    assert str(Cause((), ("x",))) == "in every call; gone when x = 0"
