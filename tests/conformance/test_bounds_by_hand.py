"""Bounds of calls whose rounding is known by hand, from both sides: no constant of the judge is read here.

Each number follows from u, the unit roundoff, and from what docs/tolerances.md says of the bound: four times the sum of
the spread d, a quarter of the largest d, and u |y| for storing the result, all of it times 1 + 8 r.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Call
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.rounding import Noise, Rounded
from rnnspec.conformance.judge.tolerance import Bounded, Expected, _bounded, _exactly, expect
from rnnspec.spec import FLOAT_TYPES, operation

Array = np.ndarray[Any, Any]


UNITS = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}
SMALLEST = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}


def bound_of(y: float, units: float, dtype: str) -> float:
    """The bound of a result of size y that rounding moves by so many units, as it does all others of the array."""
    u = UNITS[dtype]
    return 4 * (1 + 8 * units * u) * (1.25 * units * u * y + u * y + SMALLEST[dtype])


def nearly(bound: float, dtype: str) -> Any:
    """Equal to a thousandth; versions in float64 are themselves rounded to it."""
    return pytest.approx(bound, rel=0.3 if dtype == "float64" else 2e-3)


def context(dtype: str, terms: int) -> tuple[Bounded, float]:
    """A sum of so many equal products, 0.75 times 1.5: what is expected, and what it is."""
    form = format_of(dtype).dtype
    weights, values = np.full((1, 1, terms), 0.75, form), np.full((1, terms, 1), 1.5, form)
    call = Call("attention_context", {"weights": weights, "values": values}, operation("attention_context").defaults())
    return expect(call, dtype).outputs["context"], terms * 0.75 * 1.5


@pytest.mark.parametrize("terms", [1, 4, 25])
@pytest.mark.parametrize("dtype", FLOAT_TYPES)
def test_a_sum_of_products(dtype: str, terms: int) -> None:
    """Rounding moves a sum of k products by the root of k units of its size."""
    expected, y = context(dtype, terms)
    assert expected.value.item() == y
    assert expected.bound.item() == nearly(bound_of(y, terms**0.5, dtype), dtype)


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
def test_the_gradient_of_a_sum_of_products(dtype: str) -> None:
    """The gradient of each weight is one product: one unit."""
    form = format_of(dtype).dtype
    weights, values = np.full((1, 1, 9), 0.75, form), np.full((1, 9, 1), 1.5, form)
    call = Call("attention_context", {"weights": weights, "values": values}, operation("attention_context").defaults())
    expected = expect(call, dtype, (np.full((1, 1, 1), 0.625, form),)).gradients["weights"]
    assert expected.bound.ravel().tolist() == [nearly(bound_of(1.5 * 0.625, 1, dtype), dtype)] * 9


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
def test_a_transcendental_function_where_it_is_flat(dtype: str) -> None:
    """The tanh of 20.5 is off by its own four units and by nothing else."""
    form = format_of(dtype).dtype
    inputs = {"x": np.full((1, 1), 20.5, form), "W": np.ones((1, 1), form), "b": np.zeros(1, form)}
    call = Call("dense", inputs, {**operation("dense").defaults(), "activation": "tanh"})
    expected = expect(call, dtype).outputs["y"]
    assert expected.bound.item() == nearly(bound_of(1.0, 4, dtype), dtype)


def test_every_result_has_a_quarter_of_the_largest_spread() -> None:
    """Two sums of one sequence, one a thousand times the other: the small one's bound is that of the large one's."""
    weights, values = np.full((1, 1, 1), 0.75, np.float32), np.array([[[1500.0, 1.5]]], np.float32)
    call = Call("attention_context", {"weights": weights, "values": values}, operation("attention_context").defaults())
    expected = expect(call, "float32").outputs["context"]
    u = 2.0**-24
    large, small = 1125.0, 1.125
    assert expected.bound[0, 0, 0] == pytest.approx(4 * (u * large + u * large / 4 + u * large), rel=1e-4)
    assert expected.bound[0, 0, 1] == pytest.approx(4 * (u * small + u * large / 4 + u * small), rel=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("side", [1, -1])
def test_an_error_just_within_the_bound_passes_and_one_just_beyond_does_not(
    dtype: str, side: int, make_case: Callable[..., Any]
) -> None:
    case = make_case("attention_context", dtype)
    expected, y = context(dtype, 9)
    by_hand = bound_of(y, 3, dtype)
    near, far = (np.array([[[y + side * share * by_hand]]]) for share in (0.99, 1.01))
    assert Asked(case, case.call).judge("context", expected, near) == pytest.approx(0.99, abs=0.005)
    with pytest.raises(Violation, match=r"context\[0, 0, 0\]: expected 10.125 .* \(error ratio 1.01\)") as caught:
        Asked(case, case.call).judge("context", expected, far)
    assert caught.value.error_ratio == pytest.approx(1.01, abs=0.005)


# Spread that multiplies.


def versions_of(value: float, spread: float, last: int = 6) -> Rounded:
    """A number of seven versions, of which one is off by the spread."""
    versions = np.full((7, 1, 1), value)
    versions[last, 0, 0] += spread
    return Rounded(versions, Noise(2.0**-24, 2.0**-126, 0))


def bound(value: float, spread: float, loudest: float = 0.0) -> float:
    return float(_bounded(versions_of(value, spread), format_of("float32"), loudest, True).bound.item())


def amplified(r: float, unit_roundoff: float = 2.0**-24) -> float:
    """Half the decades by which rounding has grown beyond a thousand units."""
    return 0.5 * float(np.log10(max(r / unit_roundoff / 1000, 1)))


@pytest.mark.parametrize("r", [0.0, 1e-5, 1e-3, 0.5, 3.0, 7.9])
def test_the_bound_grows_by_eight_times_the_part_that_is_moved_and_with_its_decades(r: float) -> None:
    assert bound(1.0, r, loudest=10.0) == pytest.approx(
        4 * (1 + 8 * r + amplified(r)) * (1.25 * r + 2.0**-24), rel=1e-6
    )


def test_a_thousand_units_are_added_up_and_a_million_are_amplified() -> None:
    assert amplified(999 * 2.0**-24) == 0
    assert amplified(1e6 * 2.0**-24) == pytest.approx(1.5)


def test_beyond_the_result_nothing_is_left_unless_the_inputs_were_as_loud() -> None:
    assert np.isfinite(bound(1.0, 0.99))
    assert np.isinf(bound(1.0, 1.01))
    assert np.isfinite(bound(1.0, 8.01, loudest=8.02))
    assert np.isinf(bound(1.0, 8.01, loudest=8.0))
    # From eight times the result on the bound grows no more.
    most = 1 + 8 * 8 + amplified(20.0)
    assert bound(1.0, 20.0, loudest=21.0) == pytest.approx(4 * most * (1.25 * 20 + 2.0**-24), rel=1e-6)


@pytest.mark.parametrize("last", range(1, 7))
def test_every_version_counts(last: int) -> None:
    form = format_of("float32")
    assert _bounded(versions_of(1.0, 0.25, last), form, 0.0, True).bound == pytest.approx(
        4 * (3 + amplified(0.25)) * 0.25 * 1.25, rel=1e-5
    )
    ids = Rounded(versions_of(1.0, 1.0, last).data.astype(np.int64), versions_of(1.0, 1.0).noise)
    assert np.isinf(_exactly(ids, True).bound).all()


def test_one_sequence_says_nothing_of_another_but_a_parameter_is_one() -> None:
    versions = np.ones((7, 2, 1))
    versions[6, 0] += 0.5
    rounded = Rounded(versions, Noise(2.0**-24, 2.0**-126, 0))
    calm = 4 * (0.5 / 4 + 2.0**-24)  # of the second sequence: it is not moved
    of_sequences = _bounded(rounded, format_of("float32"), 0.0, True).bound[:, 0]
    of_parameter = _bounded(rounded, format_of("float32"), 0.0, False).bound[:, 0]
    assert of_sequences[1] == pytest.approx(calm, rel=1e-6)
    assert of_parameter[1] == pytest.approx(calm * (1 + 8 * 0.5 + amplified(0.5)), rel=1e-6)


def test_where_one_id_of_a_sequence_is_open_all_that_it_has_are() -> None:
    versions = np.zeros((7, 2, 3), np.int64)
    versions[6, 0, 1] = 1
    ids = Rounded(versions, Noise(2.0**-24, 2.0**-126, 0))
    assert _exactly(ids, True).bound.tolist() == [[np.inf] * 3, [0.0] * 3]
    assert _exactly(ids, False).bound.tolist() == [[0.0, np.inf, 0.0], [0.0] * 3]


# Thresholds.

U = 2.0**-10


def tripled(value: float) -> Rounded:
    """Three times a number, which rounding moves by one unit of it."""
    return Rounded.exactly(np.full(1, value), Noise(U, 2.0**-126, 0)) * 3.0


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("units", "open_"), [(3.7, True), (4.1, False), (7.0, False)])
def test_four_times_its_spread_from_a_threshold_a_number_is_decided_one_way(
    side: int, units: float, open_: bool
) -> None:
    decided = (tripled(1.0) > np.array(3.0 + side * units * 3 * U)).versions()
    assert (decided != decided[0]).any() == open_


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("units", "open_"), [(4.9, True), (5.1, False)])
def test_a_threshold_that_is_given_as_a_number_lies_a_rounding_to_either_side(
    side: int, units: float, open_: bool
) -> None:
    decided = (tripled(1.0) > 3.0 + side * units * 3 * U).versions()
    assert (decided != decided[0]).any() == open_


@pytest.mark.parametrize(("units", "open_"), [(3.9, True), (4.1, False), (7.0, False)])
def test_of_exact_numbers_the_greatest_is_chosen_unless_another_is_four_units_from_it(
    units: float, open_: bool
) -> None:
    numbers = Rounded.exactly(np.array([[1.0, 1 - units * U]]), Noise(U, 2.0**-126, 0))
    places = np.argmax(numbers, axis=-1).versions()
    assert (places != places[0]).any() == open_


@pytest.mark.parametrize(("units", "open_"), [(11.5, True), (12.5, False), (20.0, False)])
def test_of_moved_numbers_the_greatest_is_chosen_by_four_times_what_moves_both(units: float, open_: bool) -> None:
    """One unit for each of the two, and one of the greatest."""
    numbers = Rounded.exactly(np.array([[1.0, 1 - units * U]]), Noise(U, 2.0**-126, 0)) * 3.0
    places = np.argmax(numbers, axis=-1).versions()
    assert (places != places[0]).any() == open_


@pytest.mark.parametrize("seed", range(50))
def test_the_first_and_the_last_of_what_could_be_the_greatest_are_both_chosen(seed: int) -> None:
    """Exactly, the one in the middle is."""
    numbers = Rounded.exactly(np.array([[1 - U, 1 - U, 1.0, 1 - U, 1 - U, 0.5]]), Noise(U, 2.0**-126, seed))
    places = np.argmax(numbers, axis=-1).versions()[:, 0]
    assert places[0] == 2
    assert (places.min(), places.max()) == (0, 4)


def test_two_open_comparisons_are_decided_apart_from_each_other() -> None:
    """All four combinations of yes and no are met: of two kinks on one path, each may go its own way."""
    noise = Noise(U, 2.0**-126, 0)
    one, other = (Rounded.exactly(np.zeros(64), noise) for _ in range(2))
    first, second = (one > 0).versions()[1:], (other > 0).versions()[1:]
    met = {(bool(a), bool(b)) for a, b in zip(first.ravel(), second.ravel(), strict=True)}
    assert met == {(False, False), (False, True), (True, False), (True, True)}


# Whole numbers.


@pytest.mark.parametrize(("units", "moves"), [(0.5, False), (1.0, False), (2.0, True)])
def test_whole_numbers_are_exact_up_to_the_inverse_of_the_unit(units: float, moves: bool) -> None:
    result = Rounded.exactly(np.full(1, units / U - 1), Noise(U, 2.0**-126, 0, whole=True)) + 1.0
    versions = result.versions()
    assert (versions[1:] != versions[0]).all() == moves


def test_a_whole_number_on_its_threshold_is_decided_one_way() -> None:
    for whole in (True, False):
        numbers = Rounded.exactly(np.full(4, 1000.0), Noise(U, 2.0**-126, 0, whole=whole))
        decided = (numbers > 1000.0).versions()
        assert (decided != decided[0]).any() == (not whole)


def test_a_gradient_is_exact_only_where_the_cotangents_are_whole_too() -> None:
    weights, values = np.ones((1, 2, 1), np.float32), np.ones((1, 1, 1), np.float32)
    call = Call("attention_context", {"weights": weights, "values": values}, operation("attention_context").defaults())
    whole = expect(call, "float32", (np.array([[[1.0], [2.0]]], np.float32),)).gradients["values"]
    parts = expect(call, "float32", (np.array([[[0.25], [0.75]]], np.float32),)).gradients["values"]
    assert (whole.value.item(), parts.value.item()) == (3.0, 1.0)
    assert whole.bound.item() == pytest.approx(4 * 2.0**-24 * 3, rel=1e-6)
    assert parts.bound.item() == nearly(bound_of(1.0, 2**0.5, "float32"), "float32")


def test_cotangents_are_among_what_a_gradient_was_computed_from() -> None:
    """Two of 126.5 cancel: rounding moves the result by 1.4, which is more than the inputs and less than these."""
    form = format_of("bfloat16").dtype
    weights, values = np.ones((1, 2, 1), form), np.ones((1, 1, 1), form)
    call = Call("attention_context", {"weights": weights, "values": values}, operation("attention_context").defaults())
    expected = expect(call, "bfloat16", (np.array([[[126.5], [-126.5]]], form),)).gradients["values"]
    assert expected.value.item() == 0
    moved = 2**0.5 * 2.0**-8 * 253
    grown = 1 + 8 * 8 + amplified(moved / 2.0**-126, 2.0**-8)  # the result is 0: the least normal number stands for it
    assert expected.bound.item() == pytest.approx(4 * grown * 1.25 * moved, rel=1e-6)


def test_an_addition_at_a_place_is_two_roundings() -> None:
    """Of the number that is added and of the sum that it is added to: two units of their magnitudes."""
    array = Rounded.exactly(np.array([1.5, 0.75]), Noise(U, 2.0**-126, 0)).copy()
    np.add.at(array, np.array([0, 0]), np.array([0.75, -0.25]))
    versions = array.versions()
    assert versions[0].tolist() == [2.0, 0.75]
    np.testing.assert_allclose(abs(versions[1:, 0] - versions[0, 0]), 2 * U * 2.5, rtol=1e-9)


# The range of a type.


@pytest.mark.parametrize("of_gradient", [False, True])
@pytest.mark.parametrize(
    ("value", "bound", "held"),
    [
        (4093.0, 1.0, True),
        (-4093.0, 1.0, True),
        (4095.0, 1.0, False),
        (-4095.0, 1.0, False),
        (1.0, 4093.0, True),
        (1.0, 4095.0, False),
        (1.0, np.inf, True),
        (-np.inf, 1.0, True),
        (np.inf, 1.0, False),
    ],
)
def test_a_sixteenth_of_the_largest_number_is_the_limit(
    value: float, bound: float, held: bool, of_gradient: bool
) -> None:
    """float16 ends at 65504: a sixteenth of it is 4094."""
    parts = {"y": Bounded(np.array([value]), np.array([bound]))}
    expected = Expected({} if of_gradient else parts, parts if of_gradient else {}, format_of("float16"))
    assert expected.in_range is held


def test_a_call_beyond_its_type_is_not_judged(make_case: Callable[..., Any]) -> None:
    def case(magnitude: float) -> Any:
        made = make_case("dense", "float16", attributes={"activation": "identity"})
        for name, number in {"W": 1, "x": magnitude, "b": 0}.items():
            made.given.inputs[name][...] = number
        return made

    expected_of(case(1000))
    with pytest.raises(OutOfRangeError, match="dense float16"):
        expected_of(case(3000))


# Properties of a call that the bound depends on.


def test_numbers_just_above_whole_ones_are_not_whole() -> None:
    """Four times 1.25 are 5, which is whole: it is exact only where what was added up is."""
    weights, values = np.full((1, 1, 4), 1.25, np.float32), np.ones((1, 4, 1), np.float32)
    call = Call("attention_context", {"weights": weights, "values": values}, operation("attention_context").defaults())
    bound = expect(call, "float32").outputs["context"].bound.item()
    assert bound == nearly(bound_of(5.0, 2, "float32"), "float32")


def test_an_output_of_sequences_is_judged_sequence_by_sequence() -> None:
    """In bfloat16 the first result is all rounding, and the second is not: only the first one's bound grows."""
    form = format_of("bfloat16").dtype
    weights = np.array([[[126.5, -126.0]], [[0.75, 0.75]]], form)
    call = Call(
        "attention_context", {"weights": weights, "values": np.full((2, 2, 1), 1.5, form)},
        operation("attention_context").defaults(),
    )  # fmt: skip
    bounds = expect(call, "bfloat16").outputs["context"].bound[:, 0, 0]
    u, y = 2.0**-8, 0.75 * 1.5 * 2
    most = 2**0.5 * u * 252.5 * 1.5
    own = 2**0.5 * u * y
    assert bounds[1] == pytest.approx(4 * (1 + 8 * own / y) * (own + most / 4 + u * y), rel=1e-3)
    assert bounds[0] > 2 * bounds[1]


def test_open_ids_of_one_sequence_leave_those_of_another_judged() -> None:
    """Both sequences of tags are decoded; of the first, emissions are alike."""
    emissions = np.array([[[0.75, 0.75], [3.25, 0.75]], [[3.25, 0.75], [3.25, 0.75]]], np.float32)
    inputs = {"emissions": emissions, "transitions": np.full((2, 2), 0.125, np.float32)}
    path = expect(Call("crf_viterbi", inputs, operation("crf_viterbi").defaults()), "float32").outputs["path"]
    assert path.bound.tolist() == [[np.inf, np.inf], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("value", "bound", "got", "ratio"),
    [(-np.inf, np.nan, -np.inf, 0.0), (-np.inf, np.nan, 0.0, np.inf), (5.0, 0.0, 5.0, 0.0), (5.0, 0.0, 6.0, np.inf)],
)
def test_what_is_exact_is_right_or_wrong(value: float, bound: float, got: float, ratio: float) -> None:
    assert Bounded(np.array([value]), np.array([bound])).error_ratios(np.array([got]), 1e38).tolist() == [ratio]
