"""Training held against the reference: right backends pass, and each planted fault is named by step and quantity."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Call, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.training.drawing import Batches, drawn_examples
from rnnspec.conformance.training.faults import FAULTS
from rnnspec.conformance.training.judging import Training, judge
from rnnspec.spec.arrays import Array
from rnnspec.spec.models import model, models


def asked(name: str, steps: int, seed: int = 0, dtype: str = "float32") -> Training:
    found = model(name)
    return Training(
        found,
        found.small,
        steps,
        Batches(found, found.small, drawn_examples(found, found.small, seed), seed),
        dtype,
        seed,
    )


@pytest.mark.parametrize("name", models())
def test_the_reference_in_its_own_type_stays_within_the_bounds(name: str) -> None:
    judged = judge(asked(name, 4), {"numpy": NumpyBackend()})
    (outcome,) = judged.outcomes
    assert (outcome.verdict, len(outcome.losses)) == ("conforms", 4)
    assert 0 < outcome.worst <= 1
    assert not judged.silent_from


@pytest.mark.parametrize("name", ["air-quality", "char-rnn", "text-bilstm", "semantic-roles"])
def test_torch_stays_within_the_bounds(name: str) -> None:
    pytest.importorskip("torch")
    from rnnspec.backends.torch import TorchBackend

    (outcome,) = judge(asked(name, 4, seed=3), {"torch": TorchBackend()}).outcomes
    assert outcome.verdict == "conforms", (outcome.step, outcome.quantity)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named_by_its_first_step_and_quantity(name: str, seed: int) -> None:
    fault = FAULTS[name]
    (outcome,) = judge(asked(fault.shows_in, 6, seed), {"numpy": NumpyBackend()}, make=fault).outcomes
    assert (outcome.verdict, outcome.step, outcome.quantity) == ("violates", fault.step_shown, fault.quantity)
    assert outcome.ratio > 1


def test_a_wrong_operation_is_named_by_its_stage() -> None:
    class Wrong(NumpyBackend):
        def run(self, call: Call) -> tuple[Array, ...]:
            outputs = super().run(call)
            theta, *others = outputs
            return (theta * np.float32(1.001), *others) if call.operation == "rmsprop_step" else outputs

    (outcome,) = judge(asked("bidirectional-stack", 3), {"wrong": Wrong()}).outcomes
    assert (outcome.verdict, outcome.step, outcome.quantity) == ("violates", 1, "update of lower.W")


def test_a_refusal_is_no_violation() -> None:
    class Refusing(NumpyBackend):
        def run(self, call: Call) -> tuple[Array, ...]:
            if call.operation == "dense":
                raise Unsupported("no dense layers")
            return super().run(call)

    (outcome,) = judge(asked("image-rows", 3), {"refusing": Refusing()}).outcomes
    assert (outcome.verdict, outcome.reason, outcome.step) == ("refused", "no dense layers", 1)


def test_where_training_amplifies_rounding_the_bound_grows_until_nothing_is_told() -> None:
    found = model("bidirectional-relu")
    loud = {**found.optimizer.attributes, "learning_rate": 30.0}
    wild = replace(found, optimizer=replace(found.optimizer, attributes=loud))
    batches = Batches(wild, found.small, drawn_examples(wild, found.small, 0))
    judged = judge(Training(wild, found.small, 60, batches), {"numpy": NumpyBackend()})
    shares = [float(due.loss.bound / abs(due.loss.value)) for due in judged.due if due.told]
    assert judged.silent_from or shares[-1] > 10 * shares[0]
    assert judged.outcomes[0].verdict == "conforms"


def test_what_no_example_has_is_told_of_all_the_same() -> None:
    found = model("char-rnn")
    sizes = {**found.small, "K": 40}  # most letters are in no text, and their vectors' gradients are 0
    batches = Batches(found, sizes, drawn_examples(found, sizes, 0))
    judged = judge(Training(found, sizes, 4, batches), {"numpy": NumpyBackend()})
    assert [due.told for due in judged.due] == [len(due.quantities) for due in judged.due]
    assert np.isfinite(judged.due[-1].quantities["update of letter.E"].bound).all()


def test_batches_are_the_same_for_all_and_the_last_of_an_epoch_is_shorter() -> None:
    request = asked("text-lstm", 1)
    one, other = (list(islice(request.batches, 6)) for _ in range(2))
    assert [len(batch["words"]) for batch in one] == [4, 4, 2, 4, 4, 2]
    for a, b in zip(one, other, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in a)
    assert not np.array_equal(one[0]["words"], one[3]["words"])
    assert not np.array_equal(one[0]["keep_after"], one[1]["keep_after"])


def test_a_label_of_padding_and_lengths_are_one_training() -> None:
    by_label, by_lengths = (judge(asked(name, 3), {"numpy": NumpyBackend()}) for name in ("tagging-label", "tagging"))
    losses = [[float(due.loss.value) for due in judged.due] for judged in (by_label, by_lengths)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    tags = by_label.request.batches.examples["tags"]
    assert (tags == by_label.request.sizes.get("K", 4)).any()


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (SystemExit("over"), "SystemExit: over"),
        ((np.zeros((1, 1), np.float32),), "ValueError: "),
        (5, "TypeError: "),
    ],
)
def test_a_backend_that_fails_has_crashed(result: Any, told: str) -> None:
    class Fails(NumpyBackend):
        def recorded(self, call: Call, wanted: Any) -> Any:
            if isinstance(result, BaseException):
                raise result
            return result, lambda cotangents: {}

    failed, right = judge(asked("image-rows", 1), {"fails": Fails(), "numpy": NumpyBackend()}).outcomes
    assert (failed.verdict, failed.step) == ("crashed", 1)
    assert failed.reason.startswith(told)
    assert right.verdict == "conforms"
