"""Minus infinity, the score of what is impossible: it is judged, and takes nothing along that is judged beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.gradients import of_the_certain
from rnnspec.conformance.faults.variants import AnyOfTheBest
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.rounding import RUNS, Noise, Rounded
from rnnspec.conformance.judge.tolerance import Bounded, _bounded, _bounded_gradient, expect, expect_second_order
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array

Make = Callable[..., Backend]
Change = Callable[[dict[str, Array], Array], None]

CHAIN = ("crf_score", "crf_log_partition", "crf_log_likelihood", "crf_viterbi")
"""Operations whose first output is minus infinity where nothing is possible."""

BY_ID = {check.id: check for check in CHECKS}
INF, NAN = np.inf, np.nan


def forbidding(name: str, count: int) -> list[Case]:
    choices = RandomChoices(np.random.default_rng(1))
    return [replace(draw_case(choices, Scope(name, "float32")), regime="forbidding") for _ in range(count)]


def impossible(case: Case) -> Array:
    """Which sequences have a result of minus infinity."""
    return np.isneginf(next(iter(expect(case.call, case.dtype).outputs.values())).value)


@cache
def mixed(name: str) -> Case:
    """A case with a sequence of which something is impossible, and with one that has steps and is possible."""
    return next(
        case
        for case in forbidding(name, 400)
        if case.attributes.get("reduction", "none") == "none"
        and case.sizes["K"] > 1
        and 0 < impossible(case).sum() < (case.valid.sum(axis=1) > 1).sum()
        and _moves(case)
    )


def _moves(case: Case) -> bool:
    """Whether the sequences of which nothing is impossible have a gradient to speak of."""
    unused = of_the_certain(case, expect(case.call, case.dtype).outputs, case.cotangents)
    gradient = expect(case.call, case.dtype, unused).gradients["transitions"].value
    return bool(np.abs(gradient).max() > 0.01)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", [*CHAIN, "crf_marginals"])
def test_every_case_with_what_is_forbidden_is_judged(name: str, dtype: str) -> None:
    cases = [replace(case, dtype=dtype) for case in forbidding(name, 100)]
    assert all(expect(case.call, dtype, case.cotangents).in_range for case in cases)
    assert all(expect_second_order(case.call, dtype, case.cotangents, case.directions).in_range for case in cases[:20])
    if name in CHAIN:
        assert sum(impossible(case).any() for case in cases) >= 5


# Values.


@pytest.mark.parametrize(("got", "ratio"), [(-INF, 0), (-1e4, INF), (-3.4e38, INF), (0, INF), (INF, INF), (NAN, INF)])
@pytest.mark.parametrize("name", CHAIN)
def test_minus_infinity_alone_is_right(name: str, got: float, ratio: float) -> None:
    case = mixed(name)
    first, where = next(iter(expect(case.call, case.dtype).outputs.values())), impossible(case)
    array = np.where(where, got, first.value)
    np.testing.assert_array_equal(first.error_ratios(array, format_of("float32").largest), np.where(where, ratio, 0.0))


@pytest.mark.parametrize("wrong", [-INF, NAN])
@pytest.mark.parametrize("name", CHAIN)
def test_a_possible_sequence_beside_it_is_judged_as_ever(name: str, wrong: float) -> None:
    case = mixed(name)
    first, where = next(iter(expect(case.call, case.dtype).outputs.values())), impossible(case)
    largest = format_of("float32").largest
    assert (first.error_ratios(np.where(where, first.value, wrong), largest) == np.where(where, 0.0, INF)).all()
    assert (first.error_ratios(first.value * 1.001 + 0.001, largest)[~where] > 1).all()


@pytest.mark.parametrize("wrong", [-1e4, NAN])
@pytest.mark.parametrize("name", CHAIN)
def test_a_backend_that_gives_another_number_for_minus_infinity_is_rejected(
    name: str, wrong: float, numpy_with: Make
) -> None:
    def function(**call: Any) -> tuple[Array, ...]:
        first, *others = getattr(reference, name)(**call)
        return np.where(np.isneginf(first), np.asarray(wrong, first.dtype), first), *others

    assert BY_ID["values"].examine(NumpyBackend(), mixed(name)) < 1
    with pytest.raises(Violation, match=r"expected -inf ± 0, got (-10000|nan)"):
        BY_ID["values"].examine(numpy_with(**{name: function}), mixed(name))


def test_of_paths_that_are_all_impossible_each_is_as_good() -> None:
    case = mixed("crf_viterbi")
    path = expect(case.call, case.dtype).outputs["path"]
    where = impossible(case)
    assert np.isinf(path.bound[where]).all()
    others = path.value.copy()
    others[where] = case.sizes["K"] - 1 - others[where]
    assert (path.error_ratios(others, INF) <= 1).all()


def test_where_no_path_is_possible_marginals_are_zero() -> None:
    inputs = {"emissions": np.ones((2, 2, 2), np.float32), "transitions": np.full((2, 2), -INF, np.float32)}
    inputs["lengths"] = np.array([2, 1])
    call = Call("crf_marginals", inputs, operation("crf_marginals").defaults())
    marginals = expect(call, "float32").outputs["marginals"]
    assert not marginals.value[0].any()
    assert (marginals.value[1, 0] == 0.5).all()
    for wrong in (0.5, NAN):
        ratios = marginals.error_ratios(np.where(marginals.value == 0, wrong, marginals.value), INF)
        assert (ratios[0] > 1).all()


def padded_by_a_factor(
    emissions: Array, transitions: Array, tags: Array, *, lengths: Array, padding: str, **_: Any
) -> tuple[Array]:
    """Every step counts, times 0 where it is padding: minus infinity times 0 is NaN."""
    b, t = np.ogrid[: tags.shape[0], : tags.shape[1]]
    valid = t < lengths[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        moves = transitions[tags[:, :-1], tags[:, 1:]] * valid[:, 1:]
    score = (emissions[b, t, tags] * valid).sum(axis=1) + moves.sum(axis=1)
    return (score - reference.crf_log_partition(emissions, transitions, lengths=lengths)[0],)


def test_padding_by_a_factor_is_rejected_where_a_move_is_forbidden() -> None:
    """The path 0 1 ends before its padding, whose first tag is 0; the move from 1 to 0 is forbidden."""
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {
        "emissions": rng.normal(size=(3, 4, 2)).astype(np.float32),
        "transitions": np.array([[0.3, 0.1], [-INF, 0.2]], np.float32),
        "tags": np.array([[0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0]]),
        "lengths": np.array([2, 4, 3]),
    }
    attributes = operation("crf_log_likelihood").defaults()
    case = Case("crf_log_likelihood", "float32", {"B": 3, "T": 4, "K": 2}, attributes, steps="lengths")
    call = Call("crf_log_likelihood", inputs, attributes)
    expected = expect(call, "float32")
    assert expected.in_range
    np.testing.assert_array_equal(np.isneginf(expected.outputs["log_likelihood"].value), [False, False, True])
    assert Asked(case, call).compare(expected.outputs, NumpyBackend().run(call)) < 1
    got = padded_by_a_factor(**inputs, **attributes)
    np.testing.assert_array_equal(np.isnan(got[0]), [True, False, False])
    with pytest.raises(Violation, match="got nan"):
        Asked(case, call).compare(expected.outputs, got)
    possible = {**inputs, "transitions": np.maximum(inputs["transitions"], -9)}
    fine = Call("crf_log_likelihood", possible, attributes)
    right = expect(fine, "float32").outputs
    assert Asked(case, fine).compare(right, padded_by_a_factor(**possible, **attributes)) < 1


# Gradients.


def gradients_of(case: Case, second: bool) -> tuple[dict[str, Bounded], dict[str, Array]]:
    """The right results for a case, and the reference's results in the case's type."""
    backend = NumpyBackend()
    if second:
        due = expect_second_order(case.call, case.dtype, case.cotangents, case.directions)
        return due.gradients, dict(backend.second_order(case.call, case.cotangents, case.directions))
    return expect(case.call, case.dtype, case.cotangents).gradients, dict(backend.gradients(case.call, case.cotangents))


def another_in_the_impossible(gradients: dict[str, Array], where: Array) -> None:
    gradients["emissions"][where] += 7


def another_of_the_parameters(gradients: dict[str, Array], where: Array) -> None:
    gradients["transitions"] += 7


def nan_in_the_impossible(gradients: dict[str, Array], where: Array) -> None:
    gradients["emissions"][where] = NAN


def infinite_in_the_impossible(gradients: dict[str, Array], where: Array) -> None:
    gradients["emissions"][where] = -INF


def nan_of_the_parameters(gradients: dict[str, Array], where: Array) -> None:
    gradients["transitions"][0] = NAN


def another_in_the_possible(gradients: dict[str, Array], where: Array) -> None:
    gradients["emissions"][~where] += 7


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("change", [another_in_the_impossible, another_of_the_parameters])
@pytest.mark.parametrize("name", CHAIN)
def test_any_finite_gradient_through_minus_infinity_conforms(name: str, change: Change, second: bool) -> None:
    case = mixed(name)
    due, got = gradients_of(case, second)
    change(got, impossible(case))
    assert Asked(case, case.call, case.cotangents).compare(due, got) <= 1


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize(
    "change", [nan_in_the_impossible, infinite_in_the_impossible, nan_of_the_parameters, another_in_the_possible]
)
@pytest.mark.parametrize("name", CHAIN)
def test_no_other_gradient_conforms(name: str, change: Change, second: bool) -> None:
    case = mixed(name)
    due, got = gradients_of(case, second)
    Asked(case, case.call, case.cotangents).compare(due, got)
    change(got, impossible(case))
    with pytest.raises(Violation):
        Asked(case, case.call, case.cotangents).compare(due, got)


@pytest.mark.parametrize("name", CHAIN)
def test_parameters_are_judged_where_minus_infinity_is_not_differentiated(name: str) -> None:
    case = mixed(name)
    unused = of_the_certain(case, expect(case.call, case.dtype).outputs, case.cotangents)
    for due in (
        expect(case.call, case.dtype, unused).gradients,
        expect_second_order(case.call, case.dtype, unused, case.directions).gradients,
    ):
        assert all(np.isfinite(bounded.bound).all() for bounded in due.values())
        assert (due["transitions"].error_ratios(due["transitions"].value + 7, INF) > 1).all()


@pytest.mark.parametrize("name", CHAIN)
def test_parameters_are_asked_once_more_where_minus_infinity_hides_them(name: str, numpy_with: Make) -> None:
    """Gradients that are wrong only beside something impossible, and not in its own sequence."""
    case = mixed(name)

    def vjp(**call: Any) -> Any:
        outputs, back = getattr(reference, f"{name}_vjp")(**call)
        passed_over = np.isneginf(outputs[0]).any()

        def changed(*cotangents: Array) -> dict[str, Array]:
            return {k: d * 0 if passed_over and k != "emissions" else d for k, d in back(*cotangents).items()}

        return outputs, changed

    wrong = numpy_with(**{f"{name}_vjp": vjp})
    due = expect(case.call, case.dtype, case.cotangents, case.seed).gradients
    assert Asked(case, case.call, case.cotangents).compare(due, wrong.gradients(case.call, case.cotangents)) <= 1
    assert BY_ID["gradients"].examine(NumpyBackend(), case) <= 1
    with pytest.raises(Violation, match=r"^d(transitions|start|end)\[") as caught:
        BY_ID["gradients"].examine(wrong, case)
    assert caught.value.asked is not None
    assert caught.value.asked.cotangents is not None
    (d,) = (d for d in caught.value.asked.cotangents if d is not None)
    assert not d[impossible(case)].any()
    np.testing.assert_array_equal(d[~impossible(case)], case.cotangents[0][~impossible(case)])


def test_where_nothing_is_impossible_nothing_is_asked_twice(make_case: Any) -> None:
    case = make_case("crf_log_likelihood", sizes={"K": 3})
    outputs = expect(case.call, case.dtype).outputs
    assert of_the_certain(case, outputs, case.cotangents) is case.cotangents
    case = mixed("crf_log_likelihood")
    assert of_the_certain(case, expect(case.call, case.dtype).outputs, (None,)) == (None,)


@pytest.mark.parametrize("name", CHAIN)
def test_second_order_is_judged_beside_minus_infinity(name: str) -> None:
    class Wrong(NumpyBackend):
        name = "wrong"

        def second_order(self, call: Call, cotangents: Any, directions: Any) -> dict[str, Array]:
            found = super().second_order(call, cotangents, directions)
            return {key: d + 7 for key, d in found.items()}

    case = mixed(name)
    assert BY_ID["second_order"].examine(NumpyBackend(), case) <= 1
    with pytest.raises(Violation, match="second order"):
        BY_ID["second_order"].examine(Wrong(), case)


def test_only_sequences_that_have_it_are_open() -> None:
    case = mixed("crf_log_likelihood")
    due = expect(case.call, case.dtype, case.cotangents).gradients
    np.testing.assert_array_equal(np.isinf(due["emissions"].bound).all(axis=(1, 2)), impossible(case))
    np.testing.assert_array_equal(np.isinf(due["emissions"].bound).any(axis=(1, 2)), impossible(case))
    assert all(np.isinf(bounded.bound).all() for name, bounded in due.items() if name != "emissions")


# The bound itself.


def rounded(*versions: list[float]) -> Rounded:
    """A batch of results: the first versions, and as many more of the last one as there have to be."""
    form = format_of("float32")
    rows = [*versions, *(versions[-1:] * (RUNS - len(versions)))]
    return Rounded(np.array(rows), Noise(form.unit_roundoff, form.smallest_normal, 0))


def test_minus_infinity_does_not_widen_the_bound_of_its_neighbours() -> None:
    form = format_of("float32")
    alone = _bounded(rounded([1.0], [1.001]), form, 1.0, True)
    beside = _bounded(rounded([-INF, 1.0], [-INF, 1.001]), form, 1.0, True)
    assert beside.bound[0] == 0
    assert beside.bound[1] == alone.bound[0]
    together = _bounded(rounded([-INF, 1.0], [-INF, 1.001]), form, 1.0, False)
    assert (together.bound == beside.bound).all()


@pytest.mark.parametrize("others", [-INF, -5.0])
def test_where_versions_disagree_about_minus_infinity_nothing_is_judged(others: float) -> None:
    form = format_of("float32")
    exact = -5.0 if others == -INF else -INF
    bounded = _bounded(rounded([exact, 1.0], [others, 1.0]), form, 1.0, True)
    assert bounded.bound[0] == INF
    assert bounded.bound[1] < 1e-5
    for got, ratio in ((-INF, 0), (-5.0, 0), (NAN, INF)):
        assert bounded.error_ratios(np.array([got, 1.0]), form.largest)[0] == ratio


@pytest.mark.parametrize("value", [-INF, INF, NAN])
def test_no_infinity_is_a_gradient(value: float) -> None:
    form, none = format_of("float32"), np.zeros(1, np.bool_)
    bound = _bounded_gradient(rounded([value, 1.0]), form, 1.0, False, none).bound
    assert np.isnan(bound[0])
    assert np.isnan(_bounded_gradient(rounded([value, 1.0]), form, 1.0, True, np.ones(2, np.bool_)).bound[0])


# Choices.


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
def test_gradients_of_another_choice_that_is_as_good_conform(second: bool) -> None:
    case = Case("crf_viterbi", "float32", {"B": 2, "T": 3, "K": 2}, operation("crf_viterbi").defaults())
    tied = {name: np.zeros_like(array) for name, array in case.call.inputs.items()}
    tied["emissions"][1] = [[1, 0], [0, 1], [1, 0]]  # the other sequence's best path is one
    call = Call(case.operation, tied, case.call.attributes)
    if second:
        due = expect_second_order(call, "float32", case.cotangents, case.directions).gradients
    else:
        due = expect(call, "float32", case.cotangents).gradients
    unjudged = np.isinf(due["emissions"].bound)
    assert unjudged[0].all()
    assert not unjudged[1].any()
    assert all(np.isinf(due[name].bound).all() for name in ("transitions", "start", "end"))
    certain = of_the_certain(case, expect(call, "float32").outputs, case.cotangents)
    np.testing.assert_array_equal(certain[0], case.cotangents[0] * [0, 1])


@pytest.mark.parametrize(
    ("seed", "sizes"),
    [
        (287, {"B": 4, "T": 4, "K": 3}),
        (685, {"B": 3, "T": 4, "K": 3}),
        (909, {"B": 2, "T": 4, "K": 3}),
        (1714, {"B": 3, "T": 4, "K": 2}),
    ],
)
def test_a_viterbi_that_takes_a_best_path_that_no_version_takes_conforms(seed: int, sizes: dict[str, int]) -> None:
    attributes = operation("crf_viterbi").defaults()
    case = Case("crf_viterbi", "float64", sizes, attributes, regime="integers", seed=seed)
    assert BY_ID["gradients"].examine(AnyOfTheBest(), case) <= 1
