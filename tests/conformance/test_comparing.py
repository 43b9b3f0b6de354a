"""How results are held against what is right: their number, names, shapes, types and every element."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Call, Cotangents
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.right import expected_from, expected_of
from rnnspec.conformance.judge.tolerance import Bounded

Array = np.ndarray[Any, Any]
Make = Callable[..., Case]


def bounded(*values: float, bound: float = 0.5) -> Bounded:
    return Bounded(np.array(values), np.full(len(values), bound))


# Every element.


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("side", [1, -1])
def test_each_element_is_judged_and_the_bound_itself_passes(place: int, side: int, make_case: Make) -> None:
    case = make_case()
    got = np.array([1.0, 2.0, 3.0], np.float32)
    got[place] += side * 0.5
    assert Asked(case, case.call).judge("y", bounded(1, 2, 3), got) == 1
    got[place] += side * 2.0**-10
    with pytest.raises(Violation, match=rf"^y\[{place}\]: expected {place + 1} ± 0.5, got ") as caught:
        Asked(case, case.call).judge("y", bounded(1, 2, 3), got)
    violation = caught.value
    assert violation.error_ratio == 1 + 2.0**-9
    assert (violation.quantity, violation.case) == ("y", str(case))
    assert violation.asked is not None
    assert violation.asked.call is case.call
    assert violation.got is got


def test_the_worst_element_is_told(make_case: Make) -> None:
    case = make_case()
    with pytest.raises(Violation, match=r"^dW\[1\]: .*error ratio 8\)") as caught:
        Asked(case, case.call, case.cotangents).judge("dW", bounded(0, 0, 0), np.array([2.0, -4.0, 3.0]))
    assert caught.value.asked is not None
    assert caught.value.asked.cotangents is case.cotangents


def test_where_there_is_no_element_there_is_no_error(make_case: Make) -> None:
    case = make_case()
    assert Asked(case, case.call).judge("y", Bounded(np.zeros((0, 2)), np.zeros((0, 2))), np.zeros((0, 2))) == 0


def test_a_scalar_has_no_place(make_case: Make) -> None:
    case = make_case()
    with pytest.raises(Violation, match=r"^loss: expected 1 "):
        Asked(case, case.call).judge("loss", Bounded(np.array(1.0), np.array(0.5)), np.array(3.0))


def test_infinity_is_right_only_beyond_the_largest_number_of_the_cases_type(make_case: Make) -> None:
    """A result of 65504 that rounding may move by one is infinite in float16; in float32 it is a number."""
    expected, got = bounded(65504.0, bound=1.0), np.array([np.inf])
    half, single = make_case(dtype="float16"), make_case(dtype="float32")
    assert Asked(half, half.call).judge("y", expected, got) == 0
    with pytest.raises(Violation, match="got inf"):
        Asked(single, single.call).judge("y", expected, got)


# Forms.


@pytest.mark.parametrize(
    ("got", "wrong"),
    [
        ([1.0, 2.0], "expected an array, got list"),
        (np.zeros((1, 2), np.float32), r"expected shape \(2,\), got \(1, 2\)"),
        (np.zeros(3, np.float32), r"expected shape \(2,\), got \(3,\)"),
        (np.zeros(2, np.float64), "expected float32 like the inputs, got float64"),
        (np.zeros(2, np.int64), "expected float32 like the inputs, got int64"),
    ],
)
def test_a_wrong_form_is_a_violation(got: Any, wrong: str, make_case: Make) -> None:
    case = make_case()
    for ask in (
        lambda: Asked(case, case.call).named({"y": (2,)}, (got,)),
        lambda: Asked(case, case.call).compare({"y": bounded(0, 0, bound=np.inf)}, (got,)),
    ):
        with pytest.raises(Violation, match=f"^y: {wrong}"):
            ask()


def test_ids_are_whole_numbers_of_eight_bytes(make_case: Make) -> None:
    case = make_case("crf_viterbi")
    asked = Asked(case, case.call)
    asked.must_have_form("path", (2,), np.zeros(2, np.int64))
    for dtype in (np.int32, np.float32):
        with pytest.raises(Violation, match=r"^path: expected int64, got"):
            asked.must_have_form("path", (2,), np.zeros(2, dtype))


def test_results_have_the_cases_type_and_float64_where_no_input_is_a_float(make_case: Make) -> None:
    for dtype in ("float16", "float32"):
        case = make_case(dtype=dtype)
        assert Asked(case, case.call).float_type == np.dtype(dtype)
    case = make_case("token_accuracy", "float16")
    assert not case.call.float_inputs
    assert Asked(case, case.call).float_type == np.float64


def test_as_many_outputs_as_there_should_be(make_case: Make) -> None:
    case = make_case()
    got = [np.zeros((3, 4, 5), np.float32), np.zeros((3, 5), np.float32), np.zeros((3, 5), np.float32)]
    shapes = {"y": (3, 4, 5), "h_n": (3, 5), "c_n": (3, 5)}
    Asked(case, case.call).named(shapes, got)
    for number in (2, 4):
        with pytest.raises(Violation, match=rf"^expected 3 outputs \(y, h_n, c_n\), got {number}"):
            Asked(case, case.call).named(shapes, (got * 2)[:number])
    for place, name in enumerate(shapes):
        wrong = [array.astype(np.float64) if k == place else array for k, array in enumerate(got)]
        with pytest.raises(Violation, match=f"^{name}: expected float32"):
            Asked(case, case.call).named(shapes, wrong)


def test_ids_among_the_outputs_are_told_from_floats(make_case: Make) -> None:
    case = make_case("crf_viterbi")
    outputs = NumpyBackend().run(case.call)
    shapes = dict(zip(("score", "path"), (output.shape for output in outputs), strict=True))
    Asked(case, case.call).named(shapes, outputs)
    with pytest.raises(Violation, match=r"^path: expected int64"):
        Asked(case, case.call).named(shapes, (outputs[0], outputs[1].astype(np.float32)))


def test_a_gradient_of_every_input_and_of_no_other(make_case: Make) -> None:
    case = make_case()
    good = np.zeros(2, np.float32)
    Asked(case, case.call, ()).named({"x": (2,), "W": (2,)}, {"W": good, "x": good})
    for got in ({"x": good}, {"x": good, "W": good, "b": good}, {"x": good, "R": good}):
        with pytest.raises(Violation, match=f"^expected gradients of x, W, got those of {', '.join(got)}"):
            Asked(case, case.call, ()).named({"x": (2,), "W": (2,)}, got)
    for name in ("x", "W"):
        wrong = {"x": good, "W": good, name: np.zeros(3, np.float32)}
        with pytest.raises(Violation, match=rf"^d{name}: expected shape \(2,\)"):
            Asked(case, case.call, ()).named({"x": (2,), "W": (2,)}, wrong)


# All of a call.


def test_the_worst_of_all_outputs_and_of_all_gradients(make_case: Make) -> None:
    case = make_case("rnn")
    for place in range(2):
        got = [np.zeros(1, np.float32), np.zeros(1, np.float32)]
        got[place] += 0.25
        expected = {"y": bounded(0.0), "h_n": bounded(0.0)}
        assert Asked(case, case.call).compare(expected, got) == 0.5
        assert Asked(case, case.call, ()).compare(expected, dict(zip(expected, got, strict=True))) == 0.5
        got[place] += 1
        for ask in (
            lambda got=got, expected=expected: Asked(case, case.call).compare(expected, got),
            lambda got=got, expected=expected: Asked(case, case.call, ()).compare(
                expected, dict(zip(expected, got, strict=True))
            ),
        ):
            with pytest.raises(Violation, match=r"error ratio 2\.5"):
                ask()


def test_numbers_of_a_wrong_form_are_not_compared(make_case: Make) -> None:
    """A result that is too short or of another type has no error ratio, though every number in it is right."""
    case = make_case("rnn")
    good = np.zeros(1, np.float32)
    expected = {"y": bounded(0.0), "h_n": bounded(0.0)}
    for wrong in (good.astype(np.float64), good[:0], good[np.newaxis]):
        with pytest.raises(Violation, match=r"^h_n: expected"):
            Asked(case, case.call).compare(expected, (good, wrong))
        with pytest.raises(Violation, match=r"^dh_n: expected"):
            Asked(case, case.call, ()).compare(expected, {"y": good, "h_n": wrong})
    with pytest.raises(Violation, match=r"^expected 2 outputs"):
        Asked(case, case.call).compare(expected, (good,))
    with pytest.raises(Violation, match=r"^expected gradients of y, h_n"):
        Asked(case, case.call, ()).compare(expected, {"y": good})


class Off(NumpyBackend):
    """The reference, with one output and the gradients of one input off."""

    def __init__(self, output: float = 0.0, gradient: float = 0.0) -> None:
        super().__init__()
        self.output, self.gradient = output, gradient
        self.cotangents: list[Cotangents] = []

    def run(self, call: Call) -> tuple[Array, ...]:
        *others, last = super().run(call)
        return (*others, last + last.dtype.type(self.output))

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        self.cotangents.append(cotangents)
        found = super().gradients(call, cotangents, wanted)
        return {name: d + d.dtype.type(self.gradient) if name == "b" else d for name, d in found.items()}


@pytest.mark.parametrize("name", ["lstm", "rnn_cell"])
def test_outputs_and_gradients_of_a_call_are_both_held(name: str, make_case: Make) -> None:
    case = make_case(name)
    asked = Asked(case, case.call, case.cotangents)
    got = NumpyBackend()
    expected = expected_from(got, case)
    right = asked.compare_all(Off(), expected)
    assert 0 < right < 1
    with pytest.raises(Violation, match=r"^(c_n|h)\["):
        asked.compare_all(Off(output=1.0), expected)
    with pytest.raises(Violation, match=r"^db\["):
        asked.compare_all(Off(gradient=1.0), expected)
    outputs = Asked(case, case.call).compare(expected.outputs, got.run(case.call))
    gradients = Asked(case, case.call, case.cotangents).compare(
        expected.gradients, got.gradients(case.call, case.cotangents)
    )
    assert asked.compare_all(got) == asked.compare_all(got, expected) == right == max(outputs, gradients)


def test_the_cotangents_that_are_given_are_used(make_case: Make) -> None:
    case = make_case()
    others = tuple(2 * d for d in case.cotangents)
    backend = Off()
    expected = expected_from(backend, case)
    Asked(case, case.call, case.cotangents).compare_all(backend, expected)
    with pytest.raises(Violation, match=r"^dx\["):  # what is expected is of the case's own
        Asked(case, case.call, others).compare_all(backend, expected)
    assert [
        given[0] is own for given, own in zip(backend.cotangents, (case.cotangents[0], others[0]), strict=True)
    ] == [
        True,
        True,
    ]


def test_what_is_expected_has_gradients_where_they_are_asked_for(make_case: Make) -> None:
    case = make_case()
    assert expected_of(case).gradients == {}
    assert set(expected_of(case, gradients=True).gradients) == set(case.call.float_inputs)
    again, other = expected_of(replace(case)), expected_of(replace(case, dtype="float16"))
    assert (again.outputs["y"].bound == expected_of(case).outputs["y"].bound).all()
    assert (other.outputs["y"].bound > 100 * again.outputs["y"].bound).all()
