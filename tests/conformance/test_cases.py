"""Cases: what is drawn, that equal cases are equal, and what they shrink to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import find, settings

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, cases, draw_case, supported_by
from rnnspec.conformance.cases.regimes import REGIMES
from rnnspec.conformance.cases.strategy import _sampled
from rnnspec.conformance.cases.support import everything
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec import check_call, operation, operations

Make = Callable[..., Case]
SETTINGS = settings(database=None, max_examples=2000, deadline=None)
STEP_KINDS = {"all", "lengths", "right_mask", "mask"}


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
            forbidding = case.items[key].domain == "forbidding" and case.regime == "forbidding"
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
            assert "lengths" not in case.call.inputs
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


# Drawing.


def test_every_kind_of_case_occurs() -> None:
    many = drawn(Scope("lstm", "float32"), 300)
    assert {case.regime for case in many} == set(REGIMES)
    assert {case.steps for case in many} == STEP_KINDS
    assert {bool(case.absent) for case in many} == {True, False}
    assert {0, 1, 5} <= {case.sizes["B"] for case in many}
    assert {0, 1, 6} <= {case.sizes["T"] for case in many}
    assert {1, 5} <= {case.sizes["D"] for case in many} & {case.sizes["H"] for case in many}
    assert {case.attributes["direction"] for case in many} == {"forward", "reverse"}
    assert {case.attributes["clip"] for case in many} == {None, *operation("lstm").attributes["clip"].examples}
    assert {case.attributes["coupled"] for case in many} == {True, False}
    for place in range(3):
        assert {case.attributes["activations"][place] for case in many} == {"logistic", "tanh", "relu"}
    assert sum(case.sizes["T"] != case.sizes["B"] for case in many) > 200
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
        assert set(case.sizes.values()) == {1}
        assert case.attributes == case.spec.defaults()
        assert (case.regime, case.steps, case.absent, case.seed) == ("generic", "all", (), 0)


def test_hypothesis_and_random_numbers_are_asked_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sources of choices drive one procedure: the questions are those of any other source."""
    scope = Scope("lstm", "float32")
    plain = Scripted(last=False)
    draw_case(plain, scope)
    from rnnspec.conformance.cases import strategy

    asked: list[Any] = []
    sampled, integers = strategy._sampled, strategy._integers
    monkeypatch.setattr(strategy, "_sampled", lambda options: asked.append(options) or sampled(options))
    monkeypatch.setattr(strategy, "_integers", lambda low, high: asked.append((low, high)) or integers(low, high))
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
        (lambda case: case.steps == "mask", {"B": 1, "T": 1, "D": 1}, {}, "mask"),
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


# What a backend supports.


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


def test_support_leaves_out_what_is_refused() -> None:
    support = supported_by(Picky(), "lstm", "float32")
    assert dict(support.values) == {
        "activations": (("logistic",), ("tanh", "logistic", "relu"), ("tanh", "logistic")),
        "clip": (None,),
        "coupled": (False, True),  # a crash is no refusal: the checks are to see it
        "projection": (False, True),
        "gradient": ("full", "cell_only"),
        "direction": ("forward", "reverse"),
        "truncate": (None, 1, 2, 3),
        "recurrent_dropout": (None, 0.25, 0.5),
    }
    assert set(support.reasons) == {"no clip", "no such gate", "no such output"}


def test_cases_are_drawn_from_what_is_supported() -> None:
    many = drawn(Scope("lstm", "float32", support=supported_by(Picky(), "lstm", "float32")), 200)
    assert {case.attributes["clip"] for case in many} == {None}
    assert {case.attributes["activations"][0] for case in many} == {"logistic"}
    assert {case.attributes["activations"][1] for case in many} == {"logistic", "tanh", "relu"}
    assert {case.attributes["activations"][2] for case in many} == {"logistic", "tanh"}


def test_who_refuses_everything_is_asked_for_everything() -> None:
    class Refuses(Backend):
        name = "refuses"

        def lstm(self, *inputs: Any, **attributes: Any) -> Any:
            raise Unsupported("nothing at all")

    support = supported_by(Refuses(), "lstm", "float32")
    assert support == everything("lstm")
    assert hash(support) == hash(everything("lstm"))
    assert dict(supported_by(NumpyBackend(), "lstm", "float32").values) == dict(support.values)


def test_options_that_are_equal_are_not_the_same() -> None:
    """Where a strategy was made for (False,), another operation's (0.0,) must not be drawn from it."""
    drawn_types = [type(find(_sampled(options), lambda _: True)) for options in ((False,), (0.0,), (0,))]
    assert drawn_types == [bool, float, int]
