"""Layers as Keras and ONNX have them: both directions of a layer in one, and each layer after the one that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise

from rnnspec.backends.layouts.arrays import NumpyShaping
from rnnspec.backends.layouts.finding import Groups, LayerPlace, family_of
from rnnspec.backends.layouts.gates import Family, LayoutError


@dataclass(frozen=True)
class Layer:
    """One layer, in one direction or both."""

    places: tuple[LayerPlace, ...]
    family: Family
    features: int
    units: int
    resets_after: bool

    @property
    def name(self) -> str:
        """Path and number, as among the specification's arrays, without the direction."""
        first = self.places[0]
        return LayerPlace(first.path, first.number).grouped_name("") or "layer"

    @property
    def both(self) -> bool:
        """Whether it has both directions."""
        return len(self.places) == 2

    @property
    def cell(self) -> bool:
        """Whether it is a single step."""
        return self.places[0].number is None

    @property
    def width(self) -> int:
        """Features of its outputs."""
        return self.units * len(self.places)


def layers_of(layers: Groups) -> list[Layer]:
    """The layers, in order, of their places; LayoutError if two directions of one are no equals."""
    found = []
    for _, group in groupby(layers, key=lambda place: (place.path, place.number)):
        places = tuple(group)
        kinds = {_kind(layers, place) for place in places}
        if len(kinds) > 1:
            raise LayoutError(
                f"{places[0].grouped_name('')}: expected two directions of the same family and sizes, got "
                + " and ".join(
                    f"{family} (D = {features}, H = {units})" for family, features, units, _ in sorted(kinds)
                )
            )
        found.append(Layer(places, *kinds.pop()))
    return found


def stacks_of(layers: Groups) -> list[list[Layer]]:
    """The layers of each path, in which each reads the one before; LayoutError if one cannot."""
    stacks = [list(group) for _, group in groupby(layers_of(layers), key=lambda layer: layer.places[0].path)]
    for stack in stacks:
        expect_chain(stack)
    return stacks


def expect_chain(layers: list[Layer]) -> None:
    """LayoutError unless each layer reads as many features as the one before it gives."""
    for before, after in pairwise(layers):
        if before.width != after.features:
            raise LayoutError(
                f"{after.name}: expected {before.width} features, as {before.name} gives, got {after.features}"
            )


def _kind(layers: Groups, place: LayerPlace) -> tuple[Family, int, int, bool]:
    arrays = layers[place]
    return family_of(NumpyShaping(), arrays), arrays["W"].shape[2], arrays["R"].shape[1], "b_rn" in arrays
