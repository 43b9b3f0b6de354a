"""A pass through a model's stages, and the way back by the chain rule.

Stages are specified operations; what joins them, the layout of an array in another shape and several arrays one after
another, has its gradient here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from rnnspec.conformance.training.engine import ArrayEngine, Back
from rnnspec.spec import resolved
from rnnspec.spec.models import Loss, Model, Read, Stage
from rnnspec.spec.models.shapes import viewed

Arrays = dict[str, Any]

_DROPPING: Final = ("dropout", "recurrent_dropout")
"""Attributes that have an effect in training only."""


@dataclass
class Pass:
    """One pass through a model: all that was computed, and the way back of each stage."""

    model: Model
    engine: ArrayEngine
    sizes: Mapping[str, int]
    """Sizes of this batch."""

    values: Arrays
    """Data and outputs (``stage.output``)."""

    backs: dict[str, Back]

    def loss(self) -> Any:
        """Return the loss, a number."""
        parts = [self.engine.sum(self.values[part.of]) * self.weight(part) for part in self.model.losses]
        return sum(parts[1:], start=parts[0])

    def weight(self, part: Loss) -> float:
        """Return the weight of a part of the loss, which its gradient begins with."""
        return part.weight / self.sizes[part.over] if part.over else part.weight

    def gradients(self) -> Arrays:
        """Return the gradient of every parameter, that of the last stage first."""
        handed: Arrays = {}
        for part in self.model.losses:
            _add(handed, part.of, self.engine.array(np.full(tuple(self.values[part.of].shape), self.weight(part))))
        found: Arrays = {}
        for stage in reversed(self.model.stages):
            outputs = stage.operation.outputs_for(stage.attributes)
            cotangents = {k: handed.pop(f"{stage.name}.{k}") for k in outputs if f"{stage.name}.{k}" in handed}
            if cotangents:
                self._through(stage, cotangents, handed, found)
        return found

    def _through(self, stage: Stage, cotangents: Arrays, handed: Arrays, found: Arrays) -> None:
        """Go back through a stage: add to what is handed to those before it, and to gradients of parameters."""
        data = self.model.data
        reads = {k: r for k, r in stage.reads.items() if _computed(r, self.model)}
        back = self.backs.get(stage.name)
        if back is None:  # the stage passed on what it read
            gradients: Mapping[str, Any] = dict(zip(reads, cotangents.values(), strict=True))
        else:
            gradients = back(cotangents)
        for name, read in reads.items():
            for source, part in zip(read.sources, self._taken_apart(read, gradients[name]), strict=True):
                if source not in data:
                    _add(handed, source, part)
        for name in stage.parameters if back is not None else ():
            _add(found, stage.parameter(name), gradients[name])

    def _taken_apart(self, read: Read, gradient: Any) -> Sequence[Any]:
        """Return the gradient of each source of what was read."""
        shapes = [tuple(self.values[source].shape) for source in read.sources]
        if len(shapes) == 1:
            return [self.engine.reshape(gradient, shapes[0])]
        whole = self.engine.reshape(gradient, (*shapes[0][:-1], sum(shape[-1] for shape in shapes)))
        ends = [0, *(int(end) for end in np.cumsum([shape[-1] for shape in shapes]))]
        return [whole[..., first:last] for first, last in pairwise(ends)]


def through(
    model: Model,
    engine: ArrayEngine,
    parameters: Mapping[str, Any],
    batch: Mapping[str, Any],
    *,
    sizes: Mapping[str, int] | None = None,
    training: bool = True,
) -> Pass:
    """Go through the stages of a model.

    Parameters
    ----------
    model, engine
        The model, and what computes its operations.
    parameters
        Parameters by name, arrays of the engine.
    batch
        Data by name, arrays of the engine. Only the first axis may be shorter than the sizes of the model, and then is
        for all. Without training, what dropout keeps may be absent, as may the targets of a loss.
    sizes
        Sizes in place of the model's own; those that are an axis of the data are as the data has them.
    training
        Whether dropout has an effect, and the way back is kept.
    """
    found = Pass(model, engine, _sizes(model, batch, sizes or {}), dict(batch), {})
    for stage in model.stages:
        if not training and not _can_run(stage, found.values, model):
            continue
        inputs = {
            name: _read(found, stage, name) for name, read in stage.reads.items() if read.sources[0] in found.values
        }
        inputs |= {name: parameters[stage.parameter(name)] for name in stage.parameters}
        attributes = dict(stage.attributes)
        if not training:
            if stage.operation.name == "dropout":
                found.values[f"{stage.name}.y"] = inputs["x"]
                continue
            attributes |= {name: None for name in _DROPPING if name in attributes}
            kept = resolved(stage.operation, attributes).inputs_for(attributes)
            inputs = {name: array for name, array in inputs.items() if name in kept}
            outputs = engine.run(stage.operation, inputs, attributes)
        else:
            wanted = [*(name for name, read in stage.reads.items() if _computed(read, model)), *stage.parameters]
            outputs, found.backs[stage.name] = engine.recorded(stage.operation, inputs, attributes, wanted)
        found.values |= {f"{stage.name}.{name}": output for name, output in outputs.items()}
    return found


def _can_run(stage: Stage, values: Mapping[str, Any], model: Model) -> bool:
    """Whether all is there that a stage reads; what dropout keeps need not be."""
    needed = {source for read in stage.reads.values() for source in read.sources}
    return all(source in values or (source in model.data and model.data[source].kind == "bits") for source in needed)


def _read(found: Pass, stage: Stage, name: str) -> Any:
    read = stage.reads[name]
    parts = [found.values[source] for source in read.sources]
    whole = parts[0] if len(parts) == 1 else found.engine.concat(parts, len(parts[0].shape) - 1)
    if not read.view:
        return whole
    place = f"{found.model.name}: stage {stage.name}, {name}"
    return found.engine.reshape(whole, viewed(read, tuple(whole.shape), found.sizes, place))


def _computed(read: Read, model: Model) -> bool:
    """Whether something that is read is computed, and so has a gradient that goes on."""
    return any(source not in model.data for source in read.sources)


def _sizes(model: Model, batch: Mapping[str, Any], given: Mapping[str, int]) -> dict[str, int]:
    """Sizes of a batch: those that are an axis of data are as the data has them."""
    sizes = model.at(given)
    for name, item in model.data.items():
        if name in batch:
            sizes |= {axis: n for axis, n in zip(item.shape, batch[name].shape, strict=True) if axis in sizes}
    return sizes


def _add(sums: Arrays, name: str, array: Any) -> None:
    sums[name] = sums[name] + array if name in sums else array
