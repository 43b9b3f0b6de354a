"""Training for its own sake: a model learns from real data, and what it has learned is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.training.drawing import Batches, first_parameters
from rnnspec.conformance.training.engine import BackendEngine
from rnnspec.conformance.training.passing import Pass, through
from rnnspec.conformance.training.pictures import Picture
from rnnspec.conformance.training.trainer import Trainer
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.models import Model, model

AT_ONCE: Final = 256
"""Examples that are answered at once."""


@dataclass(frozen=True)
class Lesson:
    """The data that a model learns from, and its measures."""

    sizes: Mapping[str, int]
    train: NamedArrays
    epochs: int
    source: str
    """Where the data is from, and its licence."""

    measure: Callable[[Learner], Mapping[str, float]]
    """Measures of what was learned, by name, with those of a simple rule to compare with."""

    picture: Callable[[Learner], Sequence[Picture]] = lambda learner: ()
    """Pictures of what was learned."""

    write: Callable[[Learner], Mapping[str, str]] = lambda learner: {}
    """Texts that the model writes, by what they are."""


Prepare = Callable[[tuple[Path, ...], int], Lesson]
"""From files, of which there may be none, and a seed to a lesson."""

LESSONS: Final[dict[str, Prepare]] = {}
"""Lessons by the name of the model."""


def lesson(name: str) -> Callable[[Prepare], Prepare]:
    """Enter a function as the lesson of a model."""

    def enter(prepare: Prepare) -> Prepare:
        LESSONS[name] = prepare
        return prepare

    return enter


@dataclass(frozen=True)
class Learner:
    """A model after training: its answers, and its operations."""

    model: Model
    trainer: Trainer

    def passed(self, batch: Mapping[str, Array]) -> Pass:
        """Go through the model without dropout."""
        engine = self.trainer.engine
        given = {name: engine.array(array) for name, array in batch.items()}
        return through(
            self.model, engine, self.trainer.parameters, given, sizes=self.trainer.sizes, training=False
        )  # fmt: skip

    def answers(self, examples: NamedArrays) -> Array:
        """Return the model's answers to all examples."""
        count = len(next(iter(examples.values())))
        parts = [
            self.passed({name: array[k : k + AT_ONCE] for name, array in examples.items()}).values[self.model.predicts]
            for k in range(0, count, AT_ONCE)
        ]
        return np.concatenate(parts)


@dataclass
class Learned:
    """The outcome: the mean loss of each epoch, the measures, and the time."""

    model: str
    backend: str
    source: str
    epochs: int
    steps: int = 0
    seed: int = 0
    losses: list[float] = field(default_factory=list)
    step_losses: list[float] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    texts: dict[str, str] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()


def learn(
    name: str,
    backend: Backend,
    asked: Lesson,
    seed: int = 0,
    advanced: Callable[[int, float], Any] = lambda epoch, loss: None,
    ending: AbstractContextManager[Any, bool | None] | None = None,
) -> Learned:
    """Train a model on a backend in float32, and measure it.

    Parameters
    ----------
    name
        Name of the model.
    backend
        What computes it.
    asked
        The lesson.
    seed
        Of first parameters, order and dropout.
    advanced
        Is told each epoch that is done, and its mean loss.
    ending
        A block that the epochs run in; where it ends them early, those that are done are the result, and what was
        learned is measured as well.
    """
    found = model(name)
    began = time.monotonic()
    engine = BackendEngine(backend, "float32", format_of("float32"))
    trainer = Trainer(found, engine, first_parameters(found, asked.sizes, seed), asked.sizes, answers=False)
    batches = Batches(found, asked.sizes, asked.train, seed)
    result = Learned(name, backend.name, asked.source, asked.epochs, seed=seed)
    with ending or nullcontext():
        for epoch in range(asked.epochs):
            trainer.carried = {}
            losses = []
            for batch in batches.epoch(epoch):
                losses.append(float(trainer.do(batch).loss))
                result.step_losses.append(losses[-1])
                result.steps += 1
            result.losses.append(float(np.mean(losses)))
            advanced(epoch + 1, result.losses[-1])
    if result.steps:
        learner = Learner(found, trainer)
        result.measures = dict(asked.measure(learner))
        result.pictures, result.texts = asked.picture(learner), dict(asked.write(learner))
    result.seconds = time.monotonic() - began
    return result
