"""All faults of a backend are found, each once, with the checks that show it; what is no fault is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import pytest

from rnnspec.backends import Backend, Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Extent
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.checks.asked import Unsteady
from rnnspec.conformance.diagnosis import Diagnosis, FoundFault, diagnose, suspects
from rnnspec.conformance.edits.single import single_edits
from rnnspec.conformance.faults.changed import backend_of
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.run import PROFILES, Profile, run_check
from rnnspec.conformance.run.runner import Failed
from rnnspec.conformance.run.session import session_of
from rnnspec.spec import FLOAT_TYPES, operation
from rnnspec.spec.arrays import Array

FaultsOf = Callable[..., list[FoundFault]]
Failures = Callable[..., list[Failed]]
Make = Callable[..., Backend]
Outputs = dict[str, Array]
BY_ID = {check.id: check for check in CHECKS}
PLANNED = Profile("planned", 30, 30, largest=0, planned=Extent(2), draws=False)


@pytest.fixture(autouse=True)
def _without_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two edits at once take the longest to find, and are of no concern here."""
    monkeypatch.setattr(suspects, "PAIRS", 0.0)


def run(backend: Backend, name: str, *checks: str, dtype: str = "float32") -> list[Failed]:
    """The violations that checks find, run as `validate` runs them."""
    failed: list[Failed] = []
    for check in checks:
        run_check(BY_ID[check], backend, name, dtype, PLANNED, failed=failed)
    return failed


# Several faults.


def with_two(call: Call, results: Outputs) -> Outputs:
    """A state with the other sign under one attribute, and one that is off under another."""
    h = results["h"]
    if call.attributes["update"] == "admits":
        h = -h
    return {"h": h + h.dtype.type(1 / 3) * (call.attributes["reset"] == "before")}


def test_two_faults_under_different_conditions_are_both_found_once_each(wrong: Make, faults_of: FaultsOf) -> None:
    backend = wrong(outputs=with_two)
    faults = faults_of(backend, "gru_cell", "values", "gradients", "edges", "batch", dtypes=("float32",))
    assert sorted(str(fault.cause) for fault in faults) == ["only with reset=before", "only with update=admits"]
    assert [fault.part for fault in faults] == ["values", "values"]
    assert {check for fault in faults for check in fault.checks} == {"values", "edges", "batch"}
    for fault in faults:
        assert fault.case is not None
        assert fault.cause.holds(fault.case)


def test_two_edits_under_different_conditions_are_both_found_and_named(faults_of: FaultsOf) -> None:
    op = operation("gru_cell")
    for text in ("s = r", "h = (1 - z) * h_prev + n"):
        op = next(edit.operation for edit in single_edits(op) if edit.text == text)
    faults = faults_of(backend_of(op)(), "gru_cell", "values", dtypes=("float32",))
    named = {str(fault.cause): " ".join(map(str, fault.suspects)) for fault in faults}
    assert all(len({*map(str, fault.suspects)}) == len(fault.suspects) for fault in faults), "each is listed once"
    assert set(named) == {"only with reset=before; gone when R = 0", "only with update=admits"}
    assert "`s = r`" in named["only with reset=before; gone when R = 0"]
    assert "`h = (1 - z) * h_prev + n`" in named["only with update=admits"]


def test_faults_of_outputs_and_of_gradients_are_told_apart(wrong: Make, faults_of: FaultsOf) -> None:
    def outputs(call: Call, results: Outputs) -> Outputs:
        return {"h": -results["h"]} if call.attributes["activation"] == "logistic" else results

    def gradients(call: Call, results: Outputs) -> Outputs:
        return {**results, "b": 3 * results["b"]}

    values, rest = faults_of(wrong(outputs=outputs, gradients=gradients), "rnn_cell")
    assert (values.part, str(values.cause), values.checks) == ("values", "only with activation=logistic", ["values"])
    assert (rest.part, rest.checks) == ("gradients", ["gradients"])
    assert str(rest.failure).startswith("db[")


def test_the_same_fault_in_four_types_is_one(wrong: Make, faults_of: FaultsOf) -> None:
    def outputs(call: Call, results: Outputs) -> Outputs:
        return {"h": -results["h"]}

    (fault,) = faults_of(wrong(outputs=outputs), "rnn_cell", "values", "batch", dtypes=FLOAT_TYPES)
    assert sorted(fault.dtypes) == sorted(FLOAT_TYPES)
    assert fault.case is not None
    assert fault.case.dtype == "float64", "the type in which rounding explains least"
    assert "h has the other sign" in map(str, fault.suspects)


def test_a_fault_of_one_type_is_told_of_it_alone(wrong: Make, faults_of: FaultsOf) -> None:
    def outputs(call: Call, results: Outputs) -> Outputs:
        return {"h": -results["h"]} if results["h"].dtype == np.float16 else results

    (fault,) = faults_of(wrong(outputs=outputs), "rnn_cell", "values", dtypes=("float32", "float16"))
    assert fault.dtypes == ["float16"]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (1e-5, "in some calls, less exact than rounding explains, by up to "),
        (0.5, "in every call; gone when x = 0; in some of these calls, as their numbers are"),
    ],
)
def test_errors_by_chance_are_one_fault(error: float, cause: str, wrong: Make, faults_of: FaultsOf) -> None:
    def outputs(call: Call, results: Outputs) -> Outputs:
        h = results["h"]
        by_chance = int(np.abs(call.inputs["x"]).sum() * 1e4 + 1) % 4 == 0
        return {"h": h * h.dtype.type(1 + by_chance * error)}

    (fault,) = faults_of(wrong(outputs=outputs), "rnn_cell", "values", dtypes=("float32",))
    assert str(fault.cause).startswith(cause)
    assert not fault.suspects


# Crashes.


def crash(call: Call) -> NoReturn:
    raise OSError("out of paper")


def test_a_crash_is_one_fault_whatever_checks_show_it(wrong: Make, faults_of: FaultsOf) -> None:
    def alter(call: Call) -> Call:
        return crash(call) if call.attributes["activation"] == "relu" else call

    checks = ("values", "gradients", "edges", "batch", "layouts", "callers")
    (fault,) = faults_of(wrong(alter), "rnn_cell", *checks, dtypes=("float64", "float32"))
    assert isinstance(fault.failure, BackendCrashError)
    assert str(fault.cause) == "only with activation=relu"
    assert set(fault.checks) >= {"values", "gradients", "batch"}
    assert set(fault.dtypes) == {"float64", "float32"}
    assert not fault.suspects


def test_a_crash_and_a_wrong_result_are_two_faults(wrong: Make, faults_of: FaultsOf) -> None:
    def alter(call: Call) -> Call:
        return crash(call) if call.attributes["activation"] == "relu" else call

    def outputs(call: Call, results: Outputs) -> Outputs:
        return {"h": -results["h"]} if call.attributes["activation"] == "logistic" else results

    faults = faults_of(wrong(alter, outputs), "rnn_cell")
    assert {str(fault.cause) for fault in faults} == {"only with activation=relu", "only with activation=logistic"}
    crashes = [isinstance(fault.failure, BackendCrashError) for fault in faults]
    assert sorted(crashes) == [False, True]


def test_a_crash_of_another_call_is_told_beside_a_wrong_result(wrong: Make, failures: Failures) -> None:
    def outputs(call: Call, results: Outputs) -> Outputs:
        return {"h": -results["h"]}

    (values,) = failures(wrong(outputs=outputs), "rnn_cell", ("values",))
    call = values.example.given
    crashed = Failed(
        BY_ID["batch"], "float64", values.example, BackendCrashError(call, OSError("no paper")), values.deck
    )
    first, second = Diagnosis(wrong(outputs=outputs), "rnn_cell").find([values, crashed])
    assert (first.part, first.checks) == ("values", ["values"])
    assert (second.checks, second.failure) == (["batch"], crashed.failure)


# Faults that one check alone sees.


def as_in_memory(call: Call) -> Call:
    """A call of the numbers as they lie in memory, by whoever does not look at strides."""
    inputs = {
        name: np.array(array.ravel(order="K")).reshape(array.shape) if array.ndim else array
        for name, array in call.inputs.items()
    }
    return Call(call.operation, inputs, call.attributes)


def test_a_fault_of_layouts_alone(wrong: Make, faults_of: FaultsOf) -> None:
    (fault,) = faults_of(wrong(as_in_memory), "rnn_cell", "values", "gradients", "layouts", dtypes=("float32",))
    assert fault.part == "layouts"
    assert fault.checks == ["layouts"]
    assert "with arrays in Fortran order: " in str(fault.failure)
    assert fault.case is not None
    assert fault.case.attributes == fault.case.spec.defaults()


def test_a_fault_of_layouts_beside_one_of_values(wrong: Make, faults_of: FaultsOf) -> None:
    def outputs(call: Call, results: Outputs) -> Outputs:
        return {"h": -results["h"]} if call.attributes["activation"] == "relu" else results

    backend = wrong(as_in_memory, outputs)
    values, layouts = faults_of(backend, "rnn_cell", "values", "layouts", dtypes=("float32",))
    assert (values.part, layouts.part) == ("values", "layouts")
    assert (values.checks, layouts.checks) == (["values"], ["layouts"])
    assert str(values.cause) == "only with activation=relu"


class Lenient(NumpyBackend):
    """Has an answer to whatever it is asked."""

    name = "lenient"

    def run(self, call: Call) -> tuple[Array, ...]:
        try:
            return super().run(call)
        except Exception:
            return (np.zeros(1),)


def test_a_fault_of_bad_input_alone() -> None:
    failed = run(Lenient(), "rnn_cell", "values", "bad_input", "batch")
    assert [one.check.id for one in failed] == ["bad_input"]
    (fault,) = Diagnosis(Lenient(), "rnn_cell").find(failed)
    assert (fault.part, fault.checks) == ("bad_input", ["bad_input"])
    assert not fault.suspects


class Leaking(NumpyBackend):
    """Begins with the state in which the call before has ended."""

    name = "leaking"
    state: Any = None

    def run(self, call: Call) -> tuple[Array, ...]:
        h0 = call.inputs.get("h0")
        if h0 is not None and self.state is not None and self.state.shape == h0.shape:
            call = Call(call.operation, {**call.inputs, "h0": self.state.astype(h0.dtype)}, call.attributes)
        y, self.state = super().run(call)
        return y, self.state


def test_a_kept_state_is_told_as_such() -> None:
    failed = run(Leaking(), "rnn", "values", "batch")
    assert any(isinstance(one.failure, Unsteady) for one in failed)
    (fault,) = Diagnosis(Leaking(), "rnn").find(failed)
    assert "the same call gives other answers" in str(fault.cause)
    assert list(map(str, fault.suspects)) == ["h0 was h_n of the call before"]
    assert set(fault.checks) == {one.check.id for one in failed}


class Traced(NumpyBackend):
    """Clips as it did in the first call of the same shape."""

    name = "traced"

    def __init__(self) -> None:
        super().__init__()
        self.thresholds: dict[tuple[int, ...], float] = {}

    def run(self, call: Call) -> tuple[Array, ...]:
        threshold = self.thresholds.setdefault(call.inputs["x"].shape, call.attributes["threshold"])
        return super().run(Call(call.operation, call.inputs, {"threshold": threshold}))


def test_a_kept_attribute_is_told_as_such() -> None:
    backend = Traced()
    failed = run(backend, "clip_by_value", "values")
    (fault,) = Diagnosis(backend, "clip_by_value").find(failed)
    assert str(fault.cause) == "in calls whose shapes a call with another threshold had before"
    assert fault.suspects == ["threshold is that of the first call of these shapes"]


class Counting(NumpyBackend):
    """Adds to each result the number of the call."""

    name = "counting"
    count = 0

    def run(self, call: Call) -> tuple[Array, ...]:
        self.count += 1
        return tuple(array + array.dtype.type(self.count) for array in super().run(call))


def test_who_is_unsteady_otherwise_is_suspected_of_nothing() -> None:
    failed = run(Counting(), "rnn", "values")
    (fault,) = Diagnosis(Counting(), "rnn").find(failed)
    assert "the same call gives other answers" in str(fault.cause)
    assert not fault.suspects


# Right answers, and calls that are not made.


class Restless(NumpyBackend):
    """Within every bound, and never twice the same."""

    name = "restless"
    calls = 0

    def run(self, call: Call) -> tuple[Array, ...]:
        self.calls += 1
        return tuple(np.nextafter(a, a.dtype.type(2 if self.calls % 4 < 2 else -2)) for a in super().run(call))


def test_a_departure_from_a_should_is_no_fault() -> None:
    failed = run(Restless(), "rnn_cell", "values", "repeatability")
    assert [(one.check.id, one.check.level) for one in failed] == [("repeatability", "SHOULD")]
    assert diagnose(Restless(), "rnn_cell", failed) == []


class Watched(NumpyBackend):
    """Counts what it is asked."""

    name = "watched"
    asked = 0

    def run(self, call: Call) -> tuple[Array, ...]:
        self.asked += 1
        return super().run(call)


@pytest.mark.parametrize("checks", [("values",), ("values", "batch", "layouts")])
def test_a_process_that_was_lost_is_not_asked_again(checks: Sequence[str]) -> None:
    backend = Watched()
    deck = session_of(backend, "rnn_cell", "float32", PROFILES["quick"], 0).deck
    case = deck.cases[0]
    lost = GuestLostError(case.given, "no answer in time", timed_out=True, seconds=1.0)
    failed = [
        Failed(BY_ID[check], dtype, BY_ID[check].of(case, deck.scope), lost, deck, repro=f"{check}.py")
        for dtype in ("float32", "float64")
        for check in checks
    ]
    before = backend.asked
    (result,) = diagnose(backend, "rnn_cell", failed)
    assert backend.asked == before
    assert sorted(result.checks) == sorted(checks), "each once"
    assert result.dtypes == ("float32", "float64")
    assert "no answer in time" in result.message
    assert result.repro == "values.py"
    assert not result.suspects


def test_other_faults_than_a_lost_process_are_looked_for(wrong: Make, failures: Failures) -> None:
    def outputs(call: Call, results: Outputs) -> Outputs:
        return {"h": -results["h"]} if call.attributes["activation"] == "relu" else results

    backend = wrong(outputs=outputs)
    (values,) = failures(backend, "rnn_cell", ("values",))
    lost = GuestLostError(values.example.given, "no answer in time", timed_out=True, seconds=1.0)
    failed = [values, Failed(BY_ID["batch"], "float64", values.example, lost, values.deck)]
    first, second = Diagnosis(backend, "rnn_cell").find(failed)
    assert (first.part, first.checks, str(first.cause)) == ("values", ["values"], "only with activation=relu")
    assert (second.checks, second.failure) == (["batch"], lost)


class Writing(NumpyBackend):
    """Writes its result over an input."""

    name = "writing"

    def run(self, call: Call) -> tuple[Array, ...]:
        outputs = super().run(call)
        if call.inputs["h_prev"].flags.writeable:
            call.inputs["h_prev"][...] = outputs[0]
        return outputs


def test_who_writes_to_inputs_is_told_that_and_no_more() -> None:
    failed = run(Writing(), "rnn_cell", "values", "unmodified", "layouts")
    (fault,) = diagnose(Writing(), "rnn_cell", failed)
    assert fault.message.startswith("h_prev: expected to stay as it was")


def test_bad_input_is_told_without_a_call_that_is_right() -> None:
    failed = run(Lenient(), "rnn_cell", "values", "bad_input")
    (fault,) = diagnose(Lenient(), "rnn_cell", failed)
    assert (fault.checks, fault.cause, fault.case, fault.call) == (("bad_input",), "of bad input", None, "")
    assert fault.message
