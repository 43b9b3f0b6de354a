"""Broken calls: every kind of breakage is made, and every one is refused by the specification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks.bad_input import BadInput, breakages
from rnnspec.conformance.run import Profile, Verdict, run_check
from rnnspec.spec import CallError, check_call, operations

KINDS = {
    "rank": {"x with an axis too many", "x with an axis too few", "b with an axis too many"},
    "size": {
        "x of shape (4, 4, 2) in place of (3, 4, 2)",
        "x of shape (3, 4, 1) in place of (3, 4, 2)",
        "R of shape (5, 5, 5) in place of (4, 5, 5)",
        "b of shape (4, 4) in place of (4, 5)",
        "h0 of shape (3, 6) in place of (3, 5)",
    },
    "type": {"W in float64 among float32", "c0 in int64 among float32"},
    "length": {"a length of 5 for 4 steps", "a length of -1 for 4 steps", "both lengths and mask"},
    "absence": {"no x", "no W", "no R", "no b"},
    "attribute": {"clip='no such value'", "coupled='no such value'", "an unknown attribute"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_breakage_is_made(kind: str, make_case: Callable[..., Case]) -> None:
    assert KINDS[kind] <= {wrong for _, wrong in breakages(make_case())}


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ("lengths", {"lengths with an axis too many", "lengths in float32 in place of int64"}),
        ("mask", {"mask with an axis too few", "mask in float32 in place of bool"}),
    ],
)
def test_breakages_of_the_steps(steps: str, wanted: set[str], make_case: Callable[..., Case]) -> None:
    assert wanted <= {wrong for _, wrong in breakages(make_case(steps=steps))}


def test_a_call_keeps_the_size_that_it_alone_sets(make_case: Callable[..., Case]) -> None:
    """A longer x is no error where nothing else has steps, nor is a cell without a state's size to contradict."""
    assert "x of shape (3, 5, 2) in place of (3, 4, 2)" not in {wrong for _, wrong in breakages(make_case())}
    with_lengths = {wrong for _, wrong in breakages(make_case(steps="mask"))}
    assert "x of shape (3, 5, 2) in place of (3, 4, 2)" in with_lengths


@pytest.mark.parametrize("name", operations())
def test_the_specification_refuses_every_breakage(name: str) -> None:
    choices = RandomChoices(np.random.default_rng(1))
    count = drawn = 0
    for dtype in ("float32", "bfloat16"):
        for _ in range(6):
            case = draw_case(choices, Scope(name, dtype))
            if not case.sizes.get("B", 1) or not case.sizes.get("T", 1):
                continue
            drawn += len(case.call.inputs)
            check_call(name, case.call.inputs, case.call.attributes)
            for call, wrong in breakages(case):
                count += 1
                assert wrong
                with pytest.raises(CallError):
                    check_call(name, call.inputs, call.attributes)
                with pytest.raises((CallError, TypeError)):  # what Python itself refuses included
                    NumpyBackend().run(call)
    assert drawn > 0
    assert count > 2 * drawn  # of each input several ways to be wrong


def test_breaking_a_call_leaves_the_case_as_it_was(make_case: Callable[..., Case]) -> None:
    case = make_case(steps="lengths")
    before = {name: array.copy() for name, array in case.call.inputs.items()}
    list(breakages(case))
    for name, array in before.items():
        np.testing.assert_array_equal(case.call.inputs[name], array, strict=True)


class Careless(NumpyBackend):
    """Takes good calls as it should, and gives zeros for one kind of the bad ones."""

    name = "careless"
    accepts = ""

    def run(self, call: Call) -> tuple[Any, ...]:
        try:
            return super().run(call)
        except (CallError, TypeError) as error:
            if self.accepts in str(error):
                return (np.zeros(1, np.float32),) * 3
            raise


@pytest.mark.parametrize(
    ("accepts", "message"),
    [
        ("no_such_attribute", "accepted an unknown attribute: expected an error, got a result"),
        ("lengths[", "accepted "),
        ("got both", "accepted both lengths and mask"),
        ("W is missing", "accepted no W"),
        ("all float inputs have one type", "among float32"),
        ("expected shape", "in place of"),
    ],
)
def test_accepting_one_kind_of_breakage_violates(accepts: str, message: str) -> None:
    backend = Careless()
    backend.accepts = accepts
    many = Profile("many", examples=300, examples_other_types=300, largest=0)
    result = run_check(BadInput(), backend, "lstm", "float32", many)
    assert result.verdict is Verdict.VIOLATES
    assert message in result.message


@pytest.mark.parametrize("error", [ValueError, TypeError, RuntimeError, IndexError, MemoryError, AssertionError])
def test_any_error_is_right(error: type[Exception], few: Profile) -> None:
    class Terse(NumpyBackend):
        def run(self, call: Call) -> tuple[Any, ...]:
            try:
                return super().run(call)
            except CallError:
                raise error from None

    assert run_check(BadInput(), Terse(), "gru", "float32", few).verdict is Verdict.CONFORMS


def test_refusing_the_good_call_shows_nothing(few: Profile) -> None:
    class Refuses(Backend):
        name = "refuses"

        def lstm(self, **call: Any) -> Any:
            raise Unsupported("nothing")

    result = run_check(BadInput(), Refuses(), "lstm", "float32", few)
    assert (result.verdict, result.message, result.examples) == (Verdict.REFUSED, "nothing", 0)
