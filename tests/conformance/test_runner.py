"""One check from drawing to verdict: every verdict, shrinking, repeatability, and whose fault an exception is."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.checks import CHECKS, Check
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.run import PROFILES, CheckResult, Profile, Verdict, run_check
from rnnspec.spec import CallError

Make = Callable[..., Any]
BY_ID = {check.id: check for check in CHECKS}
VALUES, GRADIENTS, BAD_INPUT = BY_ID["values"], BY_ID["gradients"], BY_ID["bad_input"]


def test_conforms(few: Profile) -> None:
    result = run_check(VALUES, NumpyBackend(), "lstm", "float32", few)
    assert result.verdict is Verdict.CONFORMS
    assert (result.backend, result.operation, result.dtype, result.device) == ("numpy", "lstm", "float32", "cpu")
    assert (result.id, result.level, result.examples, result.refused) == ("values", "MUST", 40, 0)
    assert (result.message, result.repro, result.reasons) == ("", "", ())
    assert 0 < (result.worst_error_ratio or 0) < 1
    assert result.seconds > 0


def test_violates_and_shrinks(few: Profile, numpy_with: Make) -> None:
    def wrong_from_the_third_step_on(**call: Any) -> Any:
        y, h, c = reference.lstm(**call)
        y = y.copy()
        if y.ndim == 3:  # else it has no steps
            y[:, 2:] += 1
        return y, h, c

    result = run_check(VALUES, numpy_with(lstm=wrong_from_the_third_step_on), "lstm", "float32", few)
    assert result.verdict is Verdict.VIOLATES
    assert "y[0, 2, 0]: expected " in result.message
    assert "in lstm float32 B=1 D=1 H=1 T=3 generic" in result.message
    assert result.worst_error_ratio is not None
    assert result.worst_error_ratio > 1000
    assert f"error ratio {result.worst_error_ratio:.3g}" in result.message


def test_an_infinite_error_ratio_is_none(few: Profile, numpy_with: Make) -> None:
    backend = numpy_with(gru=lambda **call: tuple(np.nan * output for output in reference.gru(**call)))
    result = run_check(VALUES, backend, "gru", "float32", few)
    assert result.verdict is Verdict.VIOLATES
    assert "got nan" in result.message
    assert result.worst_error_ratio is None
    json.dumps(result.to_json(), allow_nan=False)


def test_refused_loudly(few: Profile, numpy_with: Make) -> None:
    def refuse(**call: Any) -> Any:
        raise Unsupported("no LSTM on Sundays")

    result = run_check(VALUES, numpy_with(lstm=refuse), "lstm", "float32", few)
    assert (result.verdict, result.examples, result.worst_error_ratio) == (Verdict.REFUSED, 0, None)
    assert result.message == "no LSTM on Sundays"
    assert result.reasons == ("no LSTM on Sundays",)
    assert not result.verdict.bad


def test_refusing_some_cases_does_not_use_up_examples(few: Profile, numpy_with: Make) -> None:
    def refuse_four(**call: Any) -> Any:
        if call["x"].shape[1] == 4:  # what is refused when support is probed is not drawn at all
            raise Unsupported("no four steps")
        return reference.lstm(**call)

    result = run_check(VALUES, numpy_with(lstm=refuse_four), "lstm", "float32", few)
    assert (result.verdict, result.examples, result.reasons) == (Verdict.CONFORMS, 40, ("no four steps",))
    assert result.refused > 3


def test_refusing_the_gradient_alone(few: Profile) -> None:
    class ForwardOnly(Backend):
        name = "forward only"
        lstm = staticmethod(reference.lstm)

    assert run_check(VALUES, ForwardOnly(), "lstm", "float32", few).verdict is Verdict.CONFORMS
    result = run_check(GRADIENTS, ForwardOnly(), "lstm", "float32", few)
    assert result.verdict is Verdict.REFUSED
    assert "forward only has no gradients" in result.message


def test_not_implemented(few: Profile) -> None:
    class Empty(Backend):
        name = "empty"

    result = run_check(VALUES, Empty(), "lstm", "float32", few)
    assert (result.verdict, result.message, result.examples) == (Verdict.NOT_IMPLEMENTED, "", 0)
    assert not result.verdict.bad


class OddError(Exception):
    """Needs two arguments, and cannot be copied."""

    def __init__(self, one: object, other: object) -> None:
        super().__init__(one)

    def __reduce__(self) -> str:
        raise RuntimeError("not this one")


class SilentError(Exception):
    """Cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


ERRORS: list[Callable[[], BaseException]] = [
    lambda: ValueError("odd shape"),
    lambda: AssertionError("inner check"),
    lambda: KeyError("x"),
    lambda: StopIteration("x"),
    lambda: RecursionError("deep"),
    lambda: MemoryError(),
    lambda: ExceptionGroup("several", [ValueError("one"), KeyError("two")]),
    lambda: OddError(1, 2),
    lambda: SilentError(),
    lambda: UserWarning("a warning raised"),
    lambda: CallError("from below"),
    lambda: SystemExit(3),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("check", [VALUES, GRADIENTS], ids=lambda check: check.id)
def test_crashed(check: Check, error: Callable[[], BaseException], few: Profile, numpy_with: Make) -> None:
    def crash(**call: Any) -> Any:
        raise error()

    backend = numpy_with(lstm=crash) if check is VALUES else numpy_with(lstm_vjp=crash)
    result = run_check(check, backend, "lstm", "float32", few)
    assert result.verdict is Verdict.CRASHED
    assert result.verdict.bad
    assert type(error()).__name__ in result.message
    assert "in lstm(x (1, 1, 1), " in result.message  # the smallest


def test_a_crash_is_told_with_its_attributes_and_its_case(few: Profile, numpy_with: Make) -> None:
    def crash(**call: Any) -> Any:
        if call["direction"] == "reverse":
            raise OSError("cannot go back")
        return reference.lstm(**call)

    result = run_check(VALUES, numpy_with(lstm=crash), "lstm", "float32", few)
    what, where, case = result.message.splitlines()
    assert what == "OSError: cannot go back"
    assert where.endswith(", R (4, 1, 1), b (4, 1), b_R (4, 1), direction=reverse)")
    assert case.startswith("  in lstm float32 B=1 D=1 H=1 T=1 direction=reverse ")


def test_of_two_cases_a_crash_is_told_with_its_own(few: Profile, numpy_with: Make) -> None:
    def crash(**call: Any) -> Any:
        if call["clip"] is not None:
            raise OSError("no clipping")
        return reference.lstm(**call)

    result = run_check(BY_ID["attributes"], numpy_with(lstm=crash), "lstm", "float32", few)
    assert result.verdict is Verdict.CRASHED
    assert all(" clip=" in line for line in result.message.splitlines()[1:])


def test_a_crash_on_what_the_specification_does_not_know_is_told() -> None:
    call = Call("no_such_operation", {"x": np.zeros(2)}, {"mode": "fast"})
    assert str(BackendCrashError(call, OSError("x"))).endswith("in no_such_operation(x (2,), mode=fast)")


@pytest.mark.parametrize("returned", [None, 7, 3.5])
def test_what_is_no_result_at_all_is_a_crash(returned: object, few: Profile, numpy_with: Make) -> None:
    result = run_check(VALUES, numpy_with(lstm=lambda **call: returned), "lstm", "float32", few)
    assert result.verdict is Verdict.CRASHED
    result = run_check(
        GRADIENTS, numpy_with(lstm_vjp=lambda **call: (None, lambda *_: returned)), "lstm", "float32", few
    )
    assert result.verdict is Verdict.CRASHED


def test_a_crash_on_some_cases_shrinks(few: Profile, numpy_with: Make) -> None:
    def crash(**call: Any) -> Any:
        if call["W"].shape[1] >= 3:
            raise OSError("too wide")
        return reference.lstm(**call)

    result = run_check(VALUES, numpy_with(lstm=crash), "lstm", "float32", few)
    assert result.verdict is Verdict.CRASHED
    assert "OSError: too wide" in result.message
    assert "x (1, 1, 1), h0 (1, 3), c0 (1, 3), W (4, 3, 1)" in result.message


def test_refusals_that_come_and_go(few: Profile, numpy_with: Make) -> None:
    count = itertools.count()

    def now_and_then(**call: Any) -> Any:
        if next(count) % 5 == 3:
            raise Unsupported("not now")
        return reference.lstm(**call)

    result = run_check(VALUES, numpy_with(lstm=now_and_then), "lstm", "float32", few)
    assert (result.verdict, result.examples) == (Verdict.CONFORMS, 40)


def test_an_interruption_goes_through(few: Profile, numpy_with: Make) -> None:
    def interrupted(**call: Any) -> Any:
        raise Interrupted

    with pytest.raises(Interrupted):
        run_check(VALUES, numpy_with(lstm=interrupted), "lstm", "float32", few)


# Repeatability.


class Recorder(NumpyBackend):
    """Remembers what it was asked."""

    name = "recorder"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Any, ...]] = []

    def run(self, call: Call) -> tuple[Any, ...]:
        inputs = tuple((name, array.shape, array.tobytes()) for name, array in call.inputs.items())
        self.asked.append((call.operation, inputs, repr(call.attributes)))
        return super().run(call)


@pytest.mark.parametrize("check", [VALUES, BAD_INPUT], ids=lambda check: check.id)
def test_the_same_seed_asks_the_same(check: Check, few: Profile) -> None:
    asked = []
    for number in (7, 7, 8):
        backend = Recorder()
        run_check(check, backend, "lstm", "float32", few, seed_number=number)
        asked.append(backend.asked)
    assert asked[0] == asked[1]
    assert asked[0] != asked[2]


def test_the_same_seed_finds_the_same_fault(few: Profile, numpy_with: Make) -> None:
    def wrong(**call: Any) -> Any:
        y, h, c = reference.lstm(**call)
        return y, h, c * np.float32(1.25)

    results = [run_check(VALUES, numpy_with(lstm=wrong), "lstm", "float32", few) for _ in range(2)]
    assert results[0].message == results[1].message
    assert results[0].worst_error_ratio == results[1].worst_error_ratio


def test_a_run_leaves_nothing_behind(
    few: Profile, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, numpy_with: Make
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_check(VALUES, NumpyBackend(), "lstm", "float32", few)
        run_check(VALUES, numpy_with(lstm=lambda **call: None), "lstm", "float32", few)
    assert list(tmp_path.iterdir()) == []


# Whose fault it is.


def test_a_fault_of_the_judge_is_not_the_backends(few: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a fault of the suite")

    monkeypatch.setattr("rnnspec.conformance.checks.right.expect", broken)
    monkeypatch.setattr("rnnspec.conformance.checks.right.expect_both", broken)
    for check in (VALUES, GRADIENTS):
        with pytest.raises(ZeroDivisionError, match="a fault of the suite"):
            run_check(check, NumpyBackend(), "lstm", "float32", few)


def test_a_fault_of_a_check_is_not_the_backends(few: Profile) -> None:
    class Broken(Check):
        id = "broken"
        about = "nothing"

        def examine(self, backend: Backend, example: Any) -> float:
            backend.run(example.call)
            raise AssertionError("a fault of the check")

    with pytest.raises(AssertionError, match="a fault of the check"):
        run_check(Broken(), NumpyBackend(), "lstm", "float32", few)


# Profiles and results.


def test_profiles_grow() -> None:
    quick, standard, thorough = (PROFILES[name] for name in ("quick", "standard", "thorough"))
    for less, more in ((quick, standard), (standard, thorough)):
        assert less.examples < more.examples
        assert less.examples_other_types < more.examples_other_types
        assert less.largest < more.largest
    assert quick.examples_for("float32") == quick.examples
    assert quick.examples_for("float16") == quick.examples_other_types


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([], "not implemented"),
        (["not implemented"], "not implemented"),
        (["refused", "not implemented"], "refused"),
        (["conforms", "refused"], "conforms"),
        (["conforms", "not implemented"], "conforms"),
        (["conforms", "violates", "refused"], "violates"),
        (["violates", "crashed", "conforms"], "crashed"),
    ],
)
def test_the_verdict_on_the_whole(verdicts: list[str], worst: str) -> None:
    assert Verdict.worst(Verdict(verdict) for verdict in verdicts) == worst


def test_a_result_goes_through_json_and_back(few: Profile) -> None:
    result = run_check(VALUES, NumpyBackend(), "rnn", "float32", few)
    again = CheckResult.from_json(json.loads(json.dumps(result.to_json())))
    assert again == result
    assert isinstance(again.verdict, Verdict)
