"""The computed tolerance: it covers what rounding does, and nothing that rounding does not."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from rnnspec.backends import Call
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.rounding import RUNS, Noise, Rounded
from rnnspec.conformance.judge.tolerance import KAPPA, Bounded, Expected, _bounded, expect, forget
from rnnspec.spec import FLOAT_TYPES, operation

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize(
    ("name", "unit_roundoff", "smallest_normal", "largest"),
    [
        ("float16", 2.0**-11, 2.0**-14, 65504.0),
        ("bfloat16", 2.0**-8, 2.0**-126, (2 - 2.0**-7) * 2.0**127),
        ("float32", 2.0**-24, 2.0**-126, (2 - 2.0**-23) * 2.0**127),
        ("float64", 2.0**-53, 2.0**-1022, float(np.finfo(np.float64).max)),
    ],
)
def test_formats(name: str, unit_roundoff: float, smallest_normal: float, largest: float) -> None:
    form = format_of(name)
    assert (form.unit_roundoff, form.smallest_normal, form.largest) == (unit_roundoff, smallest_normal, largest)
    assert form.dtype.name == form.name == name


# Cells computed with every single operation rounded to the type, in an order of their own.


def rounded_product(M: Array, v: Array) -> Array:
    """``M @ v`` for each row v, one rounded product and one rounded sum at a time."""
    total = np.zeros((v.shape[0], M.shape[0]), M.dtype)
    for k in range(M.shape[1]):
        total = total + v[:, k : k + 1] * M[np.newaxis, :, k]
    return total


def rounded_logistic(a: Array) -> Array:
    one = a.dtype.type(1)
    with np.errstate(over="ignore"):
        return np.asarray(one / (one + np.exp(-a)))


def rounded_lstm_cell(x: Array, h_prev: Array, c_prev: Array, W: Array, R: Array, b: Array) -> tuple[Array, Array]:
    i, f, g, o = (rounded_product(W[k], x) + b[k] + rounded_product(R[k], h_prev) for k in range(4))
    c = rounded_logistic(f) * c_prev + rounded_logistic(i) * np.tanh(g)
    return rounded_logistic(o) * np.tanh(c), c


def rounded_rnn_cell(x: Array, h_prev: Array, W: Array, R: Array, b: Array) -> tuple[Array]:
    return (np.tanh(rounded_product(W[0], x) + b[0] + rounded_product(R[0], h_prev)),)


CELLS = {"lstm_cell": rounded_lstm_cell, "rnn_cell": rounded_rnn_cell}


def worst_ratio(name: str, dtype: str, computed_in: str, seed: int, scale: float) -> float:
    rng = np.random.default_rng(seed)
    gates = {"lstm_cell": 4, "rnn_cell": 1}[name]
    shapes = {"x": (3, 6), "h_prev": (3, 5), "c_prev": (3, 5), "W": (gates, 5, 6), "R": (gates, 5, 5), "b": (gates, 5)}
    if name == "rnn_cell":
        del shapes["c_prev"]
    # Numbers that even the coarser type holds exactly, so that both begin with the same ones.
    coarser = max(dtype, computed_in, key=lambda one: format_of(one).unit_roundoff)
    wanted = {key: (rng.normal(size=shape) * scale).astype(format_of(coarser).dtype) for key, shape in shapes.items()}
    inputs = {key: array.astype(format_of(computed_in).dtype) for key, array in wanted.items()}
    form = format_of(dtype)
    expected = expect(Call(name, inputs, operation(name).defaults()), dtype, seed=seed)
    got = CELLS[name](**inputs)
    return max(
        float(bounded.error_ratios(array, form.largest).max())
        for bounded, array in zip(expected.outputs.values(), got, strict=True)
    )


@pytest.mark.parametrize("scale", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("name", CELLS)
def test_covers_a_cell_that_rounds_every_operation(name: str, dtype: str, scale: float) -> None:
    assert max(worst_ratio(name, dtype, dtype, seed, scale) for seed in range(40)) <= 1


@pytest.mark.parametrize("target", [1e-6, 0.0109, 0.5, 0.9891])
@pytest.mark.parametrize("logit", [-148.25, -4.6875, 4.6875, 148.25])
def test_covers_either_form_of_the_binary_cross_entropy(logit: float, target: float) -> None:
    z, w, one = np.float32(logit), np.float32(target), np.float32(1)
    inputs = {"logits": np.array([[z]]), "target": np.array([[w]])}
    call = Call("binary_cross_entropy", inputs, {"given": "logits", "reduction": "none", "weighted": False})
    rest = np.log1p(np.exp(-abs(z)))
    for loss in (max(z, 0 * z) - z * w + rest, (one - w) * z + max(-z, 0 * z) + rest):
        assert expect(call, "float32").outputs["loss"].error_ratios(np.array([[loss]]), np.inf) < 1


def test_covers_the_surprise_at_a_rare_thing_that_did_not_come() -> None:
    p = np.array([[2.5e-11, 5.5e-7]], np.float32)
    inputs = {"probabilities": p, "target": np.zeros_like(p)}
    call = Call("binary_cross_entropy", inputs, {"given": "probabilities", "reduction": "mean", "weighted": False})
    loss = -np.log(np.float32(1) - p).mean()
    assert expect(call, "float32").outputs["loss"].error_ratios(np.array(loss), np.inf) < 1


@pytest.mark.parametrize(
    ("dtype", "computed_in"), [("float64", "float32"), ("float32", "float16"), ("float32", "bfloat16")]
)
def test_does_not_cover_a_cell_in_a_coarser_type(dtype: str, computed_in: str) -> None:
    assert min(worst_ratio("lstm_cell", dtype, computed_in, seed, 0.5) for seed in range(10)) > 10


@pytest.mark.parametrize("error", [0.01, -0.01])
def test_does_not_cover_an_error_of_one_percent(error: float, make_case: Any) -> None:
    case = make_case()
    y = expect(case.call, "float32").outputs["y"]
    assert y.error_ratios(y.value * (1 + error), format_of("float32").largest).max() > 100


def test_the_bound_shrinks_with_the_type(make_case: Any) -> None:
    case = make_case()
    sizes = []
    for dtype in ("bfloat16", "float16", "float32", "float64"):
        expected = expect(case.call, dtype, case.cotangents)
        parts = {**expected.outputs, **expected.gradients}
        sizes.append({name: np.median(part.bound) / format_of(dtype).unit_roundoff for name, part in parts.items()})
        assert all((part.bound > 0).all() for part in parts.values())
    for name in sizes[-1]:
        in_units = [size[name] for size in sizes]
        assert max(in_units) < 10 * min(in_units)


def test_the_bound_is_at_least_what_storing_the_result_costs(make_case: Any) -> None:
    for bounded in expect(make_case().call, "float32").outputs.values():
        assert (bounded.bound >= KAPPA * 2.0**-24 * abs(bounded.value)).all()


def test_equal_calls_get_equal_results_and_bounds(make_case: Any) -> None:
    case = make_case()
    one, other, third = (expect(case.call, "float32", case.cotangents, seed) for seed in (5, 5, 6))
    for name in one.gradients:
        np.testing.assert_array_equal(one.gradients[name].bound, other.gradients[name].bound)
        np.testing.assert_array_equal(one.gradients[name].value, third.gradients[name].value)
    assert (one.gradients["W"].bound != third.gradients["W"].bound).any()


@pytest.mark.parametrize("name", ["lstm", "crf_viterbi", "token_accuracy"])
def test_what_is_expected_does_not_depend_on_what_was_asked_before(name: str) -> None:
    cases = [
        draw_case(RandomChoices(np.random.default_rng(seed)), Scope(name, "float32", largest=3)) for seed in range(12)
    ]

    def everything(case: Case) -> list[Array]:
        expected = expect(case.call, case.dtype, case.cotangents, case.seed)
        found = [*expected.outputs.values(), *expected.gradients.values()]
        return [array for bounded in found for array in (bounded.value, bounded.bound)]

    anew = []
    for case in cases:
        forget()
        anew.append(everything(case))
    forget()
    for case in cases[::-1]:
        expect(case.call, case.dtype, None, case.seed)
        expect(case.call, case.dtype, tuple(2 * d for d in case.cotangents), case.seed)
    for case, right in zip(cases, anew, strict=True):
        for array, wanted in zip(everything(case), right, strict=True):
            np.testing.assert_array_equal(array, wanted)


def test_a_call_whose_arrays_have_changed_is_another(make_case: Any) -> None:
    case = make_case()
    before = expect(case.call, "float32").outputs["y"].value
    case.call.inputs["x"][...] *= 2
    assert (expect(case.call, "float32").outputs["y"].value != before).any()


def test_names_and_shapes_of_what_is_expected(make_case: Any) -> None:
    case = make_case()
    expected = expect(case.call, "float32", case.cotangents)
    assert {name: bounded.value.shape for name, bounded in expected.outputs.items()} == {
        "y": (3, 4, 5),
        "h_n": (3, 5),
        "c_n": (3, 5),
    }
    assert {name: g.value.shape for name, g in expected.gradients.items()} == {
        name: array.shape for name, array in case.call.float_inputs.items()
    }
    assert expect(case.call, "float32").gradients == {}


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "lstm_cell"])
@pytest.mark.parametrize("dtype", FLOAT_TYPES)
def test_results_in_range_are_numbers_with_positive_bounds(name: str, dtype: str) -> None:
    choices = RandomChoices(np.random.default_rng(3))
    in_range = 0
    for _ in range(40):
        case = draw_case(choices, Scope(name, dtype))
        expected = expect(case.call, dtype, case.cotangents)
        if expected.in_range:
            in_range += 1
            parts = [*expected.outputs.values(), *expected.gradients.values()]
            assert all(np.isfinite(part.value).all() and (part.bound > 0).all() for part in parts)
    assert in_range > 20


# From result and bound to error ratio.

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("value", "bound", "got", "ratio"),
    [
        (1.0, 0.5, 1.0, 0.0),
        (1.0, 0.5, 1.25, 0.5),
        (1.0, 0.5, 0.5, 1.0),
        (-1.0, 0.5, 1.0, 4.0),
        (1.0, 0.5, NAN, INF),
        (1.0, 0.5, INF, INF),
        (1.0, INF, NAN, INF),
        (1.0, NAN, 1.0, INF),
        (99.0, 2.0, INF, 0.0),
        (-99.0, 2.0, -INF, 0.0),
        (99.0, 2.0, -INF, INF),
        (90.0, 2.0, INF, INF),
    ],
)
def test_error_ratio(value: float, bound: float, got: float, ratio: float) -> None:
    bounded = Bounded(np.array([value]), np.array([bound]))
    assert bounded.error_ratios(np.array([got]), largest=100.0)[0] == ratio


def test_error_ratio_of_bfloat16() -> None:
    bounded = Bounded(np.array([1.0]), np.array([0.5]))
    assert bounded.error_ratios(np.array([1.25], ml_dtypes.bfloat16), largest=100.0)[0] == 0.5


def test_in_range_leaves_room_to_spare() -> None:
    form = format_of("float16")

    def expected(value: float, bound: float, of_gradient: bool) -> Expected:
        parts = {"y": Bounded(np.array([0.0, value]), np.array([0.0, bound]))}
        return Expected({} if of_gradient else parts, parts if of_gradient else {}, form)

    for of_gradient in (False, True):
        assert expected(4000.0, 90.0, of_gradient).in_range
        assert not expected(-4100.0, 1.0, of_gradient).in_range
        assert not expected(NAN, 1.0, of_gradient).in_range
        assert not expected(1.0, NAN, of_gradient).in_range
    assert Expected({"y": Bounded(np.zeros((0, 3)), np.zeros((0, 3)))}, {}, form).in_range


def test_what_overflows_on_the_way_is_not_judged() -> None:
    """States of some 5e-6 are compared by cosine: the gradient there, of the size of the inverse, overflows."""
    sizes = {"B": 7, "H": 7, "J": 14, "U": 6, "A": 1, "C": 9, "T": 14, "D": 5, "Z": 3}
    chosen = {"score": "cosine", "cell": "nested_lstm_cell", "gradient": "cell_only"}
    attributes = operation("luong_decoder").defaults() | chosen
    case = Case("luong_decoder", "float16", sizes, attributes, "long_memory", "lengths", seed=1269631208)
    expected = expect(case.call, "float16", case.cotangents)
    assert max(float(np.abs(item.value).max()) for item in expected.gradients.values()) < 10
    assert not expected.in_range
    assert expect(case.call, "float16").in_range
    assert expect(case.call, "float32", case.cotangents).in_range


def test_overflow_on_the_way_counts_though_the_end_is_small() -> None:
    for values, overflowed in ((300.0, True), (100.0, False), (-INF, False)):
        noise = Noise(2.0**-11, 2.0**-14, 0, largest=65504.0)
        large = Rounded.exactly(np.array([values]), noise)
        _ = (large * large) * 1e-6
        assert noise.overflowed is overflowed


# Where errors multiply.


def bounds(value: list[float], spread: list[float], loudest: float = 1.0, dtype: str = "float32") -> Array:
    """Bounds of a batch of one-element results of which the last version is off by the spread."""
    form = format_of(dtype)
    versions = np.repeat(np.array(value)[np.newaxis, :, np.newaxis], RUNS, axis=0)
    versions[-1, :, 0] += spread
    noise = Noise(form.unit_roundoff, form.smallest_normal, 0)
    return _bounded(Rounded(versions, noise), form, loudest, True).bound[:, 0]


def test_the_bound_grows_with_the_part_of_the_result_that_rounding_moves() -> None:
    calm, moved = bounds([1.0, 1.0], [0.0, 0.0])[0], bounds([1e6, 1.0], [0.5, 0.5])
    assert calm < 1e-5
    # Both rows have the same spread, and the same quarter of the largest; r is 0.5 millionths in one and a half in the
    # other.
    plain = KAPPA * (0.5 + 0.5 / 4)
    assert moved[0] == pytest.approx(plain + KAPPA * 1e6 * 2**-24, rel=1e-5)
    decades = np.log10(0.5 * 2**24 / 1e3)
    assert moved[1] == pytest.approx(plain * (1 + 8 * 0.5 + decades / 2), rel=1e-5)


def test_what_rounding_moves_beyond_everything_it_was_computed_from_is_not_judged() -> None:
    assert np.isinf(bounds([0.1], [2.0])).all()
    assert np.isfinite(bounds([0.1], [2.0], loudest=3.0)).all()
    assert np.isfinite(bounds([1.0], [0.9])).all()
    unjudged = Bounded(np.array([0.1]), np.array([np.inf]))
    assert unjudged.error_ratios(np.array([1e9]), 1e38) == [0.0]
    assert unjudged.error_ratios(np.array([np.nan]), 1e38) == [np.inf]


def test_a_type_does_not_hold_what_rounding_moves_beyond_it() -> None:
    """Nine layers whose dropout drops 95 of 100: gradients of 600 with six versions up to 150,000."""
    assert np.isinf(bounds([600.0], [4000.0], dtype="float16")).all()
    assert np.isnan(bounds([600.0], [5000.0], dtype="float16")).all()
    assert np.isinf(bounds([600.0], [5000.0], dtype="bfloat16")).all()
    lost = Bounded(np.array([600.0]), np.array([np.nan]))
    assert not Expected({}, {"x": lost}, format_of("float16")).in_range


# Choices.


@pytest.mark.parametrize("hypotheses", ["best", "all"])
def test_a_beam_of_equal_tokens_has_all_its_ids_unjudged(hypotheses: str) -> None:
    network = {"W": np.zeros((1, 1, 2)), "R": np.zeros((1, 1, 1)), "b": np.zeros((1, 1))}
    tokens = {"V": np.zeros((3, 1)), "c": np.zeros(3), "E": np.zeros((3, 2)), "start": np.zeros(40, np.int64)}
    chosen = {"cell": "rnn_cell", "normalise": False, "hypotheses": hypotheses, "end": 1, "minimum": 1, "steps": 1}
    attributes = {**operation("beam_search").defaults(), **chosen}
    expected = expect(Call("beam_search", {**network, **tokens}, attributes), "float32")
    assert np.isinf(expected.outputs["tokens"].bound).all()
    assert (expected.outputs["lengths"].bound == 0).all()
    assert (expected.outputs["score"].bound < 1e-5).all()
