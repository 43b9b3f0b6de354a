"""Dropout that a library draws: each law is held to, and each wrong implementation breaks the law that it should."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Drawing, Unsupported, only
from rnnspec.backends.drawing import Masks, masks_of
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.chance import are_the_same, binomial_interval
from rnnspec.conformance.checks.drawn import Drawn
from rnnspec.conformance.faults import drawn as planted
from rnnspec.conformance.faults.drawn import Draws
from rnnspec.conformance.faults.fault import planted_in
from rnnspec.conformance.hosting.isolated import Isolated
from rnnspec.conformance.run import PROFILES, CheckResult, Verdict, run_check
from rnnspec.conformance.run.expected import expected_failures
from rnnspec.conformance.run.plan import plan
from rnnspec.spec import operation, operations
from rnnspec.spec.arrays import Array

SEEDS = range(5)


def judged(backend: Backend, name: str, dtype: str = "float32", seed: int = 0, **options: Any) -> CheckResult:
    return run_check(Drawn(), backend, name, dtype, PROFILES["quick"], seed_number=seed, **options)


def words(backend: Backend, name: str, seed: int = 0) -> str:
    result = judged(backend, name, seed=seed)
    return result.message.partition(":")[0] if result.verdict is Verdict.VIOLATES else str(result.verdict)


# Chance.


def test_the_interval_is_that_of_the_binomial_distribution() -> None:
    # Of four tosses, none and four each come once in sixteen.
    assert binomial_interval(4, 0.5, 0.25) == (1, 3)
    assert binomial_interval(4, 0.5, 0.1) == (0, 4)
    assert binomial_interval(4, 0.0) == (0, 0)
    assert binomial_interval(4, 1.0) == (4, 4)
    for count, p in ((30, 0.25), (41, 0.625), (7, 0.1)):
        least, most = binomial_interval(count, p, 1e-3)
        exact = Fraction(p)
        chances = [comb(count, k) * exact**k * (1 - exact) ** (count - k) for k in range(count + 1)]
        half = Fraction(1e-3) / 2
        assert sum(chances[:least]) <= half < sum(chances[: least + 1])
        assert sum(chances[most + 1 :]) <= half < sum(chances[most:])


def test_rows_are_the_same_by_chance_or_not() -> None:
    rows = np.random.default_rng(0).random((4, 128)) < 0.5
    assert are_the_same(rows, 0.5) == ""
    rows[2] = rows[0]
    assert are_the_same(rows, 0.5) == "two have the same"
    few = rows[:, :6]
    assert are_the_same(few, 0.5) == ""  # as two of six choices well may
    assert are_the_same(np.ones((64, 6), np.bool_), 0.5) == "all have the same"
    assert are_the_same(rows[:1], 0.5) == ""


# Backends that are right.


def test_the_law_names_operations_with_a_mask_and_a_rate() -> None:
    lawful = {name for name, op in operations().items() if "drawn" in op.laws}
    assert lawful == {"dropout", "zoneout", "stacked", "bidirectional_stack", "rnn", "lstm", "gru"}
    assert {name: masks_of(name) for name in ("dropout", "zoneout", "stacked", "lstm", "dense")} == {
        "zoneout": Masks("renewed", "p", mixes=True),
        "dropout": Masks("keep", "p"),
        "stacked": Masks("keep", "dropout", at_each_step=True),
        "lstm": Masks("recurrent_keep", "recurrent_dropout"),
        "dense": None,
    }


class DrawsLayers(Draws):
    """Layers whose state before each step loses some units, the same ones at every step."""

    def _layer(self, *, rate: float, training: bool, seed: int | None, **call: Any) -> tuple[Array, ...]:
        self.begin(seed)
        keep, inverse = self.mask(call["h0"].shape, self.rate(rate, training)), self.rate(rate, training) % 1
        keep &= rate < 1 or not training
        outputs: tuple[Array, ...] = self.called(**call, recurrent_keep=keep, recurrent_dropout=inverse)
        return outputs

    def called(self, **call: Any) -> Any:
        name = "lstm" if "c0" in call else "gru" if "reset" in call else "rnn"
        return getattr(reference, name)(**call)

    drawn_rnn = drawn_lstm = drawn_gru = _layer


class DropsTheInputToo(DrawsLayers):
    def called(self, **call: Any) -> Any:
        if call["recurrent_dropout"]:
            call["x"] = call["x"] * self.mask(call["x"].shape, 0.5)
        return super().called(**call)


@pytest.mark.parametrize("name", ["dropout", "zoneout", "stacked", "rnn", "lstm", "gru"])
def test_what_is_right_conforms(name: str) -> None:
    result = judged(DrawsLayers(), name)
    assert (result.verdict, result.message, result.refused) == (Verdict.CONFORMS, "", 0)
    assert result.worst_error_ratio is not None
    assert result.worst_error_ratio <= 1


@pytest.mark.parametrize("name", ["dropout", "stacked", "bidirectional_stack"])
def test_torch_conforms(name: str) -> None:
    pytest.importorskip("torch")
    from rnnspec.backends.torch import TorchBackend

    result = judged(TorchBackend(), name, "bfloat16" if name == "dropout" else "float32")
    assert (result.verdict, result.message) == (Verdict.CONFORMS, "")
    assert result.examples == (8 if name == "dropout" else 12)


def test_keras_conforms_but_for_a_rate_of_1() -> None:
    pytest.importorskip("tensorflow")
    from rnnspec.backends.tensorflow import TensorFlowBackend

    backend = TensorFlowBackend()
    known = expected_failures(backend)
    found = {name: judged(backend, name, expected=known).verdict for name in ("dropout", "rnn", "stacked")}
    assert found == {"dropout": Verdict.CONFORMS, "rnn": Verdict.CONFORMS, "stacked": Verdict.EXPECTED}


def test_a_backend_in_a_process_of_its_own_draws_there() -> None:
    backend = Isolated("rnnspec.conformance.faults.drawn:Draws")
    try:
        assert [name for name in operations() if backend.draws(name)] == ["dropout", "zoneout", "stacked"]
        assert judged(backend, "dropout").verdict is Verdict.CONFORMS
        assert "no masks of its own" in judged(backend, "lstm").message
    finally:
        backend.close()


# Backends that are wrong.

LAWS = {
    "OnInEvaluation": "off in evaluation",
    "RateZeroIsTheDefault": "rate 0 drops nothing",
    "RateOneLeavesEverything": "rate 1 drops everything",
    "KeptAsTheyAre": "kept units are divided by 1 - p",
    "KeptTimesTheRate": "kept units are divided by 1 - p",
    "RateIsTheShareKept": "kept units are divided by 1 - p",
    "DroppedWhereTwoNumbersSaySo": "the share",
    "OneMaskForTheBatch": "each for itself",
    "OneNumberForTwoUnits": "each for itself",
    "OneMaskForAllSteps": "each for itself",
    "OtherMasksAtEveryStep": "the same over time",
    "SameMaskAtEveryCall": "two calls differ",
    "SameMaskUntilSeeded": "two calls differ",
    "SeedIgnored": "one seed repeats",
    "NothingKeptInEvaluation": "evaluation takes the expectation",
    "ScaledLikeDropout": "each unit is the old or the new one",
    "OneChoiceForTheState": "each for itself",
    "AfterTheLastLayer": "none after the last layer",
    "StateDropped": "states are not touched",
}


@pytest.mark.parametrize("name", LAWS)
def test_each_fault_breaks_its_law_at_every_seed(name: str) -> None:
    fault = getattr(planted, name)
    (where, *_) = (one.operation for one in planted_in(planted) if isinstance(fault(), one.implementation))
    assert [words(fault(), where, seed) for seed in SEEDS] == [LAWS[name]] * len(SEEDS)


def test_every_fault_is_named_here() -> None:
    assert {name for name, kind in vars(planted).items() if isinstance(kind, type) and kind.__base__ is Draws} == {
        *LAWS
    }


def test_a_layer_that_drops_more_than_its_state() -> None:
    assert words(DropsTheInputToo(), "rnn") == "nothing else is touched"


class WrongForm(Draws):
    def drawn_dropout(self, x: Array, **asked: Any) -> tuple[Array, ...]:
        return (*super().drawn_dropout(x, **asked), x)


class Crashing(Draws):
    def drawn_dropout(self, x: Array, **asked: Any) -> tuple[Array, ...]:
        raise ZeroDivisionError("no mask")


def test_forms_and_crashes() -> None:
    assert (
        words(WrongForm(), "dropout")
        == "expected 1 outputs (y), got 2\n  in dropout float32 B=8 T=8 D=12 p=0.0 generic seed=435509217"
    )
    result = judged(Crashing(), "dropout")
    assert result.verdict is Verdict.CRASHED
    assert result.message.startswith("ZeroDivisionError: no mask")


# Who is asked, and what.


def test_a_backend_that_draws_nothing_is_not_asked() -> None:
    assert "drawn" not in {item.check for item in plan("numpy", NumpyBackend(), ["dropout", "lstm"], ["float32"])}
    assert "drawn" in {item.check for item in plan("draws", Draws(), ["dropout"], ["float32"])}
    result = judged(NumpyBackend(), "lstm")
    assert (result.verdict, result.message) == (Verdict.REFUSED, "backend numpy draws no masks of its own")


def test_eager_torch_is_asked_and_compiled_torch_is_not() -> None:
    pytest.importorskip("torch")
    from rnnspec.backends.torch import TorchBackend, TorchCompileBackend

    assert [*TorchBackend.drawing] == ["dropout", "stacked", "bidirectional_stack"]
    assert not TorchCompileBackend.drawing


class OneMask(Draws):
    """One mask for each step is all that it has, and of layers only one kind."""

    seen: dict[str, Any]

    @only(layer="lstm")
    def drawn_stacked(self, x, W, W_above, R, b, h0, c0, *, rate, training, seed):  # type: ignore[no-untyped-def]
        self.seen = locals()
        return super().drawn_stacked(
            x=x, W=W, W_above=W_above, R=R, b=b, h0=h0, c0=c0, layer="lstm", rate=rate, training=training, seed=seed,
            shared_over="none",
        )  # fmt: skip

    @only(shared_over="none")
    def drawn_dropout(self, x, lengths=None, *, rate, training, seed):  # type: ignore[no-untyped-def, override]
        assert lengths is None
        return super().drawn_dropout(x, shared_over="none", rate=rate, training=training, seed=seed)


def test_a_method_says_which_masks_it_draws() -> None:
    result = judged(OneMask(), "stacked")
    assert (result.verdict, result.examples, result.refused) == (Verdict.CONFORMS, 4, 20)
    assert set(result.reasons) == {
        "draws's stacked: layer = lstm only", "draws draws no masks of stacked that are the same at every step",
    }  # fmt: skip
    result = judged(OneMask(), "dropout")
    assert (result.verdict, result.examples, result.refused) == (Verdict.CONFORMS, 4, 4)


def test_a_method_is_given_neither_mask_nor_rate_of_the_call() -> None:
    op = operation("stacked")
    sizes = {"B": 2, "T": 3, "D": 2, "H": 2, "L": 2}
    call = Case("stacked", "float32", sizes, {**op.defaults(), "dropout": 0.5}, absent=("b_R", "h0", "c0")).call
    backend = OneMask()
    backend.drawn(call, Drawing(1.0, training=False, seed=3))
    assert (backend.seen["rate"], backend.seen["training"], backend.seen["seed"]) == (1.0, False, 3)
    assert backend.seen["c0"].shape == (2, 2, 2)  # without a default, and so filled in
    with pytest.raises(Unsupported, match="draws no masks of dense"):
        backend.drawn(Case("dense", "float32", sizes, operation("dense").defaults()).call, Drawing(0.5))


def test_what_no_call_fills_is_refused_when_the_backend_is_opened() -> None:
    class Misspelt(Backend):
        name = "misspelt"

        def drawn_dropout(self, x, rate, trainig, seed):  # type: ignore[no-untyped-def]
            return (x,)

    with pytest.raises(ValueError, match=r"^drawn_dropout: unknown parameter trainig: .*training"):
        Misspelt()
