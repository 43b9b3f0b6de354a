"""Models as torch.nn.Module with torch.optim: judged step by step, and refused where torch has no such module."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

from rnnspec.backends.torch.module_training import PROGRAM, ModuleTraining
from rnnspec.backends.training import Program
from rnnspec.conformance.commands.train import with_optimizer
from rnnspec.conformance.training.drawing import Batches, drawn_examples
from rnnspec.conformance.training.judging import Training, TrainingOutcome, judge
from rnnspec.spec.models import Model, model

AS_TORCH = ("epsilon_at=outside",)


def outcome(found: Model, program: Program, steps: int = 3) -> TrainingOutcome:
    batches = Batches(found, found.small, drawn_examples(found, found.small, 0))
    (one,) = judge(Training(found, found.small, steps, batches), {program.name: program}).outcomes
    return one


@pytest.mark.parametrize(
    "name",
    [
        "air-quality", "image-rows", "stacked-classifier", "text-bilstm-sigmoid", "text-lstm", "bidirectional-stack",
        "char-rnn", "sequence-reversal",
    ],
)  # fmt: skip
def test_a_module_of_torch_trains_as_the_specification_says(name: str) -> None:
    one = outcome(with_optimizer(model(name), AS_TORCH), PROGRAM)
    assert (one.verdict, len(one.losses)) == ("conforms", 3), (one.step, one.quantity, one.reason)
    assert 0 < one.worst < 1


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("image-rows", (), "torch adds epsilon to the root of the corrected mean"),
        ("text-bilstm", AS_TORCH, "torch's layers have no dropout between the steps"),
        ("bidirectional-relu", AS_TORCH, "torch's LSTM has no choice of activations"),
        ("tagging", AS_TORCH, "stage letter: no module of torch.nn takes lengths"),
        ("feature-attention", AS_TORCH, "stage gate: torch.nn has no feature_attention"),
    ],
)
def test_a_model_that_torch_has_no_words_for_is_refused(name: str, settings: tuple[str, ...], reason: str) -> None:
    one = outcome(with_optimizer(model(name), settings), PROGRAM, steps=1)
    assert (one.verdict, one.step) == ("refused", 0)
    assert reason in one.reason


@pytest.mark.parametrize(
    ("trained", "step", "quantity"),
    [("both biases", 1, "gradient of recurrent.b"), ("no zero_grad", 2, "gradient of head.W")],
)
def test_mistakes_of_a_script_are_named(trained: str, step: int, quantity: str) -> None:
    class Wrong(ModuleTraining):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            if trained == "both biases":
                bias = self._module.stages["recurrent"].own.bias_hh_l0.requires_grad_()
                self._optimizer.add_param_group({"params": [bias]})
            else:
                self._optimizer.zero_grad = lambda: None

    one = outcome(with_optimizer(model("image-rows"), AS_TORCH), replace(PROGRAM, begin=Wrong))
    assert (one.verdict, one.step) == ("violates", step)
    assert one.quantity == quantity
