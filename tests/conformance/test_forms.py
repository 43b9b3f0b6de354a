"""The checks of forms, edges, layouts and special values, each on a fault of its kind and on what is right."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.checks.edges import edges_of
from rnnspec.conformance.checks.layouts import LAYOUTS
from rnnspec.conformance.checks.special_values import SPECIAL, SpecialValues, demanded, place_of, spreads
from rnnspec.conformance.hosting.guard import Guarded
from rnnspec.conformance.run import CheckResult, Profile, Verdict, run_check
from rnnspec.spec import check_call, evaluate, operation, operations

Make = Callable[..., Any]
BY_ID = {check.id: check for check in CHECKS}


def run(check: str, backend: Any, few: Profile, name: str = "lstm", dtype: str = "float32") -> CheckResult:
    return run_check(BY_ID[check], backend, name, dtype, few)


# Forms.


def test_forms_judges_no_number(few: Profile, numpy_with: Make) -> None:
    backend = numpy_with(lstm=lambda **call: tuple(np.nan * y for y in reference.lstm(**call)))
    assert run("forms", backend, few).verdict is Verdict.CONFORMS


# Edges.


@pytest.mark.parametrize("name", operations())
def test_every_edge_is_a_call_of_the_specification(name: str) -> None:
    forced = BY_ID["edges"].forced(Scope(name, "float32"))
    for case in forced:
        check_call(name, case.call.inputs, case.call.attributes)
    sizes = [case.lengths_of for case in forced]
    for symbol in ("B", "T"):
        if symbol in operation(name).sizes:
            assert {0, 1} <= {size[symbol] for size in sizes}
    if operation(name).has_steps:
        assert {"no_lengths", "no_mask"} <= {case.steps for case in forced}
        assert not any(case.valid.any() for case in forced if case.steps.startswith("no_"))
    *_, together = (edge.sizes for edge in edges_of(operation(name)) if edge.sizes)
    for symbol, least in together.items():
        assert least == operation(name).at_least.get(symbol, 1) or operation(name).parts
        assert least in {size[symbol] for size in sizes}


@pytest.mark.parametrize("name", ["lstm", "crf_log_partition", "nested_lstm_cell"])
def test_drawn_edges_are_calls_of_the_specification(name: str) -> None:
    choices = RandomChoices(np.random.default_rng(0))
    for edge in edges_of(operation(name)):
        for _ in range(5):
            case = edge.of(draw_case(choices, Scope(name, "float32")))
            check_call(name, case.call.inputs, case.call.attributes)


@pytest.mark.parametrize(
    ("wrong_where", "told"),
    [
        (lambda call: len(call["x"]) == 0, "B=0"),
        (lambda call: call["x"].shape[1] == 0, "T=0"),
        (lambda call: max(call["x"].shape) == 1 and call["W"].shape[1] == 1, "B=1 T=1 D=1 H=1"),
        (lambda call: "lengths" in call and call["x"].size > 8 and not call["lengths"].any(), "no_lengths"),
        (lambda call: "mask" in call and call["x"].size > 8 and not call["mask"].any(), "no_mask"),
    ],
)
def test_what_is_wrong_at_an_edge_alone_is_found(
    wrong_where: Callable[..., bool], told: str, few: Profile, numpy_with: Make
) -> None:
    def lstm(**call: Any) -> Any:
        y, h, c = reference.lstm(**call)
        return (y, h, c) if not wrong_where(call) else (y.astype(np.float64), h + 1, c)

    result = run("edges", numpy_with(lstm=lstm), few)
    assert result.verdict is Verdict.VIOLATES
    assert told in result.message


# Layouts.


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_layout_keeps_the_numbers(name: str, dtype: str, make_case: Make) -> None:
    case = make_case(dtype=dtype, steps="lengths")
    arrays = [*case.call.inputs.values(), np.array(1.5, np.float32), np.zeros((0, 3), np.float32)]
    for array in arrays:
        laid = LAYOUTS[name](array)
        np.testing.assert_array_equal(laid, array, strict=True)
        assert not np.shares_memory(laid, array)
    laid = LAYOUTS[name](case.call.inputs["W"])
    assert not laid.flags.c_contiguous or not laid.flags.writeable or not laid.flags.aligned, (
        "it lies as any new array does"
    )


def test_every_layout_is_tried_on_inputs_and_cotangents(few: Profile) -> None:
    seen: list[tuple[bool, ...]] = []

    class Looks(NumpyBackend):
        name = "looks"

        def gradients(self, call: Call, cotangents: Any, *more: Any) -> Any:
            for array in (*call.inputs.values(), *cotangents):
                flags = array.flags
                turned = any(stride < 0 for stride in array.strides)
                seen.append((flags.f_contiguous, flags.writeable, flags.aligned, turned))
            return super().gradients(call, cotangents, *more)

    assert run("layouts", Looks(), few).verdict is Verdict.CONFORMS
    for place, kind in enumerate(zip(*seen, strict=True)):
        assert set(kind) == {True, False}, place


def from_numpy(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As torch's: it takes the memory, and refuses what runs backwards."""
    if any(stride < 0 for stride in array.strides):
        raise ValueError("negative strides are not supported")
    return array


def test_an_error_for_a_layout_is_a_crash_and_a_refusal_is_none(few: Profile) -> None:
    class Bare(NumpyBackend):
        name = "bare"

        def to_native(self, array: Any) -> Any:
            return from_numpy(array)

    class Refuses(Bare):
        def to_native(self, array: Any) -> Any:
            try:
                return from_numpy(array)
            except ValueError as error:
                raise Unsupported(str(error)) from error

    result = run("layouts", Bare(), few)
    assert result.verdict is Verdict.CRASHED
    assert "negative strides" in result.message
    result = run("layouts", Refuses(), few)
    assert result.verdict is Verdict.CONFORMS
    assert result.reasons == ("negative strides are not supported",)
    assert result.refused


def test_the_layout_is_told(few: Profile) -> None:
    class ByMemory(NumpyBackend):
        name = "by memory"

        def to_native(self, array: Any) -> Any:
            return np.ravel(array, order="K").reshape(array.shape)

    assert "with arrays in Fortran order: " in run("layouts", ByMemory(), few).message


# Unmodified, and repeatability.


def test_what_is_overwritten_is_told(few: Profile, numpy_with: Make) -> None:
    def lstm(**call: Any) -> Any:
        outputs = reference.lstm(**call)
        if "h0" in call:
            call["h0"][...] = outputs[1]
        return outputs

    class InPlace(type(numpy_with(lstm=lstm))):  # type: ignore[misc]  # a class made on the spot
        def to_native(self, array: Any) -> Any:
            return array

    result = run("unmodified", InPlace(), few)
    assert result.verdict is Verdict.VIOLATES
    assert "h0: expected to stay as it was, got another number at [0, 0]" in result.message
    assert run("unmodified", numpy_with(lstm=lstm), few).verdict is Verdict.CONFORMS  # it overwrites a copy of its own


def test_one_nan_for_another_in_the_padding_is_a_change(make_case: Make) -> None:
    class Negates(NumpyBackend):
        name = "negates"

        def run(self, call: Call) -> Any:
            outputs = super().run(call)
            call.inputs["x"][np.isnan(call.inputs["x"])] = -np.float32(np.nan)
            return outputs

    case, other = make_case(steps="lengths", seed=1), make_case(seed=2)
    case.given.inputs["x"][~case.valid] = np.nan
    with pytest.raises(Violation, match=r"x: expected to stay as it was, got another number \(another NaN\)"):
        BY_ID["unmodified"].examine(Negates(), (case, other))


def test_results_that_change_depart(few: Profile, numpy_with: Make) -> None:
    count = itertools.count()

    def lstm(**call: Any) -> Any:
        y, h, c = reference.lstm(**call)
        return y, h, np.nextafter(c, np.float32(np.inf)) if next(count) % 5 == 0 else c

    backend = numpy_with(lstm=lstm)
    result = run("repeatability", backend, few)
    assert result.verdict is Verdict.DEPARTS
    assert not result.verdict.bad
    assert "same" in result.message or "change from run to run" in result.message
    assert run("values", backend, few).verdict is Verdict.CONFORMS


def test_nan_repeats_nan(make_case: Make, numpy_with: Make) -> None:
    signs = itertools.cycle([1, -1])
    backend = numpy_with(lstm=lambda **call: tuple(next(signs) * np.nan * y for y in reference.lstm(**call)))
    assert BY_ID["repeatability"].examine(backend, make_case()) == 0


# Special values.


@pytest.mark.parametrize("name", [op.name for op in operations().values() if SpecialValues().applies_to(op)])
def test_where_nan_is_demanded_the_equations_have_it(name: str) -> None:
    """The reference stands for every right implementation: it may have no more NaN than the literal equations."""
    count = 0
    for case, special, wanted in SpecialValues().forced(Scope(name, "float64")):
        if special != "nan" or not spreads(case):
            continue
        call = replace(case.call, inputs={key: array.copy() for key, array in case.call.inputs.items()})
        _, place = place_of(case, special, wanted)
        call.inputs[wanted][place] = np.nan
        with np.errstate(all="ignore"):
            literal = dict(zip(case.results, evaluate(name, call.inputs, call.attributes), strict=True))
        for output, (due, _) in demanded(case, call, wanted, place).items():
            hidden = due & ~np.isnan(np.asarray(literal[output], np.float64))
            assert not hidden.any(), (wanted, place, output)
            count += int(due.sum())
    assert count or not spreads(case)


@pytest.mark.parametrize("name", [op.name for op in operations().values() if SpecialValues().applies_to(op)])
def test_every_special_value_is_asked_whatever_the_deck(name: str) -> None:
    forced = SpecialValues().forced(Scope(name, "float32"))
    specials = {special for _, special, _ in forced}
    assert specials <= set(SPECIAL)
    assert specials >= {"nan", "-0"}
    if any(item.per_sequence for item in operation(name).inputs.values() if item.kind == "float"):
        assert specials >= {"inf", "-inf", "largest", "-largest"}
    for example in forced:
        assert SpecialValues().examine(Guarded(NumpyBackend()), example) <= 1


def run_special(backend: Any, case: Case, special: str, name: str = "") -> float:
    return SpecialValues().examine(Guarded(backend), (case, special, name))


@pytest.mark.parametrize("special", SPECIAL)
def test_the_reference_handles_special_values(special: str, make_case: Make) -> None:
    for name in ("lstm", "gru", "rnn_cell"):
        for seed in range(4):
            assert run_special(NumpyBackend(), make_case(name, steps="mask", seed=seed), special) <= 1


def hides_nan(**call: Any) -> Any:
    return tuple(np.nan_to_num(y, nan=0.5) for y in reference.lstm(**call))


def leaks(**call: Any) -> Any:
    return tuple(y + 0 * call["x"].sum().astype(y.dtype) for y in reference.lstm(**call))


def leaks_back_in_time(**call: Any) -> Any:
    y, h, c = reference.lstm(**call)
    return y + 0 * call["x"].sum(axis=(1, 2), keepdims=True).astype(y.dtype), h, c


def spills_infinity(**call: Any) -> Any:
    """As of a logistic by exp(a) / (1 + exp(a))."""
    y, h, c = reference.lstm(**call)
    return y, h, c + 0 * np.abs(call["x"]).max(axis=(1, 2))[:, np.newaxis]


@pytest.mark.parametrize(
    ("fault", "special", "told"),
    [
        (hides_nan, "nan", "expected nan, got 0.5"),
        (leaks, "nan", "got nan"),
        (leaks, "inf", "got nan"),
        (leaks_back_in_time, "-inf", "got nan"),
        (spills_infinity, "inf", "got nan"),
    ],
)
def test_a_fault_with_special_values_is_caught(
    fault: Callable[..., Any], special: str, told: str, make_case: Make, numpy_with: Make
) -> None:
    with pytest.raises(Violation, match=r"with x\[\d, \d, \d\] = ") as caught:
        run_special(numpy_with(lstm=fault), make_case(), special, "x")
    assert told in caught.value.message


def test_a_leak_into_other_gradients_is_caught(make_case: Make, numpy_with: Make) -> None:
    def lstm_vjp(**call: Any) -> Any:
        outputs, vjp = reference.lstm_vjp(**call)
        return outputs, lambda *d: {name: g + 0 * call["x"].sum().astype(g.dtype) for name, g in vjp(*d).items()}

    with pytest.raises(Violation, match=r"dx\[\d, \d, \d\]: expected .*, got nan"):
        run_special(numpy_with(lstm_vjp=lstm_vjp), make_case(), "nan", "x")


def test_a_subnormal_number_may_be_flushed_and_minus_zero_is_zero(make_case: Make, numpy_with: Make) -> None:
    def flushes(**call: Any) -> Any:
        x = call["x"]
        return reference.lstm(**{**call, "x": np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.float32(0), x)})

    for special in ("-0", "smallest", "-smallest"):
        assert run_special(numpy_with(lstm=flushes), make_case(), special, "x") <= 1


def test_relu_may_leave_nan_out(make_case: Make, numpy_with: Make) -> None:
    def rnn(**call: Any) -> Any:
        return tuple(np.nan_to_num(y, nan=0) for y in reference.rnn(**call))

    for activation, wrong in (("relu", False), ("tanh", True)):
        case = make_case("rnn", attributes={"activation": activation})
        if wrong:
            with pytest.raises(Violation, match="expected nan"):
                run_special(numpy_with(rnn=rnn), case, "nan", "x")
        else:
            run_special(numpy_with(rnn=rnn), case, "nan", "x")
