"""The checks of an operation in a type share their calls: each is made once, and refusals cost no coverage."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, DeckError, Extent
from rnnspec.conformance.cases.covering import Row
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.checks.check import cases_of
from rnnspec.conformance.hosting.guard import GuestLostError
from rnnspec.conformance.run import PROFILES, CheckResult, Profile, Verdict, run_check
from rnnspec.conformance.run.runner import HANDFUL
from rnnspec.conformance.run.session import MOST_SILENT, Answers, Session, session_of

QUICK = PROFILES["quick"]
BY_ID = {check.id: check for check in CHECKS}
WHOLE = [check.id for check in CHECKS if check.whole_deck]
Choose = Callable[[Call], bool]


def judge(check: str, backend: Backend, operation: str = "gru", dtype: str = "float32", **options: Any) -> CheckResult:
    return run_check(BY_ID[check], backend, operation, dtype, QUICK, **options)


def session(backend: Backend, operation: str = "gru", dtype: str = "float32") -> Session:
    return session_of(backend, operation, dtype, QUICK, 0)


class Refusing(NumpyBackend):
    """Refuses the calls that are chosen."""

    name = "refusing"

    def __init__(self, choose: Choose) -> None:
        super().__init__()
        self.choose = choose

    def run(self, call: Call) -> tuple[Any, ...]:
        if self.choose(call):
            raise Unsupported("not this one")
        return super().run(call)


def test_a_type_that_is_asked_for_alone_is_looked_at_most_closely() -> None:
    alone = QUICK.of_types(["float64"])
    assert session_of(NumpyBackend(), "gru", "float64", alone, 0).deck.model.strength == 2  # type: ignore[union-attr]
    assert session_of(NumpyBackend(), "gru", "float64", QUICK, 0).deck.model.strength == 1  # type: ignore[union-attr]
    assert alone.examples_for("float64") == QUICK.examples_for("float32")
    both = QUICK.of_types(["float64", "float32"])
    assert session_of(NumpyBackend(), "gru", "float64", both, 0).deck.model.strength == 1  # type: ignore[union-attr]


def array_of(shared: Session) -> tuple[Case, ...]:
    return shared.deck.cases[: len(shared.deck.rows)]


# Refusals.


def in_reverse(call: Call) -> bool:
    return call.attributes["direction"] == "reverse"


def pairs_of(rows: Iterable[Row]) -> set[frozenset[tuple[int, int]]]:
    return {frozenset(pair) for row in rows for pair in combinations(enumerate(row), 2)}


REFUSALS: dict[str, tuple[str, Choose, dict[str, str]]] = {
    "two that are not the plainest": (
        "gru", lambda call: "mask" in call.inputs and in_reverse(call), {"direction": "reverse"}
    ),
    "an input that is absent": (
        "gru", lambda call: "h0" not in call.inputs and call.attributes["reset"] == "before",
        {"reset": "before", "absent h0": "True"},
    ),
    "the plainest of a size": (
        "rnn", lambda call: call.attributes["activation"] == "relu" and call.inputs["x"].shape[0] == 1,
        {"activation": "relu", "size B": "(1, 1)"},
    ),
    "beside a choice of parts": (
        "bidirectional",
        lambda call: call.attributes["layer"] == "gru" and "lengths" in call.inputs,
        {"layer": "gru"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_of_two_choices_costs_no_other_coverage(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    operation, choose, names = REFUSALS[kind]
    planners: list[Any] = []
    monkeypatch.setattr(
        "rnnspec.conformance.run.session.Planner",
        lambda *given, planner=sys.modules["rnnspec.conformance.run.session"].Planner, **more: (
            planners.append(planner(*given, **more)) or planners[-1]
        ),
    )
    shared, free = session(Refusing(choose), operation), session(NumpyBackend(), operation)
    assert not any(choose(case.call) for case in array_of(shared))
    assert any(choose(case.call) for case in array_of(free))
    met, total = shared.deck.met_by(shared.deck.cases)
    assert met == total
    assert "not this one" in shared.reasons

    planner = planners[0]
    assert planner.refused
    for combination in planner.refused:
        found = {}
        for factor, level in combination:
            value = planner.factors[factor].levels[level]
            found[planner.factors[factor].name] = str(getattr(value, "name", value))
        steps = {"valid steps"} & set(found)  # each kind of steps that is refused is found by itself
        assert {key: value for key, value in found.items() if key not in steps} == names
        assert bool(steps) == (len(names) == 1)
        assert len(found) == 2
    # Of all pairs, those are missing that stand in refused calls alone.
    missing = pairs_of(free.deck.rows) - pairs_of(shared.deck.rows)
    assert missing >= planner.refused
    for row, case in zip(free.deck.rows, free.deck.cases, strict=False):
        assert choose(case.call) or not missing & pairs_of([row])


def test_a_refusal_of_three_choices_costs_no_pair() -> None:
    def choose(call: Call) -> bool:
        return "mask" in call.inputs and in_reverse(call) and call.attributes["reset"] == "before"

    shared, free = session(Refusing(choose)), session(NumpyBackend())
    assert not any(choose(case.call) for case in array_of(shared))
    assert shared.deck.met_by(shared.deck.cases) == free.deck.met_by(free.deck.cases)


def test_no_planned_call_beyond_the_array_is_made_of_a_row_that_was_refused() -> None:
    def choose(call: Call) -> bool:
        return "h0" not in call.inputs and in_reverse(call)

    backend = Refusing(choose)
    assert not [str(case) for case in session(backend).deck.cases if choose(case.call)]
    result = judge("values", backend)
    assert (result.verdict, result.refused) == (Verdict.CONFORMS, 0)
    assert result.coverage is not None
    assert result.coverage.met == result.coverage.total
    assert result.coverage.largest["B"] == 65_537


def test_who_has_one_value_of_an_attribute_is_asked_for_all_else() -> None:
    backend = Refusing(lambda call: call.attributes["reset"] != "before")
    shared = session(backend)
    assert {case.attributes["reset"] for case in shared.deck.cases} == {"before"}
    met, total = shared.deck.met_by(shared.deck.cases)
    assert met == total > 500
    assert judge("values", backend).refused == 0


def test_who_refuses_everything_is_asked_a_handful() -> None:
    asked: list[Call] = []

    def choose(call: Call) -> bool:
        asked.append(call)
        return True

    backend = Refusing(choose)
    session(backend)
    before = len(asked)
    for check in ("values", "batch", "split", "layouts"):
        result = judge(check, backend)
        assert (result.verdict, result.examples) == (Verdict.REFUSED, 0)
        assert result.message == "not this one"
        assert result.refused <= HANDFUL
    assert len(asked) - before <= 4 * HANDFUL


def fickle(share: float) -> Choose:
    rng = np.random.default_rng(0)
    return lambda call: bool(rng.random() < share)


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_refusals_that_no_choice_explains_end_the_planning(share: float) -> None:
    with pytest.raises(DeckError, match=r"gru in float32: no deck .* backend refusing, .* got not this one"):
        session(Refusing(fickle(share)))


@pytest.mark.parametrize("share", [0.02, 0.9, 0.99])
def test_whatever_is_refused_a_deck_is_planned_or_that_is_told(share: float) -> None:
    for operation in ("gru", "dense", "clip_by_norm", "softmax"):
        with suppress(DeckError):
            deck = session(Refusing(fickle(share)), operation).deck
            met, total = deck.met_by(deck.cases)
            assert met == total > 0


FAKE = """\
import numpy as np

from rnnspec.backends import Unsupported
from rnnspec.backends.numpy import NumpyBackend


class Fickle(NumpyBackend):
    name = "fickle"
    rng = np.random.default_rng(0)

    def run(self, call):
        if self.rng.random() < 0.3:
            raise Unsupported("not now")
        return super().run(call)
"""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_command_says_in_a_line_that_nothing_can_be_planned(tmp_path: Path, processes: str) -> None:
    if processes != "0":
        pytest.importorskip("xdist")
    (tmp_path / "fake_fickle.py").write_text(FAKE)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    given = ["fake_fickle:Fickle", "--no-isolate", "--op", "gru", "--dtype", "float32", "-n", processes]
    done = subprocess.run(
        [sys.executable, "-m", "rnnspec", "validate", *given],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: gru in float32: no deck can be planned for backend fickle, ")
    assert line.endswith("got not now")


# Each planned call is made once.


class Counting(NumpyBackend):
    """Counts what it is asked, by the calls' bytes."""

    name = "counting"

    def __init__(self) -> None:
        super().__init__()
        self.outputs: Counter[Any] = Counter()
        self.gradients_of: Counter[Any] = Counter()

    @staticmethod
    def key(call: Call) -> Any:
        return repr(call.attributes), *((name, array.tobytes()) for name, array in call.inputs.items())

    def run(self, call: Call) -> tuple[Any, ...]:
        self.outputs[self.key(call)] += 1
        return super().run(call)

    def gradients(self, call: Call, *given: Any) -> dict[str, Any]:
        self.gradients_of[self.key(call)] += 1
        return super().gradients(call, *given)


def test_a_planned_call_is_made_once_for_all_checks_of_the_whole_deck() -> None:
    backend = Counting()
    cases = session(backend).deck.cases
    keys = [backend.key(case.call) for case in cases]
    differentiated = Counter(key for key, case in zip(keys, cases, strict=True) if case.differentiated)
    for check in WHOLE:
        assert judge(check, backend).verdict is Verdict.CONFORMS
    assert {"forms", "unmodified", "values", "gradients"} <= set(WHOLE)
    of = Counter(keys)  # cases of empty calls may be equal
    assert all(backend.gradients_of[key] == differentiated[key] for key in keys)
    assert all(backend.outputs[key] == of[key] for key in keys)
    before = sum(backend.outputs.values())
    judge("drift", backend)
    assert sum(backend.outputs.values()) == before


def test_the_whole_deck_is_judged_by_the_checks_that_say_so() -> None:
    cases = session(NumpyBackend(), "gru", "float16").deck.cases
    for check in WHOLE:
        result = judge(check, NumpyBackend(), dtype="float16")
        assert result.examples + result.out_of_range == len(cases)
        assert result.coverage is not None
        assert result.coverage.strength == 1
        assert result.coverage.met <= result.coverage.total


def test_checks_of_several_calls_are_spread_over_the_array() -> None:
    deck = session(NumpyBackend(), "lstm").deck
    places = {id(case): place for place, case in enumerate(deck.cases)}
    for check in ("batch", "layouts", "repeatability"):
        found = list(BY_ID[check].planned(deck, 8))
        assert len(found) == 8
        rows = sorted(places[id(cases_of(example)[0])] for example in found if id(cases_of(example)[0]) in places)
        if rows:
            assert max(np.diff([0, *rows, len(deck.rows)])) < len(deck.rows) / 2


def test_cotangents_or_inputs_that_are_not_the_cases_own_are_asked_anew() -> None:
    backend = Counting()
    answers = Answers(backend)
    case = array_of(session(NumpyBackend()))[0]
    answers.plan(case)
    assert answers.gradients(case.call, case.cotangents) is answers.gradients(case.call, case.cotangents)
    assert answers.run(case.call) is answers.run(case.call)
    assert sum(backend.gradients_of.values()) == sum(backend.outputs.values()) == 1
    answers.gradients(case.call, tuple(2 * one for one in case.cotangents))
    answers.gradients(case.call, case.cotangents, ("x",))
    assert sum(backend.gradients_of.values()) == 3
    answers.run(replace(case).call)
    assert sum(backend.outputs.values()) == 2


def test_a_crash_and_a_refusal_are_remembered_too() -> None:
    count: Counter[str] = Counter()

    class Crashing(NumpyBackend):
        def run(self, call: Call) -> tuple[Any, ...]:
            count["run"] += 1
            raise OSError("out of paper")

    answers = Answers(Crashing())
    case = array_of(session(NumpyBackend()))[0]
    answers.plan(case)
    for _ in range(3):
        with pytest.raises(Exception, match="out of paper"):
            answers.run(case.call)
    assert count["run"] == 1


# Wrong in few places, or in conduct.


class WrongRow(NumpyBackend):
    """Wrong in one sequence of batches beyond 16 bits."""

    name = "wrong row"

    def __init__(self, row: int, what: str) -> None:
        super().__init__()
        self.row, self.what = row, what

    def run(self, call: Call) -> tuple[Any, ...]:
        outputs = super().run(call)
        if self.what == "values" and len(outputs[0]) > 65_536:
            outputs = tuple(np.array(output) for output in outputs)
            outputs[0][self.row] += 1
        return outputs

    def gradients(self, call: Call, *given: Any) -> dict[str, Any]:
        gradients = {name: np.array(array) for name, array in super().gradients(call, *given).items()}
        if self.what != "values" and len(call.inputs["x"]) > 65_536:
            gradients[self.what][self.row if self.what == "x" else ...] += 1
        return gradients


@pytest.mark.parametrize(
    ("operation", "row", "what"),
    [
        ("lstm", 65_536, "values"),
        ("gru", 65_536, "x"),
        *[("rnn_cell", row, what) for row in (0, 32_768, 65_536) for what in ("values", "x")],
        ("rnn_cell", 40_000, "x"),  # a gradient of what is not judged is 0
        ("rnn_cell", 0, "W"),
    ],
)
def test_one_wrong_sequence_of_a_large_batch_is_caught(operation: str, row: int, what: str) -> None:
    check = "values" if what == "values" else "gradients"
    result = judge(check, WrongRow(row, what), operation, shrink=False)
    assert result.verdict is Verdict.VIOLATES
    assert "B=65537" in result.message
    if what != "W":
        assert f"[{row}, " in result.message
    other = "gradients" if check == "values" else "values"
    assert judge(other, WrongRow(row, what), operation, shrink=False).verdict is Verdict.CONFORMS


def test_a_fault_of_two_choices_is_caught_in_any_seed() -> None:
    class Wrong(NumpyBackend):
        name = "wrong in a pair"

        def run(self, call: Call) -> tuple[Any, ...]:
            outputs = super().run(call)
            if "h0" not in call.inputs and in_reverse(call) and call.inputs["x"].shape[2] == 3:
                return tuple(output + 1 for output in outputs)
            return outputs

    for seed in range(3):
        result = judge("values", Wrong(), seed_number=seed)
        assert result.verdict is Verdict.VIOLATES
        assert "direction=reverse" in result.message
        assert "without h0" in result.message
        assert "B=1 D=3 H=1 T=1" in result.message  # shrunk


class ChangingInputs(NumpyBackend):
    name = "changing inputs"

    def run(self, call: Call) -> tuple[Any, ...]:
        outputs = super().run(call)
        call.inputs["W"][...] = 0
        return outputs


class ChangingCotangents(NumpyBackend):
    name = "changing cotangents"

    def gradients(self, call: Call, cotangents: Any, *given: Any) -> dict[str, Any]:
        gradients = super().gradients(call, cotangents, *given)
        cotangents[0][...] = 7
        return gradients


class ReusingBuffers(NumpyBackend):
    """Every result is where the last one of its shape was."""

    name = "reusing buffers"

    def __init__(self) -> None:
        super().__init__()
        self.buffer = np.zeros(10_000_000, np.float32)

    def run(self, call: Call) -> tuple[Any, ...]:
        first, *rest = super().run(call)
        place = self.buffer[: first.size].reshape(first.shape)
        place[...] = first
        return place, *rest


@pytest.mark.parametrize("make", [ChangingInputs, ChangingCotangents, ReusingBuffers])
def test_what_is_changed_or_used_again_is_told_whichever_check_comes_first(make: Callable[[], Backend]) -> None:
    for first in ("unmodified", "values"):
        backend = make()
        judge(first, backend)
        result = judge("unmodified", backend)
        assert result.verdict is Verdict.VIOLATES, first
        assert "to stay as it was" in result.message


def test_who_answers_otherwise_when_asked_again_is_told() -> None:
    class Turning(NumpyBackend):
        """Wrong once, in the first call of some size, and right ever after."""

        name = "turning"
        wrong = False

        def run(self, call: Call) -> tuple[Any, ...]:
            outputs = super().run(call)
            if call.inputs["x"].shape[0] > 2 and not self.wrong:
                self.wrong = True
                return tuple(output + 1 for output in outputs)
            return outputs

    result = judge("values", Turning())
    assert result.verdict is Verdict.VIOLATES
    assert "the same call gave " in result.message
    assert "expected " in result.message


def test_a_planned_case_is_asked_twice_where_results_are_to_be_the_same() -> None:
    class Unsteady(NumpyBackend):
        """Another last bit in every second call."""

        name = "unsteady"
        count = 0

        def run(self, call: Call) -> tuple[Any, ...]:
            self.count += 1
            return tuple(np.nextafter(output, 2 * (-1) ** (self.count // 2)) for output in super().run(call))

    backend = Unsteady()
    assert judge("values", backend).verdict is Verdict.CONFORMS
    assert judge("repeatability", backend).verdict is Verdict.DEPARTS


# Shrinking, few shapes, drawing.


def test_what_is_planned_is_shrunk() -> None:
    class Wrong(NumpyBackend):
        name = "wrong from the third step on"

        def run(self, call: Call) -> tuple[Any, ...]:
            first, *rest = super().run(call)
            first = first.copy()
            first[:, 2:] += 1
            return first, *rest

    result = judge("values", Wrong())
    assert "in gru float32 B=1 D=1 H=1 T=3 generic" in result.message
    assert "B=1 D=1 H=1 T=3 generic" not in judge("values", Wrong(), shrink=False).message


def test_who_compiles_each_shape_is_given_few() -> None:
    class Compiling(NumpyBackend):
        name = "compiling"
        compiles = 20

        def __init__(self) -> None:
            super().__init__()
            self.shapes: set[Any] = set()

        def run(self, call: Call) -> tuple[Any, ...]:
            self.shapes.add(call.inputs["x"].shape)
            return super().run(call)

    backend = Compiling()
    deck = session(backend).deck
    shapes = {case.call.inputs["x"].shape for case in deck.cases}
    assert len(shapes) <= 9  # with that of the probes, which the first call has
    assert len({case.call.inputs["x"].shape for case in deck.cases[: len(deck.rows)]}) <= 3
    assert len(deck.rows) > 20
    assert len({case.call.inputs["x"].shape for case in session(NumpyBackend()).deck.cases}) > 60


@pytest.mark.parametrize("draws", [False, True])
def test_as_many_are_drawn_beyond_the_deck_if_the_profile_says_so(draws: bool) -> None:
    profile = Profile("some", 30, 30, largest=0, planned=Extent(1), planned_other_types=Extent(1), draws=draws)
    planned = len(session_of(NumpyBackend(), "gru", "float32", profile, 0).deck.cases)
    result = run_check(BY_ID["values"], NumpyBackend(), "gru", "float32", profile)
    assert result.examples == planned + 30 * draws


def test_a_fault_that_only_what_is_drawn_shows_is_found() -> None:
    class Rare(NumpyBackend):
        name = "rare"

        def run(self, call: Call) -> tuple[Any, ...]:
            outputs = super().run(call)
            wrong = call.inputs["W"].shape[1] >= 10 and call.inputs["W"].shape[2] >= 9
            return tuple(output + 1 for output in outputs) if wrong else outputs

    profile = Profile("some", 300, 300, largest=16, planned=Extent(1), planned_other_types=Extent(1))
    result = run_check(BY_ID["values"], Rare(), "rnn_cell", "float32", profile)
    assert result.verdict is Verdict.VIOLATES
    assert "B=1 D=9 H=10" in result.message


def test_the_reference_is_what_the_backend_computes() -> None:
    """The fakes above are right but for their faults."""
    case = array_of(session(NumpyBackend()))[0]
    call = {**case.call.inputs, **case.call.attributes}
    assert np.array_equal(NumpyBackend().run(case.call)[0], reference.gru(**call)[0])
    assert judge("values", NumpyBackend()).verdict is Verdict.CONFORMS


def test_a_backend_that_never_answers_is_not_asked_for_each_refusal() -> None:
    """Each call takes the time limit."""
    asked: list[Call] = []

    class Silent(NumpyBackend):
        def run(self, call: Call) -> tuple[Any, ...]:
            asked.append(call)
            raise GuestLostError(call, "no answer", timed_out=True)

    found = session(Silent(), "dense")
    assert len(asked) <= MOST_SILENT + 2
    assert len(found.deck.cases) > MOST_SILENT
