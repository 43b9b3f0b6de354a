"""The counts of a check's run: examples, the worst ratio, and whose verdict it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import strategies as st

from rnnspec.backends import Backend, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, Scope, cases
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.check import usual_case
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.run import Profile, run_check
from rnnspec.conformance.run.result import CheckResult, Verdict

PROFILE = Profile("few", examples=12, examples_other_types=4, largest=0)


class Asking(Check):
    """Answers by a function of how many examples came before, and remembers all."""

    id = "asking"
    about, why = "nothing is asked", "this is a test"

    def __init__(self, answer: Callable[[int], float], forced: int = 0) -> None:
        self.answer, self._forced = answer, forced
        self.asked: list[Case] = []

    def examples(self, scope: Scope) -> st.SearchStrategy[Case]:
        return cases(scope)

    def forced(self, scope: Scope) -> Sequence[Case]:
        return [usual_case(scope)] * self._forced

    def examine(self, backend: Backend, example: Case) -> float:
        self.asked.append(example)
        return float(self.answer(len(self.asked) - 1))


class Often(Asking):
    calls = 3


class Wished(Asking):
    level = "SHOULD"


def run(check: Check, dtype: str = "float32", seed: int = 0) -> CheckResult:
    return run_check(check, NumpyBackend(), "rnn_cell", dtype, PROFILE, seed_number=seed, shrink=False)


@pytest.mark.parametrize("place", [0, 5, 11])
def test_the_worst_ratio_is_that_of_any_example(place: int) -> None:
    result = run(Asking(lambda k: 0.75 if k == place else 0.25))
    assert (result.worst_error_ratio, result.examples, result.verdict) == (0.75, 12, Verdict.CONFORMS)


def test_float32_gets_the_most_examples_and_costly_checks_fewer() -> None:
    assert run(Asking(lambda k: 0.0)).examples == 12
    assert run(Asking(lambda k: 0.0), "float64").examples == 4
    assert run(Often(lambda k: 0.0)).examples == 4
    assert run(Often(lambda k: 0.0), "float16").examples == 1


def test_what_is_forced_comes_first_and_in_the_main_type_alone() -> None:
    check = Asking(lambda k: 0.0, forced=3)
    run(check)
    assert check.asked[:3] == [usual_case(Scope("rnn_cell", "float32"))] * 3
    assert len(check.asked) == 15
    other = Asking(lambda k: 0.0, forced=3)
    run(other, "float64")
    assert len(other.asked) == 4


def test_a_seed_draws_its_own_examples_and_always_the_same() -> None:
    drawn = []
    for seed in (0, 0, 1):
        check = Asking(lambda k: 0.0)
        run(check, seed=seed)
        drawn.append([str(case) for case in check.asked])
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(("kind", "verdict"), [(Asking, Verdict.VIOLATES), (Wished, Verdict.DEPARTS)])
def test_a_violation_of_a_must_and_of_a_should(kind: type[Asking], verdict: Verdict) -> None:
    def answer(k: int) -> float:
        raise Violation("wrong", "the case", error_ratio=3.0)

    result = run(kind(answer))
    assert (result.verdict, result.worst_error_ratio, result.examples) == (verdict, 3.0, 0)
    assert result.message == "wrong\n  in the case"


def test_what_is_refused_or_out_of_range_is_not_judged() -> None:
    def some(k: int) -> float:
        if k % 3 == 1:
            raise Unsupported("not this")
        if k % 3 == 2:
            raise OutOfRangeError("too large")
        return 0.5

    check = Asking(some)
    result = run(check)
    assert result.examples == len(check.asked[::3])
    assert result.refused == len(check.asked[1::3])
    assert (result.verdict, result.reasons) == (Verdict.CONFORMS, ("not this",))

    def none(k: int) -> float:
        raise Unsupported("not this")

    assert run(Asking(none)).verdict is Verdict.REFUSED
