"""Training as a framework's users write it: what it is given, and what a step of it shows to a judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.models import Model


@dataclass(frozen=True)
class StepTaken:
    """What a step of training shows, by the names of the specification: parameters are ``stage.input``.

    A framework that keeps something for itself, such as the gradients within ``fit``, leaves it out.
    """

    loss: Array
    parameters: NamedArrays
    states: Mapping[tuple[str, str], Array]
    """The optimizer's states, flat, by the parameter's name and the state's own."""

    gradients: NamedArrays = field(default_factory=dict)
    clipped: NamedArrays = field(default_factory=dict)
    answer: Array | None = None
    """The answer of a model with dropout to the same batch after the step, without dropout."""


class NativeTraining(Protocol):
    """The training of one model, with a module and an optimizer of the framework."""

    def do(self, batch: NamedArrays) -> StepTaken:
        """Make one step with a batch of NumPy arrays, in float64 and whole numbers."""


@dataclass(frozen=True)
class Program:
    """A framework's way to train.

    `begin` takes a model, sizes in place of its own, first parameters in float64 and a type. It raises `Unsupported`,
    with the stage or the attribute, for a model that the framework cannot be given in its own words.
    """

    name: str
    about: str
    versions: Callable[[], Mapping[str, str]]
    begin: Callable[[Model, Mapping[str, int], NamedArrays, str], NativeTraining]

    def __call__(self, *given: Any) -> NativeTraining:
        """Begin a training."""
        return self.begin(*given)
