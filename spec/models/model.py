"""A model as immutable data, which `rnnspec.spec.models.reading` reads from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rnnspec.spec.operation import Operation

DataKind = Literal["float", "one_hot", "ids", "bits", "lengths"]
KINDS: tuple[DataKind, ...] = ("float", "one_hot", "ids", "bits", "lengths")
"""Kinds of data: numbers; rows with one 1; ids; true where something is kept; valid steps of each sequence."""


@dataclass(frozen=True)
class Data:
    """An array of a batch: its symbolic shape, in sizes of the model and expressions of them."""

    name: str
    shape: tuple[str, ...]
    kind: DataKind
    about: str = ""
    below: str = ""
    """Size that bounds ids from above, exclusively; that of the steps, of lengths."""

    drops: float = 0.0
    """Of bits: the probability of false."""

    probability: bool = False
    """Of floats: whether each is 0 or 1."""

    padding: str = ""
    """Of ids: the size that marks padding, one more than all others, at steps beyond the lengths of the batch."""


@dataclass(frozen=True)
class Read:
    """Where an input of a stage comes from: data, or ``stage.output``, several one after another on the last axis.

    With `view`, what is read is laid out in another shape, in the same order of its numbers.
    """

    sources: tuple[str, ...]
    view: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """One specified operation of a model.

    Inputs that are no parameters are `reads`; a float input that all sequences share is a parameter of the stage, or
    the one of another stage that it `shares`. Optional parameters are only those named by `optional`.
    """

    name: str
    operation: Operation
    """The operation, with the parts that the attributes choose."""

    attributes: Mapping[str, Any]
    reads: Mapping[str, Read]
    sizes: Mapping[str, str] = field(default_factory=dict)
    """Sizes of the operation that do not follow from what it reads, in sizes of the model."""

    shares: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    initial: Mapping[str, float] = field(default_factory=dict)
    """First value of a parameter, or of its part that belongs to a gate (``b_f``), in place of a random or 0."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the inputs that are parameters, its own and shared ones."""
        items = self.operation.inputs_for(self.attributes)
        return tuple(
            name
            for name, item in items.items()
            if item.kind == "float"
            and not item.per_sequence
            and name not in self.reads
            and (not item.optional or name in self.optional)
        )

    def parameter(self, name: str) -> str:
        """Name in the model of the parameter that an input is."""
        return self.shares.get(name, f"{self.name}.{name}")


@dataclass(frozen=True)
class Loss:
    """A part of the loss: the sum over an output, times a weight, over a size where one is named."""

    of: str
    weight: float = 1.0
    over: str = ""


@dataclass(frozen=True)
class Step:
    """An operation that is done with gradients: a clipping, or an optimizer's step; with all its attributes."""

    operation: Operation
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Schedule:
    """The learning rate, multiplied by `factor` after every so many steps."""

    factor: float
    every: int

    def at(self, rate: float, step: int) -> float:
        """Return the learning rate of a step, the first of which is 1."""
        return float(rate * self.factor ** ((step - 1) // self.every))


@dataclass(frozen=True)
class Model:
    """A model: what a batch holds, stages in an order in which they can run, loss and optimizer."""

    name: str
    title: str
    summary: str
    sources: tuple[str, ...]
    sizes: Mapping[str, int]
    small: Mapping[str, int]
    """Sizes at which the model is tried quickly, in place of those of its program."""

    data: Mapping[str, Data]
    stages: tuple[Stage, ...]
    losses: tuple[Loss, ...]
    optimizer: Step
    clipping: Step | None = None
    schedule: Schedule | None = None
    carries: Mapping[str, str] = field(default_factory=dict)
    """Data that is 0 for the first batch, each with the output that takes its place for the next one."""

    predicts: str = ""
    """The output that is the model's answer."""

    def stage(self, name: str) -> Stage:
        """Return the stage of a name."""
        return next(stage for stage in self.stages if stage.name == name)

    def at(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return the sizes of the model, some of them replaced."""
        return {**self.sizes, **sizes}
