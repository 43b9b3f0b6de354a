"""A backend that answers the same call otherwise the next time: it is told so, in words, with both answers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Extent
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.run import CheckResult, Profile, Verdict, run_check

Make = Callable[..., Any]
BY_ID = {check.id: check for check in CHECKS}
PLANNED = Profile("planned", 30, 30, largest=0, planned=Extent(2), draws=False)
BOTH = re.compile(
    r"^the same call gave (\w+)\[[\d, ]*\].* = (\S+) the first time and (\S+) the second: "
    r"(?:.*: )?(\w+)\[[\d, ]*\].*: expected (\S+) ± \S+, got (\S+) "
)


class Counting(NumpyBackend):
    """Adds to each result the number of the call."""

    name = "counting"

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def run(self, call: Call) -> tuple[Any, ...]:
        self.count += 1
        return tuple(array + array.dtype.type(self.count) for array in super().run(call))


class Leaking(NumpyBackend):
    """Begins with the state in which the last call of the same shapes has ended."""

    name = "leaking"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.states: dict[tuple[int, ...], Any] = {}

    def run(self, call: Call) -> tuple[Any, ...]:
        if call.operation != "rnn":
            return super().run(call)
        h0 = call.inputs.get("h0")
        if h0 is not None and h0.shape in self.states:
            state = self.states[h0.shape].astype(h0.dtype)
            call = Call(call.operation, {**call.inputs, "h0": h0 + state}, call.attributes)
        y, state = super().run(call)
        self.states[state.shape] = state
        return y, state


def judged(backend: Backend, profile: Profile, check: str = "values", **more: Any) -> CheckResult:
    return run_check(BY_ID[check], backend, "rnn", "float32", profile, **more)


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("make", [Counting, Leaking])
def test_both_answers_are_told(make: Callable[[], Backend], planned: bool, few: Profile) -> None:
    result = judged(make(), PLANNED if planned else few)
    assert result.verdict is Verdict.VIOLATES
    found = BOTH.match(result.message)
    assert found, result.message
    name, first, second, of, expected, got = found.groups()
    assert name == of
    assert first == got
    assert abs(float(first) - float(second)) > 1e-3
    assert abs(float(first) - float(expected)) > 1e-3
    assert re.search(r"\n  in rnn float32 B=", result.message)
    assert "ypothesis" not in result.message
    assert "Unreliable" not in result.message


def every(count: int, wrong: Callable[..., Any]) -> Callable[..., Any]:
    """A layer that is right but in every so manieth call."""
    number = itertools.count(1)
    return lambda **call: wrong(**call) if next(number) % count == 0 else reference.rnn(**call)


def off(**call: Any) -> Any:
    y, h = reference.rnn(**call)
    return y, h + 1


def busy(**call: Any) -> Any:
    raise OSError("busy")


def unwilling(**call: Any) -> Any:
    raise Unsupported("not now")


@pytest.mark.parametrize("count", [2, 5, 7])
def test_who_is_wrong_now_and_then(count: int, few: Profile, numpy_with: Make) -> None:
    result = judged(numpy_with(rnn=every(count, off)), few)
    assert result.verdict is Verdict.VIOLATES
    found = BOTH.match(result.message)
    assert found, result.message
    _, first, second, _, expected, _ = found.groups()
    assert float(second) == pytest.approx(float(expected), abs=1e-5)
    assert float(first) == pytest.approx(float(second) + 1, abs=1e-5)


@pytest.mark.parametrize("count", [4, 5])
def test_who_crashes_now_and_then(count: int, few: Profile, numpy_with: Make) -> None:
    result = judged(numpy_with(rnn=every(count, busy)), few)
    assert result.verdict is Verdict.CRASHED
    words = result.message.splitlines()[0]
    assert words == "the same call crashed the first time and gave a result the second: OSError: busy"


def test_wrong_and_then_refused(few: Profile, numpy_with: Make) -> None:
    fates = itertools.cycle([off, unwilling])
    result = judged(numpy_with(rnn=lambda **call: next(fates)(**call)), few)
    assert result.verdict is Verdict.VIOLATES
    assert "the same call was wrong the first time and was refused the second: not now: " in result.message


def test_a_wrong_form_now_and_then(few: Profile, numpy_with: Make) -> None:
    result = judged(numpy_with(rnn=every(5, lambda **call: reference.rnn(**call)[:1])), few)
    assert result.verdict is Verdict.VIOLATES
    words = "the same call was wrong the first time and right the second: expected 2 outputs"
    assert result.message.startswith(words), result.message


def test_noise_within_rounding_beside_a_fault_is_no_change(few: Profile, numpy_with: Make) -> None:
    number = itertools.count()

    def wrong(**call: Any) -> Any:
        y, h = reference.rnn(**call)
        return y, np.nextafter(h + 1, np.float32(9 * (-1) ** next(number)))

    result = judged(numpy_with(rnn=wrong), few)
    assert result.verdict is Verdict.VIOLATES
    assert result.message.startswith("h_n[")


def test_inputs_that_are_overwritten_are_no_change_of_the_answer(few: Profile) -> None:
    class Overwriting(NumpyBackend):
        """Wrong, and leaves other inputs than it was given."""

        name = "overwriting"

        def run(self, call: Call) -> tuple[Any, ...]:
            y, h = super().run(call)
            call.inputs["x"][...] += 5
            return y + 1, h

    for profile in (PLANNED, few):
        assert judged(Overwriting(), profile).message.startswith("y[")


def test_the_repro_has_both_answers_in_words_and_the_first_in_numbers(few: Profile, tmp_path: Path) -> None:
    result = judged(Counting(), few, repro_dir=tmp_path)
    source = Path(result.repro).read_text()
    assert "the first time and" in source
    assert "It takes more than one call to see" in source
    with np.load(Path(result.repro).with_suffix(".npz")) as data:
        found = BOTH.match(result.message)
        assert found
        assert np.isclose(data["got"], float(found[2]), rtol=1e-6).any()
        assert "input.x" in data.files
