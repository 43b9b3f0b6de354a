"""Steps of training: a pass, its gradients, clipping, and the optimizer's step of every parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.conformance.training.engine import ArrayEngine
from rnnspec.conformance.training.passing import Arrays, Pass, through
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.models import Model


@dataclass(frozen=True)
class StepRecord:
    """Results of a step: the loss, the gradients and their common norm, and the parameters after it."""

    loss: Any
    norm: Any
    """None where the gradients are not shown, as within Keras's fit."""

    gradients: Mapping[str, Any]
    parameters: Mapping[str, Any]
    clipped: Mapping[str, Any]
    """The gradients that parameters moved by, of a model that clips them; else none."""

    states: Mapping[tuple[str, str], Any]
    """The optimizer's states, by the parameter's name and the state's own."""

    answer: Any = None
    """The answer of a model with dropout to the same batch after the step, without dropout."""


class Trainer:
    """The training of a model by an engine.

    Parameters
    ----------
    model
        The model.
    engine
        What computes its operations.
    parameters
        First values of all parameters, in float64.
    sizes
        Sizes in place of the model's own.
    answers
        Whether each step of a model with dropout also has the model's answer without it.
    """

    def __init__(
        self,
        model: Model,
        engine: ArrayEngine,
        parameters: NamedArrays,
        sizes: Mapping[str, int],
        *,
        answers: bool = True,
    ) -> None:
        self.model, self.engine, self.sizes, self.answers = model, engine, sizes, answers
        self.parameters: Arrays = {name: engine.array(array) for name, array in parameters.items()}
        self.states: dict[tuple[str, str], Any] = {}
        self.carried: Arrays = {}
        self.step = 0

    def do(self, batch: Mapping[str, Array]) -> StepRecord:
        """Make one step with a batch."""
        gradients, clipped, done = self.move({name: self.engine.array(array) for name, array in batch.items()})
        answer = self.predicted(batch) if self.answers and self.has_dropout and self.model.predicts else None
        told = {name: self.engine.numbers(d) for name, d in gradients.items()}
        moved_by = {name: self.engine.numbers(d) for name, d in clipped.items()} if self.model.clipping else {}
        parameters = {name: self.engine.numbers(array) for name, array in self.parameters.items()}
        states = {key: self.engine.numbers(array) for key, array in self.states.items()}
        loss = self.engine.numbers(done.loss())
        return StepRecord(loss, global_norm(told), told, parameters, moved_by, states, answer)

    def move(self, batch: Arrays) -> tuple[Arrays, Arrays, Pass]:
        """Make one step with a batch of arrays of the engine; return gradients, these as clipped, and the pass."""
        self.step += 1
        done = self.go_through(batch)
        gradients = self.gradients(done)
        self.carried = self.carry(done)
        clipped = self.clipped(gradients)
        self.update(clipped)
        return gradients, clipped, done

    @property
    def has_dropout(self) -> bool:
        """Whether anything is dropped in training."""
        return any(item.kind == "bits" for item in self.model.data.values())

    def predicted(self, batch: Mapping[str, Array]) -> Any:
        """Return the model's answer, without dropout."""
        given = {name: self.engine.array(array) for name, array in batch.items()}
        done = through(self.model, self.engine, self.parameters, given, sizes=self.sizes, training=False)
        return self.engine.numbers(done.values[self.model.predicts])

    # The parts of a step, which faults change.

    def go_through(self, batch: Arrays) -> Pass:
        """Go through the model; states that are carried go before those of the batch."""
        return through(self.model, self.engine, self.parameters, {**batch, **self.carried}, sizes=self.sizes)

    def gradients(self, done: Pass) -> Arrays:
        """Return the gradients of the parameters."""
        return done.gradients()

    def carry(self, done: Pass) -> Arrays:
        """Return the states that the next batch begins with."""
        return {name: done.values[source] for name, source in self.model.carries.items()}

    def clipped(self, gradients: Arrays) -> Arrays:
        """Return the gradients, clipped; each one alone, or all by their common norm."""
        if self.model.clipping is None:
            return gradients
        op, attributes = self.model.clipping.operation, self.model.clipping.attributes
        flat = {name: self._flat(d) for name, d in gradients.items()}
        if op.name == "clip_by_global_norm":
            # The operation has three arrays, which stand for any number: the third is here all others, end to end.
            first, second, *others = flat
            rest = self.engine.concat([flat[name] for name in others], 0)
            done = self.engine.run(op, {"x1": flat[first], "x2": flat[second], "x3": rest}, attributes)
            ends = np.cumsum([0, *(flat[name].shape[0] for name in others)])
            parts = [done["y3"][int(ends[k]) : int(ends[k + 1])] for k in range(len(others))]
            flat = dict(zip(flat, [done["y1"], done["y2"], *parts], strict=True))
        else:
            flat = {name: self.engine.run(op, {"x": d}, attributes)["y"] for name, d in flat.items()}
        return {name: self.engine.reshape(flat[name], d.shape) for name, d in gradients.items()}

    def learning_rate(self) -> float:
        """Return the learning rate of this step."""
        rate = self.model.optimizer.attributes["learning_rate"]
        return float(rate if self.model.schedule is None else self.model.schedule.at(rate, self.step))

    def update(self, gradients: Arrays) -> None:
        """Move every parameter by its gradient."""
        for name, gradient in gradients.items():
            self.parameters[name] = self.moved(name, gradient)

    def moved(self, name: str, gradient: Any) -> Any:
        """Return a parameter after the optimizer's step, and remember its state."""
        op, attributes = self.model.optimizer.operation, dict(self.model.optimizer.attributes)
        attributes["learning_rate"] = self.learning_rate()
        if "step" in attributes:
            attributes["step"] = self.step
        theta = self.parameters[name]
        inputs = {"theta": self._flat(theta), "g": self._flat(gradient)}
        remembered = [key for key in op.inputs_for(attributes) if key not in inputs]
        for key in remembered:
            inputs[key] = self.states.get((name, key), None)
            if inputs[key] is None:
                inputs[key] = self.engine.array(np.zeros(inputs["theta"].shape))
        after = self.engine.run(op, inputs, attributes)
        self.states |= {(name, key): after[f"{key}_next"] for key in remembered}
        return self.engine.reshape(after["theta_next"], theta.shape)

    def _flat(self, array: Any) -> Any:
        return self.engine.reshape(array, (math.prod(array.shape),))


def global_norm(gradients: Mapping[str, Any]) -> Any:
    """Return the norm of all gradients together."""
    squares = [(d * d).sum() for d in gradients.values()]
    # A sum of squares is not negative, nor is any version of it that rounding has moved from 0.
    return np.sqrt(np.maximum(sum(squares[1:], start=squares[0]), 0))
