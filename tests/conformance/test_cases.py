"""Cases: what is drawn, that equal cases are equal, and what they shrink to."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import seed as seeded

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import (
    NEEDS,
    REGIMES,
    Case,
    Level,
    RandomChoices,
    Scope,
    cases,
    draw_case,
    entry_levels,
    levels_of,
    regimes_for,
    settled,
    strategy,
    supported_by,
)
from rnnspec.conformance.cases.regimes import choices_of, scores_of
from rnnspec.conformance.cases.steps import BY_LENGTHS, BY_MASK, DECIDING, valid_steps
from rnnspec.conformance.cases.strategy import _Drawn, _sampled
from rnnspec.conformance.cases.support import everything
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec import check_call, operation, operations
from rnnspec.spec.activations import tried

Make = Callable[..., Case]
SETTINGS = settings(database=None, max_examples=2000, deadline=None)
FORBIDDING = {"forbidding", "impossible", "padding_forbidden"}
STEP_KINDS = set(NEEDS) - {"no_lengths", "no_mask"}


def drawn(scope: Scope, count: int, seed: int = 0) -> list[Case]:
    choices = RandomChoices(np.random.default_rng(seed))
    return [draw_case(choices, scope) for _ in range(count)]


@pytest.mark.parametrize("name", operations())
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_case_is_a_call_that_the_specification_defines(name: str, dtype: str) -> None:
    form = format_of(dtype)
    for case in drawn(Scope(name, dtype), 60):
        check_call(name, case.call.inputs, case.call.attributes)
        for array in (*case.call.float_inputs.values(), *case.cotangents):
            assert array.dtype == form.dtype
        for key, array in case.call.float_inputs.items():
            wide = array.astype(np.float64)
            forbidding = case.items[key].domain == "forbidding" and case.regime in FORBIDDING
            assert (np.isfinite(wide) | (forbidding & np.isneginf(wide))).all()
        assert all(np.isfinite(cotangent.astype(np.float64)).all() for cotangent in case.cotangents)
        assert len(case.cotangents) == sum(item.kind == "float" for item in case.results.values())


def test_every_float_is_exactly_representable_in_the_type() -> None:
    for dtype in ("float16", "bfloat16", "float32"):
        for case in drawn(Scope("lstm", dtype), 30):
            for array in (*case.call.float_inputs.values(), *case.cotangents):
                wide = array.astype(np.float64)
                np.testing.assert_array_equal(wide.astype(array.dtype).astype(np.float64), wide)


def test_equal_cases_make_equal_arrays() -> None:
    for one, other in zip(drawn(Scope("lstm", "float32"), 30), drawn(Scope("lstm", "float32"), 30), strict=True):
        assert one == other
        assert one.call is not other.call
        assert list(one.call.inputs) == list(other.call.inputs)
        for name, array in one.call.inputs.items():
            np.testing.assert_array_equal(array, other.call.inputs[name], strict=True)
        for one_cotangent, other_cotangent in zip(one.cotangents, other.cotangents, strict=True):
            np.testing.assert_array_equal(one_cotangent, other_cotangent, strict=True)


def test_another_seed_makes_other_arrays(make_case: Make) -> None:
    one, other = make_case(seed=1).call.inputs, make_case(seed=2).call.inputs
    assert all((one[name] != other[name]).all() for name in one)


@pytest.mark.parametrize("name", operations())
def test_generic_values_are_distinct_signed_and_nonzero(name: str, make_case: Make) -> None:
    case = make_case(name, sizes={"B": 4, "T": 5})
    inputs = case.call.float_inputs
    everything_drawn = np.concatenate([np.zeros(0), *(a.ravel() for a in (*inputs.values(), *case.cotangents))])
    assert len(np.unique(everything_drawn)) == everything_drawn.size
    assert (everything_drawn != 0).all()
    for key, array in inputs.items():
        if case.items[key].domain == "probability":
            assert 0 <= array.min() < array.max() <= 1
        elif array.size > 8:  # of fewer, all may be of one sign
            assert array.min() < 0 < array.max()


@pytest.mark.parametrize("regime", ["tiny", "saturating"])
def test_probabilities_come_close_to_0_and_1_without_being_so(regime: str, make_case: Make) -> None:
    given = {"attributes": {"given": "probabilities"}, "regime": regime}
    case = make_case("binary_cross_entropy", "float64", sizes={"B": 40, "T": 40}, **given)
    for name in ("probabilities", "target"):
        numbers = case.call.inputs[name]
        assert 0 < numbers.min() < 1e-3
        assert 0.998 < numbers.max() < 1
    several = [make_case("binary_cross_entropy", **given, seed=seed) for seed in range(30)]
    assert min(case.call.inputs["probabilities"].min() for case in several) < 1e-9


def test_changing_one_shape_keeps_the_other_arrays(make_case: Make) -> None:
    case = make_case()
    projected = case.with_attributes(projection=True)
    assert projected.call.inputs["P"].shape == (6, 5)
    assert projected.call.inputs["R"].shape != case.call.inputs["R"].shape
    for name in ("x", "W", "b", "c0"):
        np.testing.assert_array_equal(projected.call.inputs[name], case.call.inputs[name])
    assert case.attributes["projection"] is False


def test_coupled_gates_and_sizes(make_case: Make) -> None:
    inputs = make_case(attributes={"coupled": True, "projection": True}).call.inputs
    assert (inputs["W"].shape, inputs["R"].shape, inputs["h0"].shape) == ((3, 5, 2), (3, 5, 6), (3, 6))


# Steps.


def test_lengths_lie_within_the_sequence_and_say_what_is_valid() -> None:
    seen = set()
    for case in drawn(Scope("lstm", "float32"), 300):
        if case.steps != "lengths":
            assert ("lengths" in case.call.inputs) == (case.steps in BY_LENGTHS)
            continue
        lengths = case.call.inputs["lengths"]
        assert lengths.dtype == np.int64
        assert ((lengths >= 0) & (lengths <= case.sizes["T"])).all()
        np.testing.assert_array_equal(case.valid, np.arange(case.sizes["T"]) < lengths[:, None])
        seen.update((length == 0, length == case.sizes["T"]) for length in lengths.tolist() if case.sizes["T"] > 1)
    assert seen == {(True, False), (False, True), (False, False)}  # empty, full and between


def test_masks_say_what_is_valid(make_case: Make) -> None:
    sizes = {"B": 20, "T": 9}
    holes = make_case(steps="mask", sizes=sizes)
    right = make_case(steps="right_mask", sizes=sizes)
    for case in (holes, right):
        assert "lengths" not in case.call.inputs
        np.testing.assert_array_equal(case.call.inputs["mask"], case.valid)
    assert (np.diff(holes.valid.astype(int), axis=1) > 0).any()
    assert (np.diff(right.valid.astype(int), axis=1) <= 0).all()
    full = make_case(sizes=sizes)
    assert full.valid.all()
    assert not {"lengths", "mask"} & set(full.call.inputs)


def test_every_kind_of_steps_is_what_its_name_says() -> None:
    rng = np.random.default_rng(0)
    for kind, needs in NEEDS.items():
        for number in range(60):
            batch, steps = needs["B"] + number % 3, needs["T"] + number % 4
            valid = valid_steps(kind, batch, steps, rng)
            assert valid.shape == (batch, steps)
            lengths = valid.sum(axis=1)
            holes = ~valid[:, :-1] & valid[:, 1:]
            if kind not in ("mask", "held_mask"):
                np.testing.assert_array_equal(valid, np.arange(steps) < lengths[:, None])
            match kind:
                case "all":
                    assert valid.all()
                case "no_lengths" | "no_mask":
                    assert not valid.any()
                case "equal":
                    assert len(set(lengths)) == 1
                    assert 0 < lengths[0] < steps
                case "shorter":
                    assert lengths.max() == steps - 1
                case "one_empty":
                    assert sorted(lengths)[0] == 0 < sorted(lengths)[1]
                case "unsorted":
                    assert (np.diff(lengths) > 0).any()
                    assert lengths.min() > 0
                    assert len(set(lengths)) == batch or batch > steps
                case "mask":
                    assert holes.any()
                case "held_mask":
                    assert holes.any()
                    assert valid[:, 0].all()


@pytest.mark.parametrize("kind", [*NEEDS, *DECIDING])
def test_steps_of_sizes_that_are_too_small_are_steps_all_the_same(kind: Any) -> None:
    for batch in range(4):
        for steps in range(4):
            for seed in range(8):
                valid = valid_steps(kind, batch, steps, np.random.default_rng(seed))
                assert valid.shape == (batch, steps)
                assert valid.dtype == np.bool_


def test_steps_are_given_by_lengths_or_by_a_mask(make_case: Make) -> None:
    for kind in (*NEEDS, *DECIDING):
        given = {"lengths", "mask"} & set(make_case(steps=kind).call.inputs)
        assert given == ({"lengths"} if kind in BY_LENGTHS else {"mask"} if kind in BY_MASK else set())


def test_the_text_shows_which_steps_are_valid(make_case: Make) -> None:
    lengths = make_case(steps="lengths", seed=3).call.inputs["lengths"]
    assert f" lengths=[{','.join(map(str, lengths))}] " in str(make_case(steps="lengths", seed=3))
    assert " no_lengths lengths=[0,0,0] " in str(make_case(steps="no_lengths"))
    assert " lengths=[" in (text := str(make_case(steps="lengths", sizes={"B": 20})))
    assert text.count(",") == 8
    assert ",…]" in text
    mask = make_case(steps="held_mask").valid
    rows = ",".join("".join("1" if on else "0" for on in row) for row in mask)
    assert f" held_mask mask=[{rows}] " in str(make_case(steps="held_mask"))
    assert "mask=" not in str(make_case(steps="mask", sizes={"B": 20}))


# Levels.


def test_a_number_has_levels_for_its_ends_and_for_what_lies_between() -> None:
    threshold, epsilon = (operation("clip_by_norm").attributes[key] for key in ("threshold", "epsilon"))
    assert names(levels_of(threshold)) == ("default", "least", "within", "greatest")
    assert names(levels_of(epsilon)) == ("default", "1e-06", "least", "within", "greatest")
    assert names(levels_of(operation("lstm").attributes["clip"])) == NUMBER
    assert names(levels_of(operation("lstm").attributes["coupled"])) == ("False", "True")
    assert names(entry_levels(operation("lstm").attributes["activations"], 1)) == (
        "tanh",
        "logistic",
        "relu",
        "another",
    )
    rng = np.random.default_rng(0)
    default, least, _, greatest = levels_of(threshold)
    assert (default.value(rng, {}), least.value(rng, {}), greatest.value(rng, {})) == (1.0, 0.01, 50.0)
    assert levels_of(threshold)[1] != levels_of(epsilon)[2]  # of one name, but another attribute's
    assert set(levels_of(threshold)) == set(levels_of(operation("clip_by_norm").attributes["threshold"]))


def test_numbers_between_the_ends_span_the_decades_and_are_not_round() -> None:
    rng = np.random.default_rng(0)

    def between(name: str, key: str, **sizes: int) -> list[Any]:
        (level,) = (level for level in levels_of(operation(name).attributes[key]) if level.name == "within")
        return [level.value(rng, sizes) for _ in range(300)]

    clips, epsilons, dropped = between("lstm", "clip"), between("clip_by_norm", "epsilon"), between("dropout", "p")
    for numbers in (clips, epsilons, dropped):
        assert all(type(number) is float for number in numbers)
        assert len(set(numbers)) == 300
        assert all(len(repr(number)) > 8 for number in numbers)
    assert all(0.01 < number < 50 for number in clips)
    assert min(clips) < 0.03 < 20 < max(clips)
    assert min(epsilons) < 1e-7 < 1 < max(epsilons) < 2
    assert 0 < min(dropped) < 0.05 < 0.9 < max(dropped) < 0.97
    cut = between("lstm", "truncate", T=3)
    assert {type(number) for number in cut} == {int}
    assert set(cut) == {4, 5, 6}  # 1 and 2 T + 1 are the ends, 2 and 3 have levels of their own
    assert set(between("state_jacobian", "since", T=0)) == {0, 1}


def test_values_follow_the_sizes_of_the_case() -> None:
    op = operation("beam_search")
    greatest = {
        key: next(level for level in levels_of(op.attributes[key]) if level.name == "greatest")
        for key in ("width", "end", "steps")
    }
    two = settled(op, {**greatest, "steps": levels_of(op.attributes["steps"])[0]}, {"B": 1, "H": 2, "D": 2, "K": 2}, 0)
    assert (two["steps"], two["width"], two["end"]) == (3, 8, 1)
    many = settled(op, greatest, {"B": 1, "H": 2, "D": 2, "K": 4}, 0)
    assert (many["steps"], many["width"], many["end"]) == (6, 32, 3)
    assert many["cell"] == op.defaults()["cell"]
    op_of_jacobian = operation("state_jacobian")
    for case in drawn(Scope("state_jacobian", "float32"), 80):
        assert 0 <= case.attributes["since"] <= case.sizes["T"] + 1
        truncate = case.attributes["truncate"]
        assert (
            truncate in (None, *op_of_jacobian.attributes["truncate"].usual) or 1 <= truncate <= 2 * case.sizes["T"] + 1
        )


# Drawing.


def test_every_kind_of_case_occurs() -> None:
    many = drawn(Scope("lstm", "float32"), 400)
    assert {case.regime for case in many} == set(regimes_for(operation("lstm")))
    assert {case.steps for case in many} == STEP_KINDS
    assert {bool(case.absent) for case in many} == {True, False}
    assert {0, 1, 5} <= {case.sizes["B"] for case in many}
    assert {0, 1, 6} <= {case.sizes["T"] for case in many}
    assert {1, 5} <= {case.sizes["D"] for case in many} & {case.sizes["H"] for case in many}
    assert {case.attributes["direction"] for case in many} == {"forward", "reverse"}
    clips = {case.attributes["clip"] for case in many}
    assert {None, 0.01, 50.0} < clips
    assert len(clips) > 60
    assert {case.attributes["coupled"] for case in many} == {True, False}
    for place in range(3):
        functions = {case.attributes["activations"][place] for case in many}
        assert functions <= set(tried())
        assert functions >= {"logistic", "tanh", "relu"}
        assert len(functions) > 12
    assert sum(case.sizes["T"] != case.sizes["B"] for case in many) > 250
    assert max(max(case.sizes.values()) for case in many) <= 6


def test_large_sizes_on_request() -> None:
    largest = [max(case.sizes.values()) for case in drawn(Scope("gru", "float32", largest=16), 300)]
    assert max(largest) == 16
    assert 30 < sum(size > 6 for size in largest) < 110


def test_cells_have_no_steps() -> None:
    assert {case.steps for case in drawn(Scope("lstm_cell", "float32"), 50)} == {"all"}


class Scripted:
    """Always the same answers; remembers what was asked."""

    def __init__(self, last: bool) -> None:
        self.last = last
        self.asked: list[Any] = []

    def pick(self, options: Any) -> Any:
        self.asked.append(tuple(options))
        return options[-1 if self.last else 0]

    def integer(self, low: int, high: int) -> int:
        self.asked.append((low, high))
        return high if self.last else low


def test_what_stands_first_is_the_simplest_case() -> None:
    for name in operations():
        case = draw_case(Scripted(last=False), Scope(name, "float32", largest=16))
        assert case.sizes == {symbol: case.spec.at_least.get(symbol, 1) for symbol in case.sizes}
        assert case.attributes == case.spec.defaults()
        assert (case.regime, case.steps, case.absent, case.seed) == ("generic", "all", (), 0)


def test_hypothesis_and_random_numbers_are_asked_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sources of choices drive one procedure: the questions are those of any other source."""
    scope = Scope("lstm", "float32")
    plain = Scripted(last=False)
    draw_case(plain, scope)
    asked: list[Any] = []

    class Remembering(_Drawn):
        def pick(self, options: Any) -> Any:
            asked.append(tuple(options))
            return super().pick(options)

        def integer(self, low: int, high: int) -> int:
            asked.append((low, high))
            return super().integer(low, high)

    monkeypatch.setattr(strategy, "_Drawn", Remembering)
    # The last example tried is the simplest, and the simplest answers lead to the same questions.
    simplest = find(cases(scope), lambda case: True, settings=SETTINGS)
    assert simplest == draw_case(Scripted(last=False), scope)
    assert asked[-len(plain.asked) :] == plain.asked

    class Recorder(RandomChoices):
        def pick(self, options: Any) -> Any:
            recorded.append(tuple(options))
            return super().pick(options)

        def integer(self, low: int, high: int) -> int:
            recorded.append((low, high))
            return super().integer(low, high)

    recorded: list[Any] = []
    draw_case(Recorder(np.random.default_rng(0)), scope)
    assert recorded[0] == plain.asked[0]  # what is asked next depends on the answer
    assert recorded[-1] == plain.asked[-1]


def test_a_seed_draws_the_same_cases_whatever_modules_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hypothesis favours the integers that stand in modules of the user's."""

    def found() -> list[Case]:
        drawn: list[Case] = []

        @settings(database=None, max_examples=60, deadline=None, phases=[Phase.generate])
        @seeded(3)
        @given(cases(Scope("dense", "float32", largest=48)))
        def draw(case: Case) -> None:
            drawn.append(case)

        draw()
        return drawn

    before = found()
    (tmp_path / "full_of_integers.py").write_text(f"NUMBERS = {list(range(1000, 3000, 7))}\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("full_of_integers")
    assert found() == before


def test_a_case_is_made_to_have_what_a_check_needs(make_case: Make) -> None:
    case = make_case(sizes={"B": 1, "T": 0})
    larger = case.with_at_least(B=2, T=1, K=7)
    assert {key: larger.sizes[key] for key in ("B", "T", "D", "H")} == {"B": 2, "T": 1, "D": 2, "H": 5}
    assert "K" not in larger.sizes
    assert larger.with_at_least(B=2) == larger
    assert {make_case(seed=seed).with_padding().steps for seed in range(9)} == {"lengths", "right_mask", "mask"}
    assert make_case(steps="mask", seed=1).with_padding() == make_case(steps="mask", seed=1)


def test_choices_among_few_come_in_large_batches() -> None:
    def batches(name: str) -> list[int]:
        choices = RandomChoices(np.random.default_rng(0))
        return [draw_case(choices, Scope(name, "float32")).sizes["B"] for _ in range(60)]

    assert np.median(batches("beam_search")) > 2 * np.median(batches("lstm"))


# Shrinking.


@pytest.mark.parametrize(
    ("wanted", "sizes", "attributes", "steps"),
    [
        (lambda case: True, {"B": 1, "T": 1, "D": 1, "H": 1}, {}, "all"),
        (lambda case: case.sizes["T"] >= 3, {"B": 1, "T": 3, "D": 1, "H": 1}, {}, "all"),
        (
            lambda case: case.sizes["B"] * case.sizes["H"] >= 4 and case.attributes["coupled"],
            {"T": 1, "D": 1},
            {"coupled": True},
            "all",
        ),
        (lambda case: case.attributes["activations"][1] == "relu", {"B": 1, "T": 1}, {}, "all"),
        (lambda case: case.steps == "mask", {"B": 1, "T": 2, "D": 1}, {}, "mask"),
        # Which steps are valid depends on the seed, so sizes and seed would have to shrink together.
        (lambda case: not case.valid.all(), {"D": 1}, {}, None),
    ],
)
def test_shrinking_to_the_smallest(
    wanted: Callable[[Case], bool], sizes: dict[str, int], attributes: dict[str, Any], steps: str | None
) -> None:
    case = find(cases(Scope("lstm", "float32", largest=16)), wanted, settings=SETTINGS)
    assert {name: case.sizes[name] for name in sizes} == sizes
    assert case.regime == "generic"
    assert case.absent == ()
    assert steps is None or case.steps == steps
    unasked = {key: case.attributes[key] for key in ("clip", "projection", "direction")}
    assert unasked == {"clip": None, "projection": False, "direction": "forward"}
    assert attributes.items() <= case.attributes.items()


# How a case is named.


def test_the_text_names_what_differs_from_the_plainest_case(make_case: Make) -> None:
    assert str(make_case()) == "lstm float32 B=3 T=4 D=2 H=5 generic seed=0"
    text = str(
        make_case(
            attributes={"projection": True, "clip": 0.3}, steps="mask", absent=("h0", "c0"), regime="tiny", seed=9
        )
    )
    for part in ("S=6", "clip=0.3", "projection=True", "without h0, c0", "mask", "tiny", "seed=9"):
        assert part in text
    assert "coupled" not in text


# Regimes.


def magnitudes(case: Case) -> dict[str, float]:
    return {name: float(np.abs(array).mean()) for name, array in case.call.float_inputs.items()}


def test_regimes_go_where_implementations_break(make_case: Make) -> None:
    sizes = {"B": 8, "T": 8, "D": 8, "H": 8, "S": 8}
    by_regime = {regime: make_case(sizes=sizes, regime=regime) for regime in REGIMES}
    generic = magnitudes(by_regime["generic"])
    assert all(size < 0.05 for size in magnitudes(by_regime["tiny"]).values())
    assert magnitudes(by_regime["saturating"])["W"] > 4 * generic["W"]
    assert magnitudes(by_regime["chaotic"])["R"] > 3 * generic["R"]
    for array in (*by_regime["integers"].call.float_inputs.values(), *by_regime["integers"].cotangents):
        assert set(np.unique(array)) == {-2, -1, 0, 1, 2}
    ratios = [magnitudes(by_regime["scaled"])[name] / generic[name] for name in generic]
    assert max(ratios) > 2 * min(ratios)
    assert all((array > 0).all() for array in by_regime["one_sign"].cotangents)
    assert magnitudes(by_regime["one_sign"]) == generic
    forget = by_regime["long_memory"].call.inputs["b"]
    assert forget[1].min() > 2
    assert np.abs(forget[[0, 2, 3]]).max() < 2


@pytest.mark.parametrize(
    ("name", "attributes", "gate", "sign"),
    [("lstm", {"coupled": True}, 0, -1), ("gru", {}, 1, 1), ("gru", {"update": "admits"}, 1, -1)],
)
def test_long_memory_opens_the_gate_that_keeps_the_state(
    name: str, attributes: dict[str, Any], gate: int, sign: int, make_case: Make
) -> None:
    bias = make_case(name, attributes=attributes, regime="long_memory").call.inputs["b"]
    assert (sign * bias[gate] > 2).all()
    assert (np.abs(np.delete(bias, gate, axis=0)) < 2).all()


@pytest.mark.parametrize("name", operations())
def test_a_regime_that_says_nothing_of_an_operation_does_not_apply(name: str) -> None:
    op = operation(name)
    found = regimes_for(op)
    assert found[0] == "generic"
    assert found == tuple(regime.name for regime in REGIMES.values() if regime.applies(op))
    moves = any(item.domain == "forbidding" for item in op.inputs.values())
    assert ("forbidding" in found) == ("impossible" in found) == moves
    assert ("ties" in found) == any(output.kind == "ids" for output in op.outputs.values())
    assert ("padding_forbidden" in found) == (name in ("crf_score", "crf_log_likelihood"))
    assert ("far" in found) == bool({"clipping", "zeros"} & set(op.laws))
    if op.memory_gate or "R" not in op.inputs:
        return
    assert "long_memory" not in found


def test_what_has_no_floats_has_one_regime() -> None:
    assert regimes_for(operation("token_accuracy")) == ("generic",)
    assert {"masking", "saturating"} <= set(regimes_for(operation("softmax")))


def several(name: str, regime: str, make_case: Make, **given: Any) -> list[Case]:
    sizes = {"B": 6, "T": 5, "K": 4, "N": 3, **given.pop("sizes", {})}
    return [make_case(name, sizes=sizes, regime=regime, seed=seed, **given) for seed in range(30)]


def test_scores_below_what_masks_leave_others_as_they_are(make_case: Make) -> None:
    assert scores_of(operation("softmax")) == {"x"}
    assert scores_of(operation("crf_viterbi")) == {"emissions", "transitions", "start", "end"}
    assert scores_of(operation("beam_search")) == {"c"}
    assert scores_of(operation("bahdanau_decoder")) == {"v_a"}
    assert scores_of(operation("lstm")) == frozenset()
    for dtype, deepest in (("float32", 1e30), ("float64", 1e30), ("float16", 1e4)):
        arrays = [case.call.inputs["x"].astype(float) for case in several("softmax", "masking", make_case, dtype=dtype)]
        everything_drawn = np.concatenate([array.ravel() for array in arrays])
        assert np.isfinite(everything_drawn).all()
        assert -1.2 * deepest < everything_drawn.min() < -0.9 * deepest
        assert 0.2 < (everything_drawn < -5e3).mean() < 0.8
        assert any((array < -5e3).all(axis=-1).any() for array in arrays)  # all that may be chosen


def test_far_vectors_have_squares_that_the_type_does_not_hold(make_case: Make) -> None:
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        form = format_of(dtype)
        many = several("clip_by_norm", "far", make_case, dtype=dtype, sizes={"N": 8})
        norms = np.array([math.hypot(*case.call.inputs["x"].astype(float)) for case in many])
        assert (norms < form.largest / 4).all()
        with np.errstate(over="ignore", under="ignore"):
            assert (norms**2 > form.largest).any()
            assert (norms**2 < form.smallest_normal).any()


def test_where_nothing_is_possible_some_sequences_have_no_path(make_case: Make) -> None:
    from rnnspec import reference

    found = [reference.crf_viterbi(**case.call.inputs)[0] for case in several("crf_viterbi", "impossible", make_case)]
    assert np.isneginf(np.concatenate(found)).mean() > 0.3


@pytest.mark.parametrize("name", ["crf_score", "crf_log_likelihood"])
def test_what_is_forbidden_in_the_padding_alone_is_possible(name: str, make_case: Make) -> None:
    from rnnspec import reference

    for case in several(name, "padding_forbidden", make_case, steps="shorter"):
        tags, moves = case.call.inputs["tags"], case.call.inputs["transitions"]
        assert np.isneginf(moves[tags[:, -2], tags[:, -1]]).all()
        assert np.isfinite(getattr(reference, name)(**case.call.inputs)[0]).all()


def test_ties_are_exact_and_in_every_choice(make_case: Make) -> None:
    assert choices_of(operation("beam_search")) == choices_of(operation("crf_viterbi")) == {"K"}
    for case in several("crf_viterbi", "ties", make_case, sizes={"K": 5}):
        emissions, moves = case.call.inputs["emissions"], case.call.inputs["transitions"]
        for one, other in ((0, 1), (2, 3), (2, 4)):
            np.testing.assert_array_equal(emissions[..., one], emissions[..., other])
            np.testing.assert_array_equal(moves[one], moves[other])
            np.testing.assert_array_equal(moves[:, one], moves[:, other])
        assert len(np.unique(emissions)) <= 5
    weights = [case.call.inputs["V"] for case in several("greedy_decode", "ties", make_case)]
    assert any((array == 0).all() for array in weights)
    assert any((array != 0).any() for array in weights)


# Support by a backend.


class Picky(NumpyBackend):
    """Refuses some values of some attributes."""

    name = "picky"

    def run(self, call: Call) -> tuple[Any, ...]:
        if call.attributes["clip"] is not None:
            raise Unsupported("no clip")
        if call.attributes["activations"][0] != "logistic":
            raise Unsupported("no such gate")
        if call.attributes["activations"][2] == "relu":
            raise Unsupported("no such output")
        if call.attributes["coupled"]:
            raise ZeroDivisionError
        return super().run(call)


def names(levels: Any) -> Any:
    """The names of levels, in whatever tuples they stand."""
    return levels.name if isinstance(levels, Level) else tuple(names(level) for level in levels)


NUMBER = ("None", "least", "within", "greatest")


def test_support_leaves_out_what_is_refused() -> None:
    support = supported_by(Picky(), "lstm", "float32")
    assert {key: names(levels) for key, levels in support.levels.items()} == {
        "activations": (("logistic",), ("tanh", "logistic", "relu", "another"), ("tanh", "logistic", "another")),
        "clip": ("None",),
        "coupled": ("False", "True"),  # a crash is no refusal: the checks are to see it
        "forget_bias": NUMBER,
        "projection": ("False", "True"),
        "gradient": ("full", "cell_only"),
        "direction": ("forward", "reverse"),
        "truncate": ("None", "2", "3", "least", "within", "greatest"),
        "recurrent_dropout": NUMBER,
        "output": ("sequence", "held", "last"),
    }
    assert set(support.reasons) == {"no clip", "no such gate", "no such output"}
    assert support.defaults() == operation("lstm").defaults()
    assert support.steps == tuple(NEEDS)


class FixedEpsilon(NumpyBackend):
    """Adds 1e-6 to norms, and nothing else."""

    name = "fixed epsilon"

    def run(self, call: Call) -> tuple[Any, ...]:
        if call.attributes["epsilon"] != 1e-6:
            raise Unsupported("fixed")
        return super().run(call)


def test_who_refuses_the_default_is_asked_for_what_there_is_instead() -> None:
    support = supported_by(FixedEpsilon(), "clip_by_norm", "float32")
    assert names(support.levels["epsilon"]) == ("1e-06",)
    assert names(support.levels["threshold"]) == ("default", "least", "within", "greatest")
    assert support.defaults() == {"threshold": 1.0, "epsilon": 1e-6}
    assert {case.attributes["epsilon"] for case in drawn(Scope("clip_by_norm", "float32", support=support), 20)} == {
        1e-6
    }


class Coupled(NumpyBackend):
    """Has coupled gates and clips, both or nothing; no lengths, and no masks."""

    name = "coupled"

    def run(self, call: Call) -> tuple[Any, ...]:
        if not call.attributes["coupled"] or call.attributes["clip"] is None:
            raise Unsupported("coupled and clipped")
        if {"lengths", "mask"} & set(call.inputs):
            raise Unsupported("no padding")
        return super().run(call)


def test_two_attributes_may_have_to_leave_their_defaults_and_steps_are_probed_too() -> None:
    support = supported_by(Coupled(), "lstm", "float32")
    assert support.defaults() == {**operation("lstm").defaults(), "coupled": True, "clip": 0.01}
    assert names(support.levels["coupled"]) == ("True",)
    assert names(support.levels["clip"]) == NUMBER[1:]
    assert support.steps == ("all",)
    assert {case.steps for case in drawn(Scope("lstm", "float32", support=support), 60)} == {"all"}


def test_what_torch_does_itself_is_found_where_its_own_needs_another_attribute() -> None:
    torch = pytest.importorskip("rnnspec.backends.torch")
    support = supported_by(torch.TorchBackend(), "clip_by_norm", "float32")
    assert names(support.levels["epsilon"]) == ("default", "1e-06", "least", "within", "greatest")
    assert support.own is not None
    assert names(support.own.levels["epsilon"]) == ("1e-06",)


def test_cases_are_drawn_from_what_is_supported() -> None:
    many = drawn(Scope("lstm", "float32", support=supported_by(Picky(), "lstm", "float32")), 200)
    assert {case.attributes["clip"] for case in many} == {None}
    assert {case.attributes["activations"][0] for case in many} == {"logistic"}
    assert {case.attributes["activations"][1] for case in many} > {"logistic", "tanh", "relu"}
    assert {case.attributes["activations"][2] for case in many} > {"logistic", "tanh"}
    assert "relu" not in {case.attributes["activations"][2] for case in many}


def test_of_the_other_functions_those_are_drawn_that_are_supported() -> None:
    class Keras(NumpyBackend):
        def run(self, call: Call) -> tuple[Any, ...]:
            if call.attributes["activation"] not in ("tanh", "elu", "selu"):
                raise Unsupported("no such function")
            return super().run(call)

    support = supported_by(Keras(), "rnn", "float32")
    assert names(support.levels["activation"]) == ("tanh", "another")
    assert support.levels["activation"][1].among == ("elu", "selu")
    many = drawn(Scope("rnn", "float32", support=support), 60)
    assert {case.attributes["activation"] for case in many} == {"tanh", "elu", "selu"}


def test_who_refuses_everything_is_asked_for_everything() -> None:
    class Refuses(Backend):
        name = "refuses"

        def lstm(self, *inputs: Any, **attributes: Any) -> Any:
            raise Unsupported("nothing at all")

    support = supported_by(Refuses(), "lstm", "float32")
    assert support.reasons == ("nothing at all",)
    assert replace(support, reasons=()) == everything("lstm")
    assert hash(support) == hash(everything("lstm"))
    assert dict(supported_by(NumpyBackend(), "lstm", "float32").levels) == dict(support.levels)


def test_options_that_are_equal_are_not_the_same() -> None:
    """Where a strategy was made for (False,), another operation's (0.0,) must not be drawn from it."""
    drawn_types = [type(find(_sampled(options), lambda _: True)) for options in ((False,), (0.0,), (0,))]
    assert drawn_types == [bool, float, int]
