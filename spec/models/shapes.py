"""Every shape of a model at the sizes of a run, worked out from the shapes of its data and of its operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from rnnspec.spec.call import check_call, complete_sizes
from rnnspec.spec.errors import CallError, SpecError, one_of
from rnnspec.spec.language import parse_size, size_of
from rnnspec.spec.models.model import Data, Model, Read, Stage
from rnnspec.spec.operation import Input

Shape = tuple[int, ...]

TYPES: Final = {"float": np.float64, "one_hot": np.float64, "ids": np.int64, "bits": np.bool_, "lengths": np.int64}
"""Types of the data's kinds; float64 stands for the type of a run."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a model: its shape, and what it belongs to."""

    name: str
    shape: Shape
    stage: Stage
    input: Input


@dataclass(frozen=True)
class Shapes:
    """Shapes of a model: of its data, of every output (``stage.output``), its parameters, and the sizes of stages."""

    data: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    parameters: Mapping[str, Parameter]
    sizes: Mapping[str, Mapping[str, int]]
    """Sizes of each stage's operation, by the stage's name."""


def shapes(model: Model, sizes: Mapping[str, int] | None = None) -> Shapes:
    """Work out the shapes of a model.

    Parameters
    ----------
    model
        The model.
    sizes
        Sizes in place of the model's own.

    Raises
    ------
    SpecError
        If a size is unknown or no size, or shapes do not fit; the message names the model and the stage.
    """
    known = model.at(sizes or {})
    for name, size in known.items():
        if name not in model.sizes:
            raise SpecError(f"{model.name}: unknown size {name!r}: {one_of(name, model.sizes)}")
        if size < 1:
            raise SpecError(f"{model.name}: size {name}: expected at least 1, got {size}")
    data = {name: _shape(item.shape, known, f"{model.name}: data {name}") for name, item in model.data.items()}
    found = _Found(model, known, dict(data), {}, {}, {})
    for stage in model.stages:
        found.add(stage)
    return Shapes(
        data, {name: shape for name, shape in found.shapes.items() if name not in data}, found.parameters, found.stages
    )


def viewed(read: Read, whole: Shape, sizes: Mapping[str, int], place: str) -> Shape:
    """Return the shape of what is read, from that of its sources put together."""
    if not read.view:
        return whole
    shape = _shape(read.view, sizes, place)
    if prod(shape) != prod(whole):
        raise SpecError(
            f"{place}: expected as many numbers as {' '.join(read.view)} = {shape} has, {prod(shape)}, "
            f"got {' and '.join(read.sources)} of shape {whole}"
        )
    return shape


@dataclass
class _Found:
    """The shapes and sizes that are known after some stages."""

    model: Model
    sizes: Mapping[str, int]
    shapes: dict[str, Shape]
    kinds: dict[str, Data]
    parameters: dict[str, Parameter]
    stages: dict[str, Mapping[str, int]]

    def add(self, stage: Stage) -> None:
        """Work out the shapes of a stage's parameters and outputs, and check its call."""
        place = f"{self.model.name}: stage {stage.name}"
        op, items = stage.operation, stage.operation.inputs_for(stage.attributes)
        read = {name: self._read(stage.reads[name], f"{place}, {name}") for name in stage.reads}
        own = {symbol: self._size(text, f"{place}, size {symbol}") for symbol, text in stage.sizes.items()}
        for name, shape in read.items():
            for axis, length in zip(items[name].shape, shape, strict=False):  # the check of the call tells of others
                own.setdefault(axis, length)
        own = complete_sizes(op, stage.attributes, {axis: n for axis, n in own.items() if not axis.isdigit()})
        arrays: dict[str, Any] = {}
        for name, shape in read.items():
            kind = self.model.data[stage.reads[name].sources[0]].kind if self._is_data(stage.reads[name]) else "float"
            arrays[name] = np.broadcast_to(np.zeros((), TYPES[kind]), shape)
        for name in stage.parameters:
            shape = _resolved(items[name].shape, own, f"{place}, parameter {name}")
            self._parameter(Parameter(stage.parameter(name), shape, stage, items[name]), place)
            arrays[name] = np.broadcast_to(np.zeros(()), shape)
        try:
            checked = check_call(op.name, arrays, stage.attributes)
        except CallError as error:
            raise SpecError(f"{place}: {error}") from error
        own = complete_sizes(op, stage.attributes, {**own, **checked.sizes})
        self.stages[stage.name] = own
        for name, output in op.outputs_for(stage.attributes).items():
            self.shapes[f"{stage.name}.{name}"] = _resolved(output.shape, own, f"{place}, output {name}")

    def _parameter(self, parameter: Parameter, place: str) -> None:
        there = self.parameters.setdefault(parameter.name, parameter)
        if there.shape != parameter.shape:
            raise SpecError(
                f"{place}: {parameter.input.name} shares {parameter.name}: expected shape {there.shape}, "
                f"got {parameter.shape}"
            )

    def _is_data(self, read: Read) -> bool:
        return read.sources[0] in self.model.data

    def _read(self, read: Read, place: str) -> Shape:
        parts = [self.shapes[source] for source in read.sources]
        if len({part[:-1] for part in parts}) > 1:
            told = ", ".join(f"{name} {shape}" for name, shape in zip(read.sources, parts, strict=True))
            raise SpecError(f"{place}: expected shapes that differ in the last axis alone, got {told}")
        whole = (*parts[0][:-1], sum(part[-1] for part in parts)) if len(parts) > 1 else parts[0]
        return viewed(read, whole, self.sizes, place)

    def _size(self, text: str, place: str) -> int:
        return _shape((text,), self.sizes, place)[0]


def _shape(axes: Iterable[str], sizes: Mapping[str, int], place: str) -> Shape:
    try:
        return tuple(size_of(parse_size(axis, place), sizes) for axis in axes)
    except KeyError as error:
        raise SpecError(f"{place}: unknown size {error}: expected one of {', '.join(sizes)}") from error


def _resolved(axes: tuple[str, ...], sizes: Mapping[str, int], place: str) -> Shape:
    unknown = [axis for axis in axes if not axis.isdigit() and axis not in sizes]
    if unknown:
        raise SpecError(f"{place}: expected the size {unknown[0]}, which nothing that is read gives; add it to sizes")
    return tuple(int(axis) if axis.isdigit() else sizes[axis] for axis in axes)
