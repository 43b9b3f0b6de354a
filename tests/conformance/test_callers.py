"""Habits of callers: layouts in memory, one array twice, sums, threads and other sizes, each on a fault of its kind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.checks.callers import Callers
from rnnspec.conformance.checks.habits import (
    AnotherThread,
    ConstantCotangents,
    ForwardInBetween,
    Habit,
    OneArray,
    OtherNumbers,
    OtherSize,
    RefilledArrays,
    alike,
)
from rnnspec.conformance.checks.layouts import LAYOUTS, REPEATED, Layouts
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.hosting.guard import Guarded
from rnnspec.conformance.run import PROFILES, Verdict, run_check
from rnnspec.spec import check_call, operation, operations

Make = Callable[..., Any]

PLANTED = {fault.name: fault for fault in faults()}
OF_LAYOUTS = (
    "lstm-only-two-orders-known",
    "attention-scores-only-two-orders-known",
    "gru-turned-as-a-whole",
    "attention-scores-turned-as-a-whole",
    "rnn-repeated-read-on",
    "attention-scores-repeated-read-on",
    "lstm-gradient-of-the-repeated-summed",
    "attention-scores-gradient-of-the-repeated-summed",
    "mean-squared-error-overlapping-taken-for-one",
    "attention-scores-overlapping-taken-for-one",
    "lstm-overlapping-taken-for-one",
    "multi-head-attention-slabs-read-in-their-order",
    "gru-slabs-read-in-their-order",
)
OF_CALLERS = (
    "lstm-one-array-one-gradient",
    "attention-scores-one-array-one-gradient",
    "attention-scores-self-attention-mirrored",
    "gru-constant-cotangent-read-on",
    "attention-scores-constant-cotangent-read-on",
    "rnn-half-in-other-threads",
    "lstm-room-for-the-first-units",
    "gru-wider-layer-read-again",
    "gru-tape-of-the-last-run",
    "dense-tape-of-the-last-run",
)


class Noting(NumpyBackend):
    """Takes note of the calls that it gets, their cotangents, and the thread."""

    name = "noting"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.cotangents: list[Any] = []
        self.threads: list[int] = []

    def run(self, call: Call) -> Any:
        self.calls.append(call)
        self.threads.append(threading.get_ident())
        return super().run(call)

    def gradients(self, call: Call, cotangents: Any, *more: Any) -> Any:
        self.cotangents.append(cotangents)
        self.threads.append(threading.get_ident())
        return super().gradients(call, cotangents, *more)


# The planted faults.


@pytest.mark.parametrize(
    ("name", "check"),
    [*((name, Layouts()) for name in OF_LAYOUTS), *((name, Callers()) for name in OF_CALLERS)],
    ids=lambda part: getattr(part, "id", part),
)
def test_each_fault_is_caught_by_its_check(name: str, check: Any) -> None:
    fault = PLANTED[name]
    implementation = fault.implementation()
    result = run_check(check, implementation, fault.operation, fault.dtype, PROFILES["quick"], shrink=False)
    assert result.verdict is Verdict.VIOLATES
    assert result.message.startswith(("with ", "called ", "differentiated "))


# The calls that are made.


@pytest.mark.parametrize("name", operations())
def test_every_call_is_one_of_the_specification(name: str) -> None:
    scope, noting = Scope(name, "float32"), Noting()
    choices = RandomChoices(np.random.default_rng(0))
    for check in (Layouts(), Callers()):
        drawn = [check.of(draw_case(choices, scope), scope) for _ in range(12)]
        for example in (*check.forced(scope), *drawn):
            with suppress(OutOfRangeError):
                assert check.examine(Guarded(noting), example) <= 1
    assert noting.calls
    for call in noting.calls:
        check_call(name, call.inputs, call.attributes)


@pytest.mark.parametrize("name", REPEATED)
def test_what_repeats_itself_has_a_stride_of_0(name: str, make_case: Make) -> None:
    for array in (*make_case(steps="lengths").call.inputs.values(), np.zeros((0, 3), np.float32)):
        laid = REPEATED[name](array)
        assert (laid.shape, laid.dtype) == (array.shape, array.dtype)
        assert not array.size or 0 in laid.strides


def test_each_layout_is_another(make_case: Make) -> None:
    array = make_case().call.inputs["W"]
    turned = [LAYOUTS[name](array).strides for name in LAYOUTS if "swapped" in name or "backwards" in name]
    assert len(set(turned)) == 5  # an array of three axes has two pairs of neighbours, and three to turn


def test_a_repeating_call_is_judged_by_its_own_numbers(make_case: Make) -> None:
    noting = Noting()
    Layouts().examine(noting, (make_case(), "that repeat themselves along the first axis"))
    (call,), (cotangents,) = noting.calls, noting.cotangents
    assert all(array.strides[0] == 0 for array in (*call.inputs.values(), *cotangents))
    assert (call.inputs["x"] == call.inputs["x"][:1]).all()


NO_ATTRIBUTES = operation("gru").defaults()

# The habits.


def habits_of(name: str) -> list[Habit]:
    return [habit for _, habit in Callers().forced(Scope(name, "float32"))]


def test_every_habit_is_forced() -> None:
    assert [type(habit) for habit in habits_of("lstm")] == [
        OneArray, ConstantCotangents, ForwardInBetween, AnotherThread, OtherNumbers, RefilledArrays,
        OtherSize, OtherSize, OtherSize,
    ]  # fmt: skip
    assert habits_of("clip_by_value")[-1] == OtherSize("N")
    assert AnotherThread() in habits_of("token_accuracy")
    assert not {ConstantCotangents(), ForwardInBetween()} & set(habits_of("token_accuracy"))


class Keeping(NumpyBackend):
    """Begins with the last state of the call before where none is given, as a layer that is stateful does."""

    name = "keeping"
    last: Any = None

    def run(self, call: Call) -> tuple[Any, ...]:
        if "h0" not in call.inputs and self.last is not None and self.last.shape == call.inputs["x"][:, 0, :1].shape:
            call = Call(call.operation, {**call.inputs, "h0": self.last}, call.attributes)
        outputs = super().run(call)
        self.last = outputs[1][:, :1].copy() if outputs[1].shape[1] == 1 else None
        return outputs


def test_a_state_that_is_kept_where_none_is_given_is_caught() -> None:
    case = Case("gru", "float32", {"B": 2, "T": 3, "D": 2, "H": 1}, NO_ATTRIBUTES, absent=("h0",))
    assert OtherNumbers().examine(Guarded(NumpyBackend()), case) <= 1
    with pytest.raises(Violation, match="after a call with other numbers: y"):
        OtherNumbers().examine(Guarded(Keeping()), case)
    forced = {type(habit): case for case, habit in Callers().forced(Scope("gru", "float32"))}
    assert forced[OtherNumbers].absent == ("h0",)


class PackingOnce(NumpyBackend):
    """Packs the recurrent weights of an array once, and looks them up by the array."""

    name = "packing"

    def __init__(self) -> None:
        super().__init__()
        self.packed: dict[int, tuple[Any, Any]] = {}

    def run(self, call: Call) -> tuple[Any, ...]:
        R = call.inputs["R"]
        _, packed = self.packed.setdefault(id(R), (R, R.copy()))
        return super().run(Call(call.operation, {**call.inputs, "R": packed}, call.attributes))


def test_weights_that_are_packed_once_for_an_array_are_caught() -> None:
    case = Case("gru", "float32", {"B": 2, "T": 3, "D": 2, "H": 2}, NO_ATTRIBUTES)
    assert RefilledArrays().examine(Guarded(NumpyBackend()), case) <= 1
    with pytest.raises(Violation, match="with arrays of a call before, filled with other numbers: y"):
        RefilledArrays().examine(Guarded(PackingOnce()), case)


def test_every_habit_is_drawn() -> None:
    choices, scope = RandomChoices(np.random.default_rng(0)), Scope("lstm", "float32")
    drawn = [Callers().of(draw_case(choices, scope), scope) for _ in range(60)]
    assert {type(habit) for _, habit in drawn} == {OneArray, ConstantCotangents, AnotherThread, OtherSize}
    assert len({habit.symbol for _, habit in drawn if isinstance(habit, OtherSize)}) > 2
    assert all(len(group) == 2 for _, habit in drawn if isinstance(habit, OneArray) for group in habit.groups)


def test_one_array_is_the_very_same(make_case: Make) -> None:
    noting = Noting()
    OneArray((("h0", "c0"), ("W", "R"))).examine(noting, alike(make_case())[0])
    (call,) = noting.calls
    assert call.inputs["h0"] is call.inputs["c0"]
    assert call.inputs["W"] is call.inputs["R"]
    assert call.inputs["W"] is not call.inputs["h0"]


def test_a_case_in_which_no_inputs_agree_shows_nothing(make_case: Make) -> None:
    with pytest.raises(OutOfRangeError):
        OneArray((("W", "R"),)).examine(NumpyBackend(), make_case())


def test_a_constant_cotangent_is_one_number(make_case: Make) -> None:
    noting = Noting()
    ConstantCotangents().examine(noting, make_case())
    ((dy, *_),) = noting.cotangents
    assert dy.strides == (0, 0, 0)
    assert (dy == 1).all()


def test_the_other_thread_is_another(make_case: Make) -> None:
    noting = Noting()
    AnotherThread().examine(noting, make_case())
    assert len(noting.threads) == 2
    assert threading.get_ident() not in noting.threads


@pytest.mark.parametrize("error", [Unsupported("only at home"), KeyError("x"), SystemExit(3)])
def test_what_is_raised_in_another_thread_comes_back(error: BaseException, make_case: Make) -> None:
    class Raises(NumpyBackend):
        name = "raises"

        def run(self, call: Call) -> Any:
            raise error

    with pytest.raises(type(error)) as caught:
        AnotherThread().examine(Raises(), make_case())
    assert caught.value is error


def test_other_sizes_keep_the_arrays_that_they_can(make_case: Make) -> None:
    noting = Noting()
    OtherSize("T").examine(noting, make_case())
    first, larger, again = noting.calls
    assert [call.inputs["x"].shape[1] for call in noting.calls] == [4, 5, 4]
    for name in ("W", "R", "b", "h0", "c0"):
        assert first.inputs[name] is larger.inputs[name] is again.inputs[name]
    assert not (larger.inputs["x"][:, :4] == first.inputs["x"]).all()


def test_an_earlier_result_that_changes_is_told(make_case: Make) -> None:
    class OneMemory(NumpyBackend):
        name = "one memory"

        def __init__(self) -> None:
            super().__init__()
            self.memory = np.zeros(1000, np.float32)

        def run(self, call: Call) -> Any:
            y, *states = super().run(call)
            self.memory[: y.size] = y.ravel()
            return (self.memory[: y.size].reshape(y.shape), *states)

    with pytest.raises(Violation, match="with B = 4, after 3: y: expected the first call's result to stay as it was"):
        OtherSize("B").examine(OneMemory(), make_case())


def test_the_call_that_is_wrong_is_told(make_case: Make) -> None:
    class WrongAt(NumpyBackend):
        name = "wrong at"

        def __init__(self, number: int) -> None:
            super().__init__()
            self.left = number

        def run(self, call: Call) -> Any:
            self.left -= 1
            y, *states = super().run(call)
            return (y + (self.left == 0), *states)

    for number, told in enumerate(("with T = 4, before 5", "with T = 5, after 4", "with T = 4 again, after 5"), 1):
        with pytest.raises(Violation, match=f"^{told}: y"):
            OtherSize("T").examine(WrongAt(number), make_case())


def test_the_check_runs_after_layouts() -> None:
    ids = [check.id for check in CHECKS]
    assert ids.index("callers") == ids.index("layouts") + 1


def test_equal_examples_are_equal(make_case: Make) -> None:
    case: Case = make_case(seed=5)
    scope = Scope("lstm", "float32")
    assert Callers().of(case, scope) == Callers().of(make_case(seed=5), scope)
