"""Planted faults of training: wrong trainers, most of them mistakes that people make.

Each names the model in which it shows, and the first step and the first quantity that a judge must name.
"""

# ruff: noqa: D102  (a fault's class says what is wrong; its methods are the trainer's)
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

import ml_dtypes
import numpy as np

from rnnspec.conformance.training.engine import ArrayEngine
from rnnspec.conformance.training.judging import Training
from rnnspec.conformance.training.passing import Arrays, Pass, through
from rnnspec.conformance.training.trainer import StepRecord, Trainer
from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.models import Model, Read, Stage

FAULTS: Final[dict[str, type[FaultyTrainer]]] = {}
"""Every planted fault, by the name of its class."""


class FaultyTrainer(Trainer):
    """A trainer with one fault."""

    shows_in: ClassVar[str]
    """The model in which it shows."""

    step_shown: ClassVar[int]
    quantity: ClassVar[str]

    def __init__(self, request: Training, engine: ArrayEngine, parameters: NamedArrays) -> None:
        self.request = request
        super().__init__(self.misread(request.model), engine, parameters, request.sizes)

    def __init_subclass__(cls, *, shows_in: str, step: int, quantity: str) -> None:
        cls.shows_in, cls.step_shown, cls.quantity = shows_in, step, quantity
        FAULTS[cls.__name__] = cls

    def misread(self, model: Model) -> Model:
        """Return the model as it is trained."""
        return model

    def do(self, batch: Mapping[str, Array]) -> StepRecord:
        return super().do(self.received(dict(batch)))

    def received(self, batch: NamedArrays) -> NamedArrays:
        """Return the batch as it is trained with."""
        return batch


def _with_stage(model: Model, name: str, **changed: Any) -> Model:
    """The model with one stage changed."""

    def other(stage: Stage) -> Stage:
        return replace(stage, **changed) if stage.name == name else stage

    return replace(model, stages=tuple(other(stage) for stage in model.stages))


# Gradients.


class GradientsNotZeroed(FaultyTrainer, shows_in="air-quality", step=2, quantity="gradient of head.W"):
    """Each step's gradients are added to those of the steps before."""

    def gradients(self, done: Pass) -> Arrays:
        self.sums: Arrays = {
            name: d + self.sums[name] if self.step > 1 else d for name, d in super().gradients(done).items()
        }
        return dict(self.sums)


class ClippedAfterTheUpdate(FaultyTrainer, shows_in="char-rnn", step=1, quantity="clipped gradient of head.V"):
    """The parameters move by the gradients as they are; clipping comes too late."""

    def clipped(self, gradients: Arrays) -> Arrays:
        super().clipped(gradients)
        return gradients


class EachGradientClippedAlone(FaultyTrainer, shows_in="char-rnn", step=1, quantity="clipped gradient of head.V"):
    """Each gradient is clipped by its own norm, and their proportions change."""

    def clipped(self, gradients: Arrays) -> Arrays:
        assert self.model.clipping is not None
        most = self.model.clipping.attributes["threshold"]
        return {name: d * min(1.0, most / float(np.sqrt((d * d).sum()))) for name, d in gradients.items()}


class DecayInTheGradient(FaultyTrainer, shows_in="image-rows", step=1, quantity="optimizer's m of head.W"):
    """A share of each parameter is added to its gradient, which the model does not ask for."""

    def clipped(self, gradients: Arrays) -> Arrays:
        return {name: d + 0.01 * self.parameters[name] for name, d in super().clipped(gradients).items()}


class HalvesSummed(FaultyTrainer, shows_in="image-rows", step=1, quantity="gradient of head.W"):
    """Gradients of two halves of a batch, each a mean, are added and not averaged."""

    def gradients(self, done: Pass) -> Arrays:
        return {name: d * 2 for name, d in super().gradients(done).items()}


class SharedWeightsApart(FaultyTrainer, shows_in="semantic-roles", step=1, quantity="gradient of word.E"):
    """The table that words and context share gets the gradient of the words alone."""

    def gradients(self, done: Pass) -> Arrays:
        right = super().gradients(done)
        apart = Pass(_with_stage(done.model, "around", shares={}), done.engine, done.sizes, done.values, done.backs)
        return {name: apart.gradients()[name] for name in right}


# The loss.


class LossSummed(FaultyTrainer, shows_in="image-rows", step=1, quantity="loss"):
    """The loss is the sum over the batch, not the mean."""

    def misread(self, model: Model) -> Model:
        attributes = {**model.stage("surprise").attributes, "reduction": "sum"}
        return _with_stage(model, "surprise", attributes=attributes)


class LossOverPaddedSteps(FaultyTrainer, shows_in="tagging", step=1, quantity="loss"):
    """The loss is divided by all steps, padding included."""

    def misread(self, model: Model) -> Model:
        steps = model.at(self.request.sizes)["T"]
        return replace(model, losses=tuple(replace(part, weight=part.weight / steps) for part in model.losses))


class MeanOfAWholeBatch(FaultyTrainer, shows_in="tagging", step=3, quantity="loss"):
    """The sum is divided by the size of a whole batch, in a shorter one too."""

    def misread(self, model: Model) -> Model:
        size = model.at(self.request.sizes)["B"]
        return replace(model, losses=tuple(replace(p, weight=p.weight / size, over="") for p in model.losses))


class LengthsIgnored(FaultyTrainer, shows_in="tagging", step=1, quantity="loss"):
    """Padding is trained as if it were text."""

    def received(self, batch: NamedArrays) -> NamedArrays:
        return {**batch, "lengths": np.full_like(batch["lengths"], batch["tags"].shape[1])}


# Batches and states.


class LastBatchDropped(FaultyTrainer, shows_in="image-rows", step=3, quantity="loss"):
    """The last batch of an epoch, which is shorter, is left out."""

    def __init__(self, request: Training, engine: ArrayEngine, parameters: NamedArrays) -> None:
        super().__init__(request, engine, parameters)
        size = request.model.at(request.sizes)["B"]
        self.whole = (batch for batch in request.batches if len(batch["x"]) == size)

    def received(self, batch: NamedArrays) -> NamedArrays:
        return next(self.whole)


class SameOrderEveryEpoch(FaultyTrainer, shows_in="image-rows", step=4, quantity="loss"):
    """Every epoch has the order of the first."""

    def received(self, batch: NamedArrays) -> NamedArrays:
        return list(self.request.batches.epoch(0))[(self.step) % self.request.batches.per_epoch]


class LabelsShuffledApart(FaultyTrainer, shows_in="image-rows", step=1, quantity="loss"):
    """Images and labels are shuffled each in an order of its own."""

    def received(self, batch: NamedArrays) -> NamedArrays:
        return {**batch, "label": np.roll(batch["label"], 1, axis=0)}


class RowsShuffledBetweenStages(FaultyTrainer, shows_in="bidirectional-relu", step=1, quantity="loss"):
    """The reverse layer sees the sequences of a batch in another order than the forward layer."""

    def go_through(self, batch: Arrays) -> Pass:
        other = replace(self.model.data["x"], name="other")
        model = replace(self.model, data={**self.model.data, "other": other})
        model = _with_stage(model, "reverse", reads={"x": Read(("other",))})
        given = {**batch, "other": np.roll(batch["x"], 1, axis=0)}
        return through(model, self.engine, self.parameters, given, sizes=self.sizes)


class StateCarriedOver(FaultyTrainer, shows_in="image-rows", step=2, quantity="loss"):
    """Each batch begins with the state after the one before, as if its images went on."""

    def misread(self, model: Model) -> Model:
        reads = {"x": Read(("rows.y",)), "h0": Read(("h",)), "c0": Read(("c",))}
        of = model.data["x"]
        data = {name: replace(of, name=name, shape=("B", "H")) for name in ("h", "c")}
        return replace(_with_stage(model, "recurrent", reads=reads), data={**model.data, **data})

    def received(self, batch: NamedArrays) -> NamedArrays:
        count, units = len(batch["x"]), self.model.at(self.sizes)["H"]
        kept: NamedArrays = getattr(self, "kept", {name: np.zeros((count, units)) for name in ("h", "c")})
        return {**batch, **{name: array[:count] for name, array in kept.items()}}

    def carry(self, done: Pass) -> Arrays:
        self.kept = {"h": done.values["recurrent.h_n"], "c": done.values["recurrent.c_n"]}
        return {}


class StateNotCarried(FaultyTrainer, shows_in="char-rnn", step=2, quantity="loss"):
    """Each stretch of a text begins with a state of 0."""

    def carry(self, done: Pass) -> Arrays:
        return {}


class StatesExchanged(FaultyTrainer, shows_in="char-rnn", step=2, quantity="loss"):
    """The lower layer goes on from the upper layer's state, and the upper from the lower's."""

    def carry(self, done: Pass) -> Arrays:
        lower, upper = super().carry(done).values()
        return {"state_lower": upper, "state_upper": lower}


# Dropout.


class NoDropoutInTraining(FaultyTrainer, shows_in="text-lstm", step=1, quantity="loss"):
    """Everything is kept, and scaled up all the same."""

    def received(self, batch: NamedArrays) -> NamedArrays:
        return {name: np.ones_like(array) if array.dtype == np.bool_ else array for name, array in batch.items()}


class OneMaskForAllSteps(FaultyTrainer, shows_in="text-lstm", step=2, quantity="loss"):
    """All batches keep the units that the first one keeps."""

    def received(self, batch: NamedArrays) -> NamedArrays:
        masks = {name: array for name, array in batch.items() if array.dtype == np.bool_}
        self.first: NamedArrays = getattr(self, "first", masks)
        return {**batch, **{name: array[: len(batch["words"])] for name, array in self.first.items()}}


class DropoutAtEvaluation(FaultyTrainer, shows_in="text-lstm", step=1, quantity="answer without dropout"):
    """The model's answers are given with dropout."""

    def predicted(self, batch: Mapping[str, Array]) -> Any:
        given = {name: self.engine.array(array) for name, array in batch.items()}
        return through(self.model, self.engine, self.parameters, given, sizes=self.sizes).values[self.model.predicts]


class ScaledAtEvaluation(FaultyTrainer, shows_in="text-lstm", step=1, quantity="answer without dropout"):
    """Kept features are scaled up in training, and all are scaled down at evaluation besides."""

    def predicted(self, batch: Mapping[str, Array]) -> Any:
        return super().predicted(batch) * self.engine.array(np.array(0.5))


class MasksExchanged(FaultyTrainer, shows_in="text-bilstm", step=1, quantity="loss"):
    """The forward layer's recurrent dropout keeps what is the reverse layer's to keep."""

    def received(self, batch: NamedArrays) -> NamedArrays:
        forward, reverse = batch["keep_state_forward"], batch["keep_state_reverse"]
        return {**batch, "keep_state_forward": reverse, "keep_state_reverse": forward}


# The optimizer.


class RateOneStepLate(FaultyTrainer, shows_in="char-rnn", step=6, quantity="update of letter.E"):
    """The schedule counts from the second step: the learning rate falls one step late."""

    def learning_rate(self) -> float:
        self.step -= 1
        try:
            return super().learning_rate() if self.step else self.model.optimizer.attributes["learning_rate"]
        finally:
            self.step += 1


class StateForgotten(FaultyTrainer, shows_in="air-quality", step=2, quantity="optimizer's m of head.W"):
    """The optimizer is made anew for every step, and its running means begin at 0."""

    def update(self, gradients: Arrays) -> None:
        self.states.clear()
        super().update(gradients)


class StateSharedBySize(FaultyTrainer, shows_in="bidirectional-relu", step=1, quantity="optimizer's v of forward.W"):
    """Parameters of one size share the optimizer's state."""

    def moved(self, name: str, gradient: Any) -> Any:
        self.shared: dict[tuple[int, str], Any] = getattr(self, "shared", {})
        size = gradient.size
        self.states |= {(name, key): array for (other, key), array in self.shared.items() if other == size}
        after = super().moved(name, gradient)
        self.shared |= {(size, key): array for (owner, key), array in self.states.items() if owner == name}
        return after


class EpsilonElsewhere(FaultyTrainer, shows_in="air-quality", step=1, quantity="update of recurrent.W"):
    """Epsilon is added to the root of the corrected mean, as torch does, where the model says Keras's place."""

    def misread(self, model: Model) -> Model:
        attributes = {**model.optimizer.attributes, "epsilon_at": "outside"}
        return replace(model, optimizer=replace(model.optimizer, attributes=attributes))


class StepsCountedTwice(FaultyTrainer, shows_in="image-rows", step=1, quantity="update of rows.V"):
    """The count of Adam's steps rises with every parameter, not with every step."""

    def update(self, gradients: Arrays) -> None:
        for place, (name, gradient) in enumerate(gradients.items()):
            kept, self.step = self.step, (self.step - 1) * len(gradients) + place + 1
            self.parameters[name] = self.moved(name, gradient)
            self.step = kept


class BiasNotTrained(FaultyTrainer, shows_in="image-rows", step=1, quantity="update of recurrent.b"):
    """One parameter is not among those that the optimizer moves."""

    def update(self, gradients: Arrays) -> None:
        super().update({name: d for name, d in gradients.items() if name != "recurrent.b"})


class ParametersInTwoBytes(FaultyTrainer, shows_in="image-rows", step=1, quantity="update of rows.V"):
    """Parameters are kept in bfloat16 between steps."""

    def moved(self, name: str, gradient: Any) -> Any:
        after = super().moved(name, gradient)
        return after.astype(ml_dtypes.bfloat16).astype(after.dtype)
