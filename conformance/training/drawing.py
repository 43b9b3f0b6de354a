"""First parameters of a model, examples drawn at random, and batches of examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from rnnspec.spec.arrays import Array, NamedArrays
from rnnspec.spec.models import Data, Model, Parameter, shapes

BATCHES: Final = 2
"""Whole batches of drawn examples; half a batch more is left for the last one."""


def first_parameters(model: Model, sizes: Mapping[str, int], seed: int) -> NamedArrays:
    """Return first values of all parameters, in float64.

    Matrices are uniform within one over the root of the numbers that each unit adds up, vectors are 0, unless the model
    says otherwise.
    """
    found: NamedArrays = {}
    for number, parameter in enumerate(shapes(model, sizes).parameters.values()):
        rng = np.random.default_rng((seed, 1, number))
        shape, matrix = (
            parameter.shape,
            len([axis for axis in parameter.input.shape if axis not in ("G", "L", "2")]) > 1,
        )
        array = rng.uniform(-1, 1, shape) / shape[-1] ** 0.5 if matrix else np.zeros(shape)
        found[parameter.name] = _begun(parameter, array)
    return found


def _begun(parameter: Parameter, array: Array) -> Array:
    """The parameter with the first values that its stage names."""
    stage, name = parameter.stage, parameter.input.name
    for key, value in stage.initial.items():
        if key == name:
            array = np.full(array.shape, value)
        for gate, letter in enumerate(stage.operation.gates_for(stage.attributes)):
            if key == f"{name}_{letter}":
                np.moveaxis(array, parameter.input.shape.index("G"), 0)[gate] = value
    return array


def drawn_examples(model: Model, sizes: Mapping[str, int], seed: int, batches: float = BATCHES + 0.5) -> NamedArrays:
    """Draw examples at random: numbers, ids and lengths in the shapes of a model's data, so many batches."""
    known = model.at(sizes)
    whole = shapes(model, sizes).data
    count = max(int(known["B"] * batches), 1)
    if model.carries:
        count = known["B"] * max(int(batches), 1)
    found: NamedArrays = {}
    for number, (name, item) in enumerate(model.data.items()):
        if item.kind != "bits" and name not in model.carries:
            rng = np.random.default_rng((seed, 2, number))
            found[name] = _drawn(item, (count, *whole[name][1:]), known, rng)
    return padded(model, found, known)


def padded(model: Model, examples: NamedArrays, sizes: Mapping[str, int]) -> NamedArrays:
    """Return examples whose padding is marked by a label, where the model has it so."""
    marked = [item for item in model.data.values() if item.padding and item.name in examples]
    lengths = [examples[item.name] for item in model.data.values() if item.kind == "lengths" and item.name in examples]
    for item in marked:
        valid = np.arange(examples[item.name].shape[1]) < lengths[0][:, np.newaxis]
        examples = {**examples, item.name: np.where(valid, examples[item.name], sizes[item.padding])}
    return examples


def _drawn(item: Data, shape: tuple[int, ...], sizes: Mapping[str, int], rng: np.random.Generator) -> Array:
    match item.kind:
        case "ids":
            return rng.integers(0, sizes[item.below] if item.below in sizes else int(item.below), shape)
        case "lengths":
            return rng.integers(1, sizes[item.below] + 1, shape)
        case "one_hot":
            return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    return rng.integers(0, 2, shape).astype(np.float64) if item.probability else rng.normal(size=shape)


@dataclass(frozen=True)
class Batches:
    """Batches of examples, epoch after epoch, in an order that the seed gives; the last of an epoch may be shorter.

    States that are carried are 0 in every batch, and examples then keep their order. The units that dropout
    keeps are drawn anew for every batch.
    """

    model: Model
    sizes: Mapping[str, int]
    examples: NamedArrays
    seed: int = 0

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(next(iter(self.examples.values())))

    @property
    def per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.count // self.model.at(self.sizes)["B"])

    def __iter__(self) -> Iterator[NamedArrays]:
        epoch = 0
        while True:
            yield from self.epoch(epoch)
            epoch += 1

    def epoch(self, number: int) -> Iterator[NamedArrays]:
        """Yield the batches of one epoch."""
        size = self.model.at(self.sizes)["B"]
        order = np.arange(self.count)
        if not self.model.carries:
            np.random.default_rng((self.seed, 3, number)).shuffle(order)
        for place in range(self.per_epoch):
            chosen = order[place * size : (place + 1) * size]
            batch = {name: array[chosen] for name, array in self.examples.items()}
            yield batch | self._added(len(chosen), np.random.default_rng((self.seed, 4, number, place)))

    def _added(self, count: int, rng: np.random.Generator) -> NamedArrays:
        """The other arrays of a batch of so many examples: the units that dropout keeps, and states of 0."""
        whole = shapes(self.model, self.sizes).data
        found: NamedArrays = {}
        for name, item in self.model.data.items():
            if item.kind == "bits":
                found[name] = rng.random((count, *whole[name][1:])) >= item.drops
            elif name in self.model.carries:
                found[name] = np.zeros((count, *whole[name][1:]))
        return found
