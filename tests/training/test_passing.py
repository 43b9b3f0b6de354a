"""A pass through a model: its gradient against differences of the loss, views, concatenation, evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.training.drawing import Batches, drawn_examples, first_parameters
from rnnspec.conformance.training.engine import ReferenceEngine
from rnnspec.conformance.training.passing import through
from rnnspec.conformance.training.trainer import Trainer
from rnnspec.spec.arrays import NamedArrays
from rnnspec.spec.models import model, models

ENGINE = ReferenceEngine(format_of("float64"))


def begun(name: str, seed: int = 0) -> tuple[NamedArrays, NamedArrays]:
    """Parameters, none of them 0, and a batch."""
    found = model(name)
    rng = np.random.default_rng(seed)
    parameters = first_parameters(found, found.small, seed)
    parameters = {k: array + 0.3 * rng.normal(size=array.shape) for k, array in parameters.items()}
    batch = next(iter(Batches(found, found.small, drawn_examples(found, found.small, seed))))
    batch |= {k: rng.normal(size=batch[k].shape) for k in found.carries}
    return parameters, batch


def loss(name: str, parameters: NamedArrays, batch: NamedArrays) -> float:
    found = model(name)
    return float(through(found, ENGINE, parameters, batch, sizes=found.small).loss())


@pytest.mark.parametrize("name", models())
def test_the_gradient_of_the_whole_is_that_of_its_loss(name: str) -> None:
    parameters, batch = begun(name)
    found = model(name)
    gradients = through(found, ENGINE, parameters, batch, sizes=found.small).gradients()
    assert set(gradients) == set(parameters)
    rng, h = np.random.default_rng(1), 1e-6
    for key, array in parameters.items():
        direction = rng.normal(size=array.shape)
        there = loss(name, {**parameters, key: array + h * direction}, batch)
        back = loss(name, {**parameters, key: array - h * direction}, batch)
        slope = (there - back) / (2 * h)
        assert (gradients[key] * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-8), key


def test_a_shared_parameter_gets_the_gradients_of_all_its_stages() -> None:
    parameters, batch = begun("semantic-roles")
    found = model("semantic-roles")
    whole = through(found, ENGINE, parameters, batch, sizes=found.small).gradients()["word.E"]
    used = np.unique(np.concatenate([batch["words"].ravel(), batch["context"].ravel()]))
    assert set(used) == {int(row) for row in np.flatnonzero(np.abs(whole).sum(axis=1))}


def test_without_training_nothing_is_dropped_and_targets_may_be_absent() -> None:
    parameters, batch = begun("text-bilstm")
    found = model("text-bilstm")
    asked = {"words": batch["words"]}
    trainer = Trainer(found, ENGINE, parameters, found.small)
    answers = trainer.predicted(asked)
    assert answers.shape == (4, 2)
    kept = {k: np.ones_like(array) if array.dtype == np.bool_ else array for k, array in batch.items()}
    dropped = through(found, ENGINE, parameters, kept, sizes=found.small).values["head.y"]
    # With everything kept, dropout still scales: so the answers differ from those of training.
    assert not np.allclose(answers, dropped)
    assert np.array_equal(answers, trainer.predicted(batch))


def test_a_shorter_batch_is_a_batch_of_its_own_size() -> None:
    found = model("tagging")
    parameters, batch = begun("tagging")
    one = {k: array[:1] for k, array in batch.items()}
    each = [loss("tagging", parameters, {k: a[n : n + 1] for k, a in batch.items()}) for n in range(4)]
    assert loss("tagging", parameters, one) == pytest.approx(each[0])
    assert loss("tagging", parameters, batch) == pytest.approx(np.mean(each))
    assert found.sizes["B"] == 32


@pytest.mark.parametrize("name", ["char-rnn"])
def test_the_state_after_a_batch_begins_the_next(name: str) -> None:
    found = model(name)
    parameters, batch = begun(name)
    batch |= {k: np.zeros_like(batch[k]) for k in found.carries}
    trainer = Trainer(found, ENGINE, parameters, found.small)
    first = trainer.do(batch)
    carried = dict(trainer.carried)
    assert set(carried) == {"state_lower", "state_upper"}
    second = trainer.do(batch)
    assert float(first.loss) == pytest.approx(loss(name, parameters, batch))
    assert float(second.loss) == pytest.approx(loss(name, dict(first.parameters), {**batch, **carried}))
    assert float(second.loss) != pytest.approx(loss(name, dict(first.parameters), batch))
