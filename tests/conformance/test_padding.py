"""The contents of the padding, and the words of a violation about an element there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.padding import Padding, PaddingNan
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.checks.whereabouts import whereabouts
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.score import score_fault
from rnnspec.conformance.run import PROFILES
from rnnspec.spec import check_call, operations

Make = Callable[..., Any]
PADDED = [op.name for op in operations().values() if Padding().applies_to(op)]


def padded_cases(name: str, dtype: str) -> list[Case]:
    choices = RandomChoices(np.random.default_rng(0))
    drawn = (Padding().of(draw_case(choices, Scope(name, dtype)), Scope(name, dtype)) for _ in range(12))
    return [case for case in drawn if case is not None]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("name", PADDED)
def test_the_padding_alone_is_filled(name: str, dtype: str) -> None:
    changed = 0
    for case in padded_cases(name, dtype):
        for check in (Padding(), PaddingNan()):
            call = check.filled(case)
            check_call(name, call.inputs, call.attributes)
            for key, array in case.call.inputs.items():
                filled, shape = call.inputs[key], case.items[key].shape
                assert (filled.dtype, filled.shape) == (array.dtype, array.shape)
                if "T" not in shape or case.items[key].kind not in ("float", "ids"):
                    assert filled is array
                    continue
                steps, before = (np.moveaxis(a, shape.index("T"), 1) for a in (filled, array))
                np.testing.assert_array_equal(steps[case.valid], before[case.valid])
                out, given = steps[~case.valid], before[~case.valid]
                if isinstance(check, PaddingNan):
                    assert not out.size or np.all(out < 0) or np.isnan(out).all()
                elif case.items[key].kind == "ids":
                    below = case.lengths_of.get(case.items[key].below, 3)
                    assert np.all((out >= 0) & (out < below))
                    assert below == 1 or np.all(out != given)
                    changed += out.size
                elif case.items[key].domain == "probability":
                    assert np.all((out >= 0) & (out <= 1))
                    changed += out.size
                else:
                    large = 1000 if dtype == "float32" else 15
                    assert np.all((np.abs(out) >= large) & (np.abs(out) <= 2001))
                    assert np.all(np.signbit(out) != np.signbit(given))
                    changed += out.size
    assert changed


def test_numbers_in_the_padding_that_count_are_caught_without_nan() -> None:
    fault = next(fault for fault in faults() if fault.name == "mean-squared-error-padding-counts-a-little")
    found = score_fault(fault, PROFILES["quick"], shrink=False, exclusive=True)
    assert (found.check, found.also) == ("padding", "")


@pytest.mark.parametrize("family", ["rnn", "lstm", "gru"])
def test_nan_times_zero_is_caught_by_nan_alone(family: str) -> None:
    fault = next(fault for fault in faults() if fault.name == f"{family}-padding-times-zero")
    checks = (Padding(), PaddingNan())
    assert score_fault(fault, PROFILES["quick"], checks, shrink=False).check == "padding_nan"
    assert not score_fault(fault, PROFILES["quick"], checks[:1], shrink=False).caught


# The words about its place.


def lengths_case(make_case: Make) -> Case:
    """Sequences of 2, 0 and 4 steps."""
    cases = (make_case(steps="lengths", seed=seed) for seed in range(500))
    case: Case = next(case for case in cases if case.call.inputs["lengths"].tolist() == [2, 0, 4])
    return case


def test_an_element_is_known_by_where_it_stands(make_case: Make) -> None:
    call = lengths_case(make_case).call
    assert whereabouts(call, "y", (0, 1, 0)) == ""
    assert whereabouts(call, "y", (0, 2, 0)) == ", in the padding (length 2)"
    assert whereabouts(call, "dx", (0, 3, 1)) == ", in the padding (length 2)"
    assert whereabouts(call, "y", (1, 0, 0)) == ", of a sequence of length 0"
    assert whereabouts(call, "h_n", (1, 0)) == whereabouts(call, "dh0", (1, 0)) == ", of a sequence of length 0"
    assert whereabouts(call, "h_n", (0, 0)) == ""
    assert whereabouts(call, "dW", (1, 0, 0)) == whereabouts(call, "gradient", (1, 0, 0)) == ""
    assert whereabouts(make_case("lstm_cell").call, "h", (1, 0)) == ""


def test_of_a_mask_no_length_is_told(make_case: Make) -> None:
    cases = (make_case(steps="mask", seed=seed) for seed in range(100))
    call = next(case for case in cases if case.valid[0].tolist() == [True, False, True, True]).call
    assert whereabouts(call, "y", (0, 1, 0)) == ", in the padding"
    assert whereabouts(call, "y", (0, 2, 0)) == ""


def test_an_attribute_that_reads_otherwise_has_no_whereabouts(make_case: Make) -> None:
    call = lengths_case(make_case).call
    wrong = replace(call, inputs={**call.inputs, "lengths": call.inputs["lengths"] + 9})
    assert whereabouts(wrong, "y", (0, 2, 0)) == ""


def test_a_violation_says_that_it_is_in_the_padding(make_case: Make) -> None:
    case = lengths_case(make_case)
    y, h_n, c_n = reference.lstm(**case.call.inputs, **case.call.attributes)
    y = y.copy()
    y[0, 3, 1] = 1
    with pytest.raises(Violation, match=r"^y\[0, 3, 1\], in the padding \(length 2\): expected 0 ±"):
        Asked(case, case.call).compare(expected_of(case).outputs, (y, h_n, c_n))
    spoilt = c_n.copy()
    spoilt[1, 2] = 7
    with pytest.raises(Violation, match=r"^c_n\[1, 2\], of a sequence of length 0: expected"):
        Asked(case, case.call).compare(expected_of(case).outputs, (y * 0 + y.clip(-1, 1) * (y != 1), h_n, spoilt))


def test_a_little_in_the_padding_is_told_with_its_place(make_case: Make, numpy_with: Make) -> None:
    def lstm(**call: Any) -> Any:
        y, h, c = reference.lstm(**call)
        return np.where(y == 0, np.float32(1e-44), y), h, c

    with pytest.raises(Violation, match=r"^y\[0, 2, 0\], in the padding \(length 2\): expected exactly 0, got 9.8"):
        Padding().examine(numpy_with(lstm=lstm), lengths_case(make_case))
