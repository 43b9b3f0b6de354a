"""The slope of error on value over many calls: what it sees, what it explains by rounding, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.judge.drift import LEVERAGE, Finding, Slopes, judge_drift
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec import operation
from rnnspec.spec.arrays import Array

SIZES = {"B": 3, "T": 4, "D": 3, "H": 4, "I": 3, "O": 4}


@cache
def answers(name: str, dtype: str, calls: int = 40) -> list[tuple[dict[str, Bounded], dict[str, Array]]]:
    """The right results of some calls, and those of the numpy backend: outputs, and gradients with a d before them."""
    backend, found = NumpyBackend(), []
    for seed in range(calls):
        op = operation(name)
        sizes = {symbol: SIZES.get(symbol, 3) for symbol in op.sizes if symbol not in ("G", "n")}
        case = Case(name, dtype, sizes, op.defaults(), seed=seed)
        right = expected_of(case, gradients=True)
        outputs = dict(zip(right.outputs, backend.run(case.call), strict=True))
        gradients = backend.gradients(case.call, case.cotangents)
        found.append(
            (
                {**right.outputs, **{f"d{key}": one for key, one in right.gradients.items()}},
                {**outputs, **{f"d{key}": one for key, one in gradients.items()}},
            )
        )
    return found


def drifts(name: str, dtype: str, change: Callable[[str, Array], Array] = lambda _, got: got) -> dict[str, Slopes]:
    """The drift of every quantity, once each result was changed and rounded to its type."""
    found: dict[str, Slopes] = {}
    for right, got in answers(name, dtype):
        for key, bounded in right.items():
            result = change(key, got[key].astype(np.float64)).astype(got[key].dtype)
            assert bounded.error_ratios(result, format_of(dtype).largest).max() <= 1
            found.setdefault(key, Slopes(dtype)).add(bounded, result)
    return found


def noisy(seed: int, calls: int, elements: int = 50, u: float = 2.0**-8) -> Iterator[tuple[Bounded, Array]]:
    """Calls whose six versions and whose answer are all moved by as much as u, in random directions."""
    rng = np.random.default_rng(seed)
    for _ in range(calls):
        value = rng.normal(size=elements)
        moved = value * (1 + u * rng.choice([-1.0, 1.0], size=(7, elements)))
        yield Bounded(value, 20 * u * np.abs(value), moved[1:]), moved[0]


def found_in(calls: Iterator[tuple[Bounded, Array]], dtype: str = "bfloat16") -> Finding:
    drift = Slopes(dtype)
    for bounded, got in calls:
        drift.add(bounded, got)
    finding = drift.finding("y")
    assert finding is not None
    return finding


@pytest.mark.parametrize("name", ["dense", "lstm", "gru", "attention_context", "mean_squared_error"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_what_is_right_conforms(name: str, dtype: str) -> None:
    findings = judge_drift(drifts(name, dtype))
    assert findings
    assert findings[0].ratio < 0.5


@pytest.mark.parametrize(("name", "quantity"), [("gru", "dR"), ("lstm", "dR"), ("rnn", "dW"), ("lstm", "c_n")])
def test_a_result_that_is_short_drifts_though_every_element_lies_within_its_bound(name: str, quantity: str) -> None:
    short = drifts(name, "bfloat16", lambda key, got: got * 0.95 if key == quantity else got)
    worst = judge_drift(short)[0]
    assert worst.quantity == quantity
    assert worst.ratio > 1
    assert worst.slope == pytest.approx(-0.05, abs=0.005)


@pytest.mark.parametrize(("dtype", "error"), [("float16", 2e-3), ("float32", 3e-7)])
def test_small_systematic_errors_are_seen(dtype: str, error: float) -> None:
    for name in ("dense", "attention_context"):
        for quantity in answers(name, dtype)[0][0]:
            for sign in (1, -1):
                changed = drifts(name, dtype, lambda key, got, q=quantity, e=sign * error: got * (1 + e * (key == q)))
                finding = changed[quantity].finding(quantity)
                assert finding is not None
                assert finding.ratio > 1
                assert finding.slope == pytest.approx(sign * error, rel=0.3)


@pytest.mark.parametrize("version", range(6))
def test_a_version_in_the_place_of_an_implementation_conforms(version: int) -> None:
    drift: dict[str, Slopes] = {}
    for right, _ in answers("gru", "bfloat16"):
        for key, bounded in right.items():
            assert bounded.perturbed is not None
            others = np.delete(bounded.perturbed, version, 0)
            held_out = Bounded(bounded.value, bounded.bound, others)
            drift.setdefault(key, Slopes("bfloat16")).add(held_out, bounded.perturbed[version])
    assert judge_drift(drift)[0].ratio < 1


def test_the_bound_shrinks_with_calls_but_not_with_elements_that_move_together() -> None:
    few, many = found_in(noisy(0, 20)), found_in(noisy(0, 320))
    u = 2.0**-8
    assert many.bound - u == pytest.approx((few.bound - u) / 4, rel=0.4)

    def together(calls: Iterator[tuple[Bounded, Array]]) -> Iterator[tuple[Bounded, Array]]:
        for right, got in calls:
            assert right.perturbed is not None
            again = Bounded(np.tile(right.value, 9), np.tile(right.bound, 9), np.tile(right.perturbed, 9))
            yield again, np.tile(got, 9)

    repeated = found_in(together(noisy(0, 20)))
    assert repeated.bound == pytest.approx(few.bound)
    assert repeated.elements == 9 * few.elements


def test_rounding_alone_is_explained_at_many_seeds() -> None:
    ratios = [found_in(noisy(seed, 12)).ratio for seed in range(300)]
    assert max(ratios) < 0.7


def test_a_few_calls_that_are_far_off_do_not_make_a_drift() -> None:
    def with_outliers() -> Iterator[tuple[Bounded, Array]]:
        for number, (right, got) in enumerate(noisy(0, 60)):
            yield right, got * 3 if number == 7 else got

    usual, finding = found_in(noisy(0, 60)), found_in(with_outliers())
    assert abs(finding.slope - usual.slope) < 0.1 * usual.bound


def test_a_few_versions_that_are_far_off_do_not_hide_a_drift() -> None:
    def with_outliers() -> Iterator[tuple[Bounded, Array]]:
        for number, (right, got) in enumerate(noisy(0, 60)):
            assert right.perturbed is not None
            right.perturbed[2] *= 100 if number == 7 else 1
            yield right, got

    assert found_in(with_outliers()).bound < 2 * found_in(noisy(0, 60)).bound


def test_a_call_that_is_lost_in_rounding_is_left_out() -> None:
    drift = Slopes("bfloat16")
    for u, calls in ((0.04, 3), (4.0, 3)):
        for right, got in noisy(0, 3, u=u):
            drift.add(Bounded(right.value, np.abs(right.value), right.perturbed), got)
        assert drift.calls == calls


def test_no_call_weighs_more_than_its_share() -> None:
    """A call that rounding leaves nearly alone says much, but not all."""

    def with_an_exact_one() -> Iterator[tuple[Bounded, Array]]:
        for number, (right, _) in enumerate(noisy(0, 8, u=0.02)):
            exact = Bounded(right.value, right.bound, np.tile(right.value, (6, 1)))
            yield (exact, right.value * 1.01) if number == 0 else (right, right.value)

    assert found_in(with_an_exact_one()).slope <= 0.01 * LEVERAGE * (1 + 1e-9)


def test_too_few_calls_are_not_judged() -> None:
    drift = Slopes("bfloat16")
    for number, (bounded, got) in enumerate(noisy(0, round(1 / LEVERAGE))):
        assert drift.finding("y") is None, number
        assert judge_drift({"y": drift}) == []
        drift.add(bounded, got)
    assert drift.finding("y") is not None


def test_what_is_not_judged_or_lost_in_its_bound_is_left_out() -> None:
    drift = Slopes("float32")
    value = np.array([1.0, 2.0, np.inf, 4.0, 5.0, 0.0, 1e-9, 3.0])
    bound = np.array([1e-6, np.inf, 1e-6, 0.0, 1e-6, 1e-6, 1e-6, 1e-6])
    got = np.array([1.0, 99.0, np.inf, 4.0, np.inf, 1.0, 1.0, 3.0], np.float32)
    drift.add(Bounded(value, bound, np.tile(value, (6, 1))), got)
    assert (drift.calls, drift.elements) == (1, 2)
    drift.add(Bounded(value, bound), got)  # ids, and numbers that no rounding moves, have no versions
    drift.add(Bounded(value[1:3], bound[1:3], np.tile(value[1:3], (6, 1))), got[1:3])
    drift.add(Bounded(value[:1], bound[:1], np.full((6, 1), np.inf)), got[:1])
    drift.add(Bounded(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((6, 0, 3))), np.zeros((0, 3)))
    assert (drift.calls, drift.elements) == (1, 2)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_slope_does_not_depend_on_the_scale(scale: float) -> None:
    def scaled() -> Iterator[tuple[Bounded, Array]]:
        for right, got in noisy(3, 20, u=2.0**-50):
            assert right.perturbed is not None
            yield Bounded(right.value * scale, right.bound * scale, right.perturbed * scale), got * scale

    here, there = found_in(noisy(3, 20, u=2.0**-50), "float64"), found_in(scaled(), "float64")
    assert there.slope == pytest.approx(here.slope)
    assert there.bound == pytest.approx(here.bound)


def test_flushing_to_zero_is_explained() -> None:
    """Results near the smallest normal number, all a quarter of it too small."""
    smallest = format_of("float16").smallest_normal
    rng = np.random.default_rng(0)
    drift = Slopes("float16")
    for _ in range(20):
        value = smallest * rng.uniform(4, 8, 50)
        drift.add(Bounded(value, 4 * smallest * np.ones(50), np.tile(value, (6, 1))), value - smallest / 4)
    finding = drift.finding("y")
    assert finding is not None
    assert -0.06 < finding.slope < -0.03
    assert finding.ratio < 1


def test_numbers_that_no_rounding_moves_must_be_right_to_a_roundoff() -> None:
    def exact(factor: float) -> Iterator[tuple[Bounded, Array]]:
        for right, _ in noisy(0, 20):
            yield Bounded(right.value, right.bound, np.tile(right.value, (6, 1))), right.value * factor

    assert found_in(exact(1.0)).slope == 0
    assert found_in(exact(1 + 2.0**-9)).ratio == pytest.approx(0.5, rel=1e-6)
    assert found_in(exact(1 - 2.0**-7)).ratio == pytest.approx(2.0, rel=1e-6)


def test_the_words() -> None:
    finding = Finding("dR", -0.021, 0.0021, 0.006, 4213, 97)
    assert finding.message == (
        "dR: all 4,213 elements of 97 calls together are 2.1 % too small (± 0.21 %), where rounding explains 0.6 %"
    )
    assert finding.ratio == pytest.approx(3.5)
    assert "3e-05 % too large" in Finding("y", 3e-7, 1e-8, 1e-7, 10, 10).message


def test_the_worst_comes_first() -> None:
    found = judge_drift(drifts("dense", "bfloat16", lambda key, got: got * 0.96 if key == "db" else got))
    assert found[0].quantity == "db"
    assert sorted(finding.quantity for finding in found) == ["dW", "db", "dx", "y"]
    assert [finding.ratio for finding in found] == sorted((finding.ratio for finding in found), reverse=True)


def test_rows_of_a_result_keep_their_versions() -> None:
    right = answers("dense", "bfloat16")[0][0]["y"]
    taken = right.take([2, 0])
    assert right.perturbed is not None
    assert taken.perturbed is not None
    assert np.array_equal(taken.perturbed, right.perturbed[:, [2, 0]])
    assert right.perturbed.shape == (6, *right.value.shape)
