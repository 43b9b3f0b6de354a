"""An unusual trait of a call is blamed only where the usual call is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.checks.habits import AnotherThread, ConstantCotangents, OneArray, OtherSize
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.spec.arrays import Array

Make = Callable[..., Backend]
Outputs = dict[str, Array]
BY_ID = {check.id: check for check in CHECKS}


def unusual(case: Case) -> dict[str, tuple[str, Any, str]]:
    """Examples by name: each with its check, and how a message begins that blames what is unusual."""
    square = Case("rnn_cell", "float32", {"B": 2, "D": 2, "H": 2}, case.attributes)
    return {
        "layouts": ("layouts", (case, "in Fortran order"), "with arrays in Fortran order: "),
        "repeated": (
            "layouts",
            (case, "that repeat themselves along the first axis"),
            "with arrays that repeat themselves along the first axis: ",
        ),
        "special_values": ("special_values", (case, "-0", "x"), "with x["),
        "nan": ("special_values", (case, "nan", "x"), "with x["),
        "one_array": ("callers", (square, OneArray((("x", "h_prev"),))), "with x and h_prev one array: "),
        "constant": (
            "callers",
            (case, ConstantCotangents()),
            "with cotangents of ones, one number seen everywhere: ",
        ),
        "thread": ("callers", (case, AnotherThread()), "called from another thread: "),
        "size": ("callers", (case, OtherSize("B")), "with B = "),
    }


NAMES = ["layouts", "repeated", "special_values", "nan", "one_array", "constant", "thread", "size"]


def violation_of(backend: Backend, name: str, case: Case) -> Violation:
    """The violations that the check of an example finds."""
    check, example, _ = unusual(case)[name]
    with pytest.raises(Violation) as caught:
        BY_ID[check].examine(Guarded(backend), example)
    return caught.value


@pytest.fixture
def case(small_case: Callable[..., Case]) -> Case:
    """A case of rnn_cell, in float32."""
    return Case("rnn_cell", "float32", {"B": 2, "D": 3, "H": 2}, small_case("rnn_cell").attributes)


def off(call: Call, results: Outputs) -> Outputs:
    """Results that are all off."""
    return {name: a + a.dtype.type(1 / 3) for name, a in results.items()}


@pytest.mark.parametrize("name", NAMES)
def test_the_usual_call_is_blamed_if_it_is_wrong_too(name: str, case: Case, wrong: Make) -> None:
    found = violation_of(wrong(outputs=off), name, case)
    assert found.message.startswith("h[")
    assert "expected" in found.message


@pytest.mark.parametrize("name", [name for name in NAMES if name != "nan"])
def test_a_wrong_gradient_of_the_usual_call_is_blamed_too(name: str, case: Case, wrong: Make) -> None:
    assert violation_of(wrong(gradients=off), name, case).message.startswith("d")


def usual_calls(case: Case, name: str) -> set[bytes]:
    """The bytes of x in the calls that are usual, by which they are told."""
    example: Any = unusual(case)[name][1]
    return {example[0].given.inputs["x"].tobytes()}


@pytest.mark.parametrize("name", ["repeated", "special_values", "one_array", "size"])
def test_what_is_unusual_is_blamed_where_the_usual_call_is_right(name: str, case: Case, wrong: Make) -> None:
    usual = usual_calls(case, name) if name != "one_array" else set()

    def outputs(call: Call, results: Outputs) -> Outputs:
        if name == "one_array":
            return off(call, results) if call.inputs["x"] is call.inputs["h_prev"] else results
        return results if call.inputs["x"].tobytes() in usual else off(call, results)

    found = violation_of(wrong(outputs=outputs), name, case)
    assert found.message.startswith(unusual(case)[name][2])
    assert "h[" in found.message


def test_a_layout_is_blamed_where_the_usual_call_is_right(case: Case, wrong: Make) -> None:
    def outputs(call: Call, results: Outputs) -> Outputs:
        return results if call.inputs["R"].flags.c_contiguous else off(call, results)

    assert violation_of(wrong(outputs=outputs), "layouts", case).message.startswith("with arrays in Fortran order: h[")


def test_nan_is_blamed_where_the_usual_call_is_right(case: Case, wrong: Make) -> None:
    def outputs(call: Call, results: Outputs) -> Outputs:
        return {name: np.nan_to_num(a) for name, a in results.items()}

    message = violation_of(wrong(outputs=outputs), "nan", case).message
    assert message.startswith("with x[")
    assert "expected nan" in message


def test_a_usual_call_that_is_refused_is_not_blamed(case: Case, wrong: Make) -> None:
    def alter(call: Call) -> Call:
        if call.inputs["R"].flags.c_contiguous:
            raise Unsupported("not today")
        return call

    example = unusual(case)["layouts"]
    assert violation_of(wrong(alter, off), "layouts", case).message.startswith(example[2])


def test_a_usual_call_that_crashes_is_a_crash(case: Case, wrong: Make) -> None:
    def alter(call: Call) -> Call:
        if call.inputs["R"].flags.c_contiguous:
            raise OSError("out of paper")
        return call

    check, example, _ = unusual(case)["layouts"]
    with pytest.raises(BackendCrashError, match="out of paper"):
        BY_ID[check].examine(Guarded(wrong(alter, off)), example)


@pytest.mark.parametrize("name", NAMES)
def test_who_is_right_is_blamed_for_nothing(name: str, case: Case, wrong: Make) -> None:
    check, example, _ = unusual(case)[name]
    assert 0 <= BY_ID[check].examine(Guarded(wrong()), example) <= 1
