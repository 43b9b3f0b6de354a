"""Each check catches a fault of its kind, and lets the reference pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, Extent, Planner, Scope, supported_by
from rnnspec.conformance.checks import CHECKS, Check, Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import usual_case
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.conformance.pages.checks import NAME, table
from rnnspec.conformance.pages.markdown import filled_in
from rnnspec.conformance.run import CheckResult, Profile, Verdict, run_check
from rnnspec.spec import operation, operations

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"
Make = Callable[..., Any]
BY_ID = {check.id: check for check in CHECKS}


def run(check: str, backend: Backend, few: Profile, dtype: str = "float32", name: str = "lstm") -> CheckResult:
    return run_check(BY_ID[check], backend, name, dtype, few)


# The reference under every check.


@pytest.mark.parametrize("check", BY_ID)
@pytest.mark.parametrize("name", ["lstm", "gru_cell"])
def test_the_reference_conforms(check: str, name: str, few: Profile) -> None:
    if not BY_ID[check].concerns(NumpyBackend(), operation(name)):
        pytest.skip("nothing to ask")
    if not BY_ID[check].by_case:
        few = replace(few, planned=Extent(1), planned_other_types=Extent(1))  # it asks a deck
    for dtype in ("float32", "bfloat16"):
        result = run(check, NumpyBackend(), few, dtype, name)
        assert (result.verdict, result.message) == (Verdict.CONFORMS, "")
        assert result.worst_error_ratio is not None
        assert result.worst_error_ratio <= 1
        forced = BY_ID[check].forced(Scope(name, dtype)) if dtype == "float32" else ()
        assert result.examples == (40 // BY_ID[check].calls + len(forced) if BY_ID[check].by_case else 1)


def test_ids_and_levels() -> None:
    assert list(BY_ID) == [
        "values", "gradients", "forms", "unmodified", "drift", "edges", "zeros", "padding", "padding_nan",
        "attributes", "functions", "batch", "split", "reverse", "permutation", "shift", "sums_to_one", "partition",
        "clipping", "jacobian", "identities", "marginals_are_gradients", "best_path", "ties", "partial_gradients",
        "second_order", "special_values", "layouts", "callers", "repeatability", "bad_input", "drawn",
    ]  # fmt: skip
    assert {check.id for check in CHECKS if check.level != "MUST"} == {"ties", "repeatability"}
    for check in CHECKS:
        for words in (check.about, check.why):
            assert words[0].islower() or not words[0].isalpha() or words.startswith("NaN")
            assert words[-1] not in ".,"


def test_the_page_has_every_check() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert filled_in(page, {NAME: table()}) == page, f"python -m rnnspec.conformance.pages checks {PAGE}"
    for check in CHECKS:
        assert f"| `{check.id}` | {check.level} | {check.about} | {check.why} |" in page


def test_which_checks_ask_what_of_whom() -> None:
    everyone = operations()
    layers = {name for name, op in everyone.items() if op.unrolls}
    asked = {check.id: {name for name, op in everyone.items() if check.applies_to(op)} for check in CHECKS}
    for check in ("forms", "unmodified", "values", "edges", "layouts", "callers", "repeatability", "bad_input"):
        assert asked[check] == set(everyone)
    assert asked["gradients"] == {name for name, op in everyone.items() if op.differentiable}
    numberless = {"token_accuracy", "recurrent_power_spectrum", "state_jacobian"}
    assert asked["special_values"] == set(everyone) - numberless
    assert asked["attributes"] == {name for name, op in everyone.items() if op.attributes}
    assert asked["batch"] <= {name for name, op in everyone.items() if "B" in op.sizes}
    assert asked["padding"] <= {name for name, op in everyone.items() if op.has_steps}
    assert layers == asked["split"] == asked["reverse"]
    assert layers <= asked["padding"] == asked["padding_nan"]
    assert {"attention_scores", "clip_by_norm"} <= asked["zeros"]
    assert {"softmax", "attention_weights"} <= asked["permutation"] & asked["shift"] & asked["sums_to_one"]
    assert asked["partition"] == {"crf_log_partition"}
    assert asked["clipping"] == {"clip_by_value", "clip_by_norm", "clip_by_global_norm"}
    assert asked["jacobian"] == {"state_jacobian"}
    assert {"rnn", "lstm", "gru", "greedy_decode"} <= asked["identities"]
    assert asked["marginals_are_gradients"] == {"crf_marginals"}
    assert asked["best_path"] == {"crf_viterbi"}
    assert asked["drawn"] == {"dropout", "zoneout", "stacked", "bidirectional_stack", "rnn", "lstm", "gru"}
    assert asked["ties"] == {"crf_viterbi", "crf_best_paths", "greedy_decode", "beam_search"}


# One fault each.


def forgets_harder(**call: Any) -> Any:
    b = call["b"].copy()
    b[0] += 1
    return reference.lstm(**{**call, "b": b})


def ignores_clip(**call: Any) -> Any:
    return reference.lstm(**{**call, "clip": None})


def ignores_the_initial_memory(**call: Any) -> Any:
    return reference.lstm(**{key: array for key, array in call.items() if key != "c0"})


def first_state_for_all(**call: Any) -> Any:
    if "h0" in call:
        call["h0"] = np.repeat(call["h0"][:1], len(call["h0"]), axis=0)
    return reference.lstm(**call)


def wrong_for_one_sequence(**call: Any) -> Any:
    y, h, c = reference.lstm(**call)
    return (y, h, c + 1) if len(h) == 1 else (y, h, c)


def wrong_for_one_step(**call: Any) -> Any:
    y, h, c = reference.lstm(**call)
    return (y, h * 2, c) if y.shape[1] == 1 else (y, h, c)


def padding_counts(**call: Any) -> Any:
    """NaN in the padding becomes NaN in the final state; numbers there change nothing."""
    y, h, c = reference.lstm(**call)
    return y, h + 0 * call["x"].sum().astype(h.dtype), c


def cuts_lengths_off(**call: Any) -> Any:
    if "lengths" in call:
        call["lengths"] = call["lengths"].clip(0, call["x"].shape[1])
    return reference.lstm(**call)


def takes_any_type(**call: Any) -> Any:
    return reference.lstm(**{key: a.astype(call["W"].dtype) if key == "x" else a for key, a in call.items()})


def minus_zero_steps(**call: Any) -> Any:
    """A tiny number in the padding, well within every bound."""
    y, h, c = reference.lstm(**call)
    if call["output"] != "sequence":  # of which nothing stands in the padding, or an output that is not 0
        return y, h, c
    out = np.ones(y.shape[:2], bool)
    if "lengths" in call:
        out = np.arange(y.shape[1]) < call["lengths"][:, None]
    y = y.copy()
    y[~out] = np.finfo(np.float32).tiny
    return y, h, c


FORWARD_FAULTS = [
    ("values", forgets_harder),
    ("values", ignores_the_initial_memory),
    ("values", ignores_clip),
    ("padding_nan", padding_counts),
    ("padding", minus_zero_steps),
    ("attributes", ignores_clip),
    ("batch", first_state_for_all),
    ("batch", wrong_for_one_sequence),
    ("split", ignores_the_initial_memory),
    ("split", wrong_for_one_step),
    ("bad_input", cuts_lengths_off),
    ("bad_input", takes_any_type),
]


@pytest.mark.parametrize(("check", "fault"), FORWARD_FAULTS)
def test_a_fault_is_caught(check: str, fault: Callable[..., Any], few: Profile, numpy_with: Make) -> None:
    result = run(check, numpy_with(lstm=fault), few)
    assert result.verdict is Verdict.VIOLATES
    assert "expected" in result.message
    assert "got" in result.message
    assert "lstm float32" in result.message


@pytest.mark.parametrize("fault", [padding_counts, minus_zero_steps, cuts_lengths_off, takes_any_type])
def test_what_the_values_cannot_show(fault: Callable[..., Any], few: Profile, numpy_with: Make) -> None:
    assert run("values", numpy_with(lstm=fault), few).verdict is Verdict.CONFORMS


def with_gradients(change: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]) -> Callable[..., Any]:
    def lstm_vjp(**call: Any) -> Any:
        outputs, vjp = reference.lstm_vjp(**call)
        return outputs, lambda *cotangents: change(vjp(*cotangents), call)

    return lstm_vjp


def transposed_bias(gradients: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    return {**gradients, "b": gradients["b"][::-1].copy()}


def no_initial_gradient(gradients: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    return {**gradients, **{name: 0 * gradients[name] for name in ("h0", "c0") if name in gradients}}


def nan_in_the_padding(gradients: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    """The gradient at padded steps is 0 times what stands there."""
    return {**gradients, "x": gradients["x"] + 0 * call["x"]}


def mean_over_the_batch(gradients: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    return {**gradients, "R": gradients["R"] / max(len(call["x"]), 1)}


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("gradients", transposed_bias),
        ("gradients", no_initial_gradient),
        ("gradients", mean_over_the_batch),
        ("padding_nan", nan_in_the_padding),
        ("batch", mean_over_the_batch),
    ],
)
def test_a_fault_of_the_gradients_is_caught(
    check: str, change: Callable[..., Any], few: Profile, numpy_with: Make
) -> None:
    backend = numpy_with(lstm_vjp=with_gradients(change))
    assert run(check, backend, few).verdict is Verdict.VIOLATES
    assert run("values", backend, few).verdict is Verdict.CONFORMS


def test_an_ignored_attribute_is_called_that(few: Profile, numpy_with: Make) -> None:
    ignoring = numpy_with(lstm=ignores_clip)
    plain = usual_case(Scope("lstm", "float32"))
    with pytest.raises(Violation, match=r"clip=0.01 is ignored: y\["):
        BY_ID["attributes"].examine(ignoring, (plain, plain.with_attributes(clip=0.01), "clip"))
    result = run("attributes", ignoring, few)  # the first of both calls may have a clip too
    assert result.verdict is Verdict.VIOLATES
    assert "clip=" in result.message


def test_another_wrong_answer_is_not_called_ignored(few: Profile, numpy_with: Make) -> None:
    def clips_at_twice(**call: Any) -> Any:
        return reference.lstm(**{**call, "clip": call["clip"] and 2 * call["clip"]})

    result = run("attributes", numpy_with(lstm=clips_at_twice), few)
    assert result.verdict is Verdict.VIOLATES
    assert "is ignored" not in result.message


def test_a_backend_with_one_value_of_each_attribute_has_no_pairs(few: Profile) -> None:
    class Plain(NumpyBackend):
        def run(self, call: Call) -> Any:
            if dict(call.attributes) != call_defaults:
                from rnnspec.backends import Unsupported

                raise Unsupported("plain only")
            return super().run(call)

    call_defaults = operation("gru").defaults()
    support = supported_by(Plain(), "gru", "float32")
    scope = Scope("gru", "float32", 0, support)
    deck = Planner(scope, Extent(2)).deck()
    assert deck.cases
    assert all(BY_ID["attributes"].of(case, scope) is None for case in deck.cases)
    result = run("attributes", Plain(), few, name="gru")
    assert (result.verdict, result.examples) == (Verdict.REFUSED, 0)
    assert result.reasons == ("plain only",)


# Wrong in form: every check that looks at outputs says so, none falls over.


def one_too_few(**call: Any) -> Any:
    return reference.lstm(**call)[:2]


def one_too_many(**call: Any) -> Any:
    return (*reference.lstm(**call), np.zeros(1, np.float32))


def another_dtype(**call: Any) -> Any:
    return tuple(output.astype(np.float64) for output in reference.lstm(**call))


def another_shape(**call: Any) -> Any:
    y, h, c = reference.lstm(**call)
    return y.swapaxes(0, 1), h, c[np.newaxis]


def another_rank(**call: Any) -> Any:
    y, h, c = reference.lstm(**call)
    return y.sum(), h, c


def with_a_layer_axis(**call: Any) -> Any:
    y, h, c = reference.lstm(**call)
    return y[np.newaxis], h, c


FORMS = [one_too_few, one_too_many, another_dtype, another_shape, another_rank, with_a_layer_axis]


@pytest.mark.parametrize(
    "check", ["forms", "values", "edges", "special_values", "padding", "padding_nan", "layouts", "batch", "split"]
)
@pytest.mark.parametrize("fault", FORMS)
def test_a_wrong_form_violates(check: str, fault: Callable[..., Any], few: Profile, numpy_with: Make) -> None:
    result = run(check, numpy_with(lstm=fault), few)
    assert result.verdict is Verdict.VIOLATES
    assert "expected" in result.message


def test_no_gradient_of_one_input(few: Profile, numpy_with: Make) -> None:
    def drop(gradients: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
        return {name: gradient for name, gradient in gradients.items() if name != "R"}

    for check in ("forms", "gradients", "padding", "padding_nan", "batch"):
        result = run(check, numpy_with(lstm_vjp=with_gradients(drop)), few)
        assert result.verdict is Verdict.VIOLATES
        assert "expected gradients of" in result.message


# Comparing.


@pytest.fixture
def case(make_case: Make) -> Case:
    made: Case = make_case()
    return made


def bounded(*values: float, bound: float = 0.5) -> Bounded:
    return Bounded(np.array(values), np.full(len(values), bound))


@pytest.mark.parametrize(
    ("got", "message"),
    [
        (np.zeros((2, 1), np.float32), r"y: expected shape \(2,\), got \(2, 1\)"),
        (np.zeros(3, np.float32), r"y: expected shape \(2,\), got \(3,\)"),
        (np.zeros(2), "y: expected float32 like the inputs, got float64"),
        (np.zeros(2, object), "y: expected float32 like the inputs, got object"),
        ([0.0, 0.0], "y: expected an array, got list"),
        (None, "y: expected an array, got NoneType"),
        (np.float32([1, 3]), r"y\[1\]: expected 2 ± 0\.5, got 3 \(error ratio 2\)"),
        (np.float32([np.nan, 2]), r"y\[0\]: expected 1 ± 0\.5, got nan \(error ratio inf\)"),
    ],
)
def test_compare_says_what_is_wrong(case: Case, got: Any, message: str) -> None:
    with pytest.raises(Violation, match=message) as caught:
        Asked(case, case.call).compare({"y": bounded(1.0, 2.0)}, (got,))
    assert caught.value.quantity == "y"
    assert caught.value.asked is not None
    assert caught.value.asked.call is case.call
    assert str(caught.value).endswith(f"  in {case}")


def test_compare_returns_the_worst_ratio(case: Case) -> None:
    asked = Asked(case, case.call)
    assert asked.compare({"y": bounded(1.0, 2.0)}, (np.float32([1.25, 2]),)) == 0.5
    assert asked.compare({"y": bounded()}, (np.zeros(0, np.float32),)) == 0
    one = Bounded(np.array(1.0), np.array(0.5))
    assert asked.compare({"y": one}, (np.array(1.25, np.float32),)) == 0.5
    with pytest.raises(Violation, match=r"^y: expected 1 ±"):
        asked.compare({"y": one}, (np.array(9, np.float32),))


def test_compare_outputs_and_gradients(case: Case) -> None:
    good = np.float32([1, 2])
    expected = {"y": bounded(1.0, 2.0), "h_n": bounded(1.0, 2.0)}
    assert Asked(case, case.call).compare(expected, (good, np.float32([1, 2.25]))) == 0.5
    with pytest.raises(Violation, match=r"expected 2 outputs \(y, h_n\), got 1"):
        Asked(case, case.call).compare(expected, (good,))
    assert Asked(case, case.call, ()).compare(expected, {"h_n": good, "y": good}) == 0
    with pytest.raises(Violation, match="expected gradients of y, h_n, got those of y"):
        Asked(case, case.call, ()).compare(expected, {"y": good})
    with pytest.raises(Violation, match=r"^dh_n\[0\]: expected 1") as caught:
        Asked(case, case.call, case.cotangents).compare(expected, {"y": good, "h_n": np.float32([7, 2])})
    assert caught.value.asked is not None
    assert caught.value.asked.cotangents is case.cotangents
    assert caught.value.error_ratio == 12


def test_what_the_type_cannot_hold_shows_nothing(make_case: Make) -> None:
    growing = {"attributes": {"activation": "relu"}, "regime": "integers", "sizes": {"B": 4, "T": 60, "D": 4, "H": 4}}
    with pytest.raises(OutOfRangeError, match="rnn float16"):
        expected_of(make_case("rnn", "float16", **growing))
    assert expected_of(make_case("rnn", "float32", **growing)).in_range


def test_what_is_right_is_worked_out_of_what_the_backend_was_given_at_first(make_case: Make) -> None:
    spoilt, untouched = make_case("rnn_cell"), make_case("rnn_cell")
    spoilt.call.inputs["x"][...] = 6e4
    for name, bounded in expected_of(untouched).outputs.items():
        np.testing.assert_array_equal(expected_of(spoilt).outputs[name].value, bounded.value)


class Any_(Check):
    id = "any"
    about = "nothing"

    def examine(self, backend: Backend, example: Any) -> float:
        return 0.0


def test_a_check_of_ones_own(few: Profile) -> None:
    result = run_check(Any_(), NumpyBackend(), "gru", "float32", few)
    assert (result.id, result.verdict, result.examples, result.worst_error_ratio) == ("any", "conforms", 40, 0.0)
