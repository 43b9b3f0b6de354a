"""Gradients in part and gradients of gradients: the contract, and the two checks of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.checks.partial_gradients import Partial
from rnnspec.conformance.checks.second_order import differentiated_in_full
from rnnspec.conformance.faults import derivatives
from rnnspec.conformance.faults.fault import planted_in
from rnnspec.conformance.hosting.isolated import Isolated
from rnnspec.conformance.judge.tolerance import expect, expect_second_order
from rnnspec.conformance.run import Profile, Verdict, run_check
from rnnspec.spec import operation as spec_operation

Array = np.ndarray[Any, Any]
Make = Callable[..., Case]
BY_ID = {check.id: check for check in CHECKS}
FAULTS = planted_in(derivatives)


class Differentiating(Backend):
    """Notes what `differentiate` and `differentiate_twice` are given."""

    name: ClassVar[str] = "differentiating"
    lstm = staticmethod(reference.lstm)

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.given: list[Any] = []

    def differentiate(self, function: Any, inputs: dict[str, Any], cotangents: tuple[Any, ...]) -> dict[str, Any]:
        self.given = [inputs, cotangents, function(**inputs)]
        return inputs

    def differentiate_twice(
        self, function: Any, inputs: dict[str, Any], cotangents: tuple[Any, ...], directions: dict[str, Any]
    ) -> dict[str, Any]:
        self.given = [inputs, cotangents, function(**inputs), directions]
        return inputs


# The contract.


def test_an_output_that_is_not_used_is_not_given_to_what_differentiates(make_case: Make) -> None:
    case, backend = make_case(), Differentiating()
    dy, dh_n, dc_n = case.cotangents
    backend.gradients(case.call, (None, dh_n, None), ("h0", "R"))
    inputs, cotangents, outputs = backend.given
    assert set(inputs) == {"h0", "R"}
    assert [cotangent is None for cotangent in cotangents] == [True, False, True]
    np.testing.assert_array_equal(outputs[0], backend.run(case.call)[0])
    backend.gradients(case.call, (dy, dh_n, dc_n))
    assert set(backend.given[0]) == set(case.call.float_inputs)


def test_second_order_is_asked_of_every_input(make_case: Make) -> None:
    case, backend = make_case(), Differentiating()
    assert backend.has_second_order("lstm")
    backend.second_order(case.call, (None, *case.cotangents[1:]), {"W": case.directions["W"]})
    inputs, cotangents, _, directions = backend.given
    assert set(inputs) == set(case.call.float_inputs)
    assert cotangents[0] is None
    assert list(directions) == ["W"]


def test_by_hand_an_output_that_is_not_used_has_a_cotangent_of_zeros(make_case: Make) -> None:
    case, backend = make_case(), NumpyBackend()
    dh_n = case.cotangents[1]
    zeros = (np.zeros_like(case.cotangents[0]), dh_n, np.zeros_like(case.cotangents[2]))
    expected = backend.gradients(case.call, zeros)
    got = backend.gradients(case.call, (None, dh_n, None), ["b", "h0"])
    assert set(got) == {"b", "h0"}
    for name, gradient in got.items():
        np.testing.assert_array_equal(gradient, expected[name], strict=True)


def test_what_is_no_float_input_cannot_be_wanted(make_case: Make) -> None:
    case = make_case(steps="lengths")
    with pytest.raises(ValueError, match=r"expected float inputs of the call \(x, h0, c0, W, R, b, b_R\), got lengths"):
        NumpyBackend().gradients(case.call, case.cotangents, ["W", "lengths"])


def test_a_backend_that_does_not_differentiate_twice_says_so(make_case: Make) -> None:
    class Once(NumpyBackend):
        def lstm_vjp(self, **call: Any) -> Any:
            return reference.lstm_vjp(**call)

    assert not Once().has_second_order("lstm")
    assert Once().has_second_order("gru")
    case = make_case()
    plain = type("Plain", (Backend,), {"name": "plain", "lstm": staticmethod(reference.lstm)})()
    assert not plain.has_second_order("lstm")
    with pytest.raises(Unsupported, match="backend plain has no second-order gradients"):
        plain.second_order(case.call, case.cotangents, case.directions)


def test_a_process_of_its_own_passes_everything_on(make_case: Make) -> None:
    case, here = make_case(), NumpyBackend()
    there = Isolated("numpy")
    try:
        assert there.has_second_order("lstm")
        assert not there.has_second_order("token_accuracy")
        seeds = (None, case.cotangents[1], None)
        for name, gradient in there.gradients(case.call, seeds, ["R"]).items():
            np.testing.assert_array_equal(gradient, here.gradients(case.call, seeds, ["R"])[name], strict=True)
        twice = here.second_order(case.call, seeds, case.directions)
        for name, gradient in there.second_order(case.call, seeds, case.directions).items():
            np.testing.assert_array_equal(gradient, twice.pop(name), strict=True)
        assert not twice
    finally:
        there.close()


# Right answers.


def test_to_the_judge_an_unused_output_is_one_with_a_cotangent_of_zeros(make_case: Make) -> None:
    case = make_case()
    dy, dh_n, dc_n = case.cotangents
    unused = expect(case.call, "float32", (None, dh_n, None)).gradients
    zeros = expect(case.call, "float32", (np.zeros_like(dy), dh_n, np.zeros_like(dc_n))).gradients
    for name, bounded in unused.items():
        np.testing.assert_array_equal(bounded.value, zeros[name].value)


def test_the_judges_second_order_is_the_references_in_float64(make_case: Make) -> None:
    case = make_case(dtype="float64")
    expected = expect_second_order(case.call, "float64", case.cotangents, case.directions)
    got = NumpyBackend().second_order(case.call, case.cotangents, case.directions)
    first = NumpyBackend().gradients(case.call, case.cotangents)
    for name, bounded in expected.gradients.items():
        np.testing.assert_allclose(bounded.value, got[name], rtol=1e-12)
        np.testing.assert_allclose(expected.outputs[name].value, first[name], rtol=1e-12)
        assert np.all(bounded.bound > 0)


def test_the_bound_follows_the_type(make_case: Make) -> None:
    case = make_case()
    wide, narrow = (
        expect_second_order(case.call, dtype, case.cotangents, case.directions).gradients["W"].bound.max()
        for dtype in ("float32", "bfloat16")
    )
    assert 2.0**14 < narrow / wide < 2.0**18


# The checks.


def test_parts_follow_from_the_case() -> None:
    choices = RandomChoices(np.random.default_rng(0))
    parts = [Partial.of(draw_case(choices, Scope("lstm", "float32"))) for _ in range(200)]
    assert {part.used for part in parts} >= {("y",), ("h_n",), ("c_n",), ("y", "h_n", "c_n")}
    assert {part.inputs for part in parts} >= {("h0",), ("b",), ("x",)}
    assert {part.step for part in parts} >= {None, 0, 1, 2}


def test_a_step_alone_has_a_cotangent_at_that_step_alone(make_case: Make) -> None:
    case = make_case()
    dy, dh_n, dc_n = Partial(("y", "c_n"), ("x",), step=2).cotangents(case)
    assert dy is not None
    assert dc_n is not None
    np.testing.assert_array_equal(dy[:, 2], case.cotangents[0][:, 2])
    assert not dy[:, [0, 1, 3]].any()
    np.testing.assert_array_equal(dc_n, case.cotangents[2])
    assert dh_n is None


def test_gradients_of_no_function_are_not_differentiated(make_case: Make) -> None:
    case = differentiated_in_full(make_case(attributes={"truncate": 2, "gradient": "cell_only", "clip": 0.3}))
    assert (case.attributes["truncate"], case.attributes["gradient"], case.attributes["clip"]) == (None, "full", 0.3)


@pytest.mark.parametrize("check", ["partial_gradients", "second_order"])
@pytest.mark.parametrize("name", ["lstm", "crf_log_likelihood", "attention_scores", "cross_entropy", "beam_search"])
def test_the_reference_conforms_in_every_type(check: str, name: str, few: Profile) -> None:
    for dtype in NumpyBackend().dtypes():
        result = run_check(BY_ID[check], NumpyBackend(), name, dtype, few)
        assert (result.verdict, result.message) == (Verdict.CONFORMS, "")


def test_a_violation_says_which_part_was_asked_for(make_case: Make) -> None:
    fault = next(fault for fault in FAULTS if "initial-state-with" in fault.name)
    cases = (make_case(fault.operation, seed=seed) for seed in range(100))
    wrong = next(case for case in cases if "h0" in Partial.of(case).inputs and "W" not in Partial.of(case).inputs)
    with pytest.raises(Violation, match=r"expected .* got 0 ") as caught:
        BY_ID["partial_gradients"].examine(fault.implementation(), wrong)
    part = Partial.of(wrong)
    assert caught.value.asked is not None
    assert caught.value.asked.wanted == part.inputs
    assert caught.value.asked.cotangents is not None
    assert f"gradients of {', '.join(part.inputs)}" in str(caught.value)


def test_a_violation_of_second_order_has_its_directions() -> None:
    fault = next(fault for fault in FAULTS if fault.operation == "dense")
    case = Case("dense", "float32", {"B": 2, "D": 3, "H": 4}, {"activation": "tanh"}, seed=3)
    with pytest.raises(Violation, match=r"^second order: d") as caught:
        BY_ID["second_order"].examine(fault.implementation(), case)
    assert caught.value.asked is not None
    assert caught.value.asked.directions is not None
    assert set(caught.value.asked.directions) == set(Partial.of(case).inputs)


def test_without_second_order_nothing_is_asked(few: Profile) -> None:
    class Once(NumpyBackend):
        def lstm_vjp(self, **call: Any) -> Any:
            return reference.lstm_vjp(**call)

    result = run_check(BY_ID["second_order"], Once(), "lstm", "float32", few)
    assert result.verdict is Verdict.REFUSED
    assert result.message == "backend numpy has no second-order gradients"


def test_a_refusal_is_shown_in_the_frameworks_words(few: Profile) -> None:
    class Refusing(NumpyBackend):
        def second_order(self, call: Call, cotangents: Any, directions: Any) -> dict[str, Array]:
            raise Unsupported("the kernel's backward pass has no derivative")

    result = run_check(BY_ID["second_order"], Refusing(), "lstm", "float32", few)
    assert result.verdict is Verdict.REFUSED
    assert result.reasons == ("the kernel's backward pass has no derivative",)


AT_ZERO: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "elu": ("lstm_cell", {"activations": ("elu", "tanh", "tanh")}, ("x", "h_prev", "W", "R", "b")),
    "softplus": ("lstm_cell", {"activations": ("softplus", "tanh", "tanh")}, ("x", "h_prev", "W", "R", "b")),
    "logits": ("binary_cross_entropy", {"given": "logits", "weighted": True}, ("logits",)),
    "weights": ("mean_squared_error", {"weighted": True}, ()),
}
"""Smooth operations at inputs that are 0: an operation, attributes, and which inputs are 0."""


@pytest.mark.parametrize("name", AT_ZERO)
def test_second_derivatives_at_0_are_those_on_either_side(name: str) -> None:
    operation, attributes, zero = AT_ZERO[name]
    sizes = {"B": 2, "T": 3, "D": 2, "H": 2}
    full = {**spec_operation(operation).defaults(), **attributes}
    case = Case(operation, "float64", sizes, full, zero=zero, seed=3)
    call = case.call
    if name == "weights":
        call.inputs["weights"][0, 1] = 0
    directions = {key: np.cos(np.arange(array.size)).reshape(array.shape) for key, array in call.float_inputs.items()}
    if name == "weights":
        directions["weights"] = np.abs(directions["weights"])  # no weight is negative

    def along(step: float) -> dict[str, Array]:
        inputs = {key: array + step * directions.get(key, 0) for key, array in call.inputs.items()}
        return getattr(reference, f"{operation}_vjp")(**inputs, **call.attributes)[1](*case.cotangents)

    found = expect_second_order(call, "float64", case.cotangents, directions).gradients
    # Differences of one side or of both, with the same order of error.
    share = {0: -1.5e5, 1: 2e5, 2: -0.5e5} if name == "weights" else {1: 0.5e5, -1: -0.5e5}
    near = {steps: along(steps * 1e-5) for steps in share}
    for key, bounded in found.items():
        slope = sum(factor * near[steps][key] for steps, factor in share.items())
        np.testing.assert_allclose(bounded.value, slope, rtol=2e-4, atol=1e-6, err_msg=key)
