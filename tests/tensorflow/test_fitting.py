"""Models as keras.Model, trained by fit: judged step by step, and refused where Keras has no such layer or step."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow")

from rnnspec.backends.tensorflow.fitting import PROGRAM
from rnnspec.conformance.training.drawing import Batches, drawn_examples
from rnnspec.conformance.training.judging import Training, TrainingOutcome, judge
from rnnspec.spec.models import model


def outcome(name: str, steps: int) -> TrainingOutcome:
    found = model(name)
    batches = Batches(found, found.small, drawn_examples(found, found.small, 0))
    (one,) = judge(Training(found, found.small, steps, batches), {"keras-fit": PROGRAM}).outcomes
    return one


@pytest.mark.parametrize("name", ["stacked-classifier", "bidirectional-relu", "bidirectional-stack"])
def test_a_model_of_keras_is_fitted_as_the_specification_says(name: str) -> None:
    one = outcome(name, 2)
    assert (one.verdict, len(one.losses)) == ("conforms", 2), (one.step, one.quantity, one.reason)
    assert 0 < one.worst < 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text-bilstm", "stage forward: Keras's layers have no recurrent_dropout"),
        ("feature-attention", "stage gate: Keras has no layer feature_attention"),
        ("char-rnn", "clipping and schedules"),
        ("tagging", "Keras has no loss crf_log_likelihood"),
    ],
)
def test_a_model_that_keras_has_no_words_for_is_refused(name: str, reason: str) -> None:
    one = outcome(name, 1)
    assert (one.verdict, one.step) == ("refused", 0)
    assert reason in one.reason
