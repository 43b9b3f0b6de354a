"""Levels: the kinds of values that cases give an attribute.

An attribute with listed values has a level for each. A numeric attribute has a level for its default, which may be
None, for each number that implementations are fixed to, for each end of its range, and for the numbers between. An end
may depend on sizes, which are therefore chosen first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np

from rnnspec.conformance.cases.streams import stream
from rnnspec.spec import Operation, complete_sizes, resolved
from rnnspec.spec.activations import tried
from rnnspec.spec.operation import WHOLE, Attribute

RangePlace = Literal["least", "within", "greatest"]
_PLACES: Final[tuple[RangePlace, ...]] = ("least", "within", "greatest")
_DECADES: Final = 9
"""Decades below the greatest number down to which numbers are drawn, if the range begins at 0."""


@dataclass(frozen=True)
class Level:
    """One kind of value of an attribute, identified by its name and the attribute's name."""

    name: str
    attribute: str
    of: Attribute = field(compare=False, repr=False)
    place: RangePlace | None = field(default=None, compare=False, repr=False)
    """Place of the number in its range; None if the level has one value."""

    only: Any = field(default=None, compare=False, repr=False)
    """The value of a level with one value, and of one of which a value is drawn the first."""

    among: tuple[Any, ...] = ()
    """Values of which one is drawn."""

    @property
    def is_drawn(self) -> bool:
        """Whether the value depends on sizes or chance."""
        return self.place is not None or bool(self.among)

    def value(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Any:
        """Return a value of this level in a call of these sizes."""
        if self.among:
            return self.among[int(rng.integers(len(self.among)))]
        if self.place is None:
            return self.only
        low, high = self.of.ends(sizes)
        match self.place:
            case "least":
                return low
            case "greatest":
                return high
        return _between(self.of, low, high, rng)


Levels = tuple[Level, ...]


def levels_of(attribute: Attribute) -> Levels:
    """Return the levels of an attribute that is no tuple, the default's first."""
    if not attribute.domain:
        return _choices(attribute, attribute.default)
    first = Level("None" if attribute.default is None else "default", attribute.name, attribute, only=attribute.default)
    usual = (Level(str(number), attribute.name, attribute, only=number) for number in attribute.usual)
    return (first, *usual, *(Level(place, attribute.name, attribute, place) for place in _PLACES))


def entry_levels(attribute: Attribute, index: int) -> Levels:
    """Return the levels of one entry of a tuple, the default's first."""
    return _choices(attribute, attribute.default[index])


def standing_for(level: Level | Levels) -> Any:
    """Return a level's value before sizes are known: 1 for a number that is drawn later."""
    if isinstance(level, Level):
        return 1 if level.place is not None else level.only
    return tuple(entry.only for entry in level)


def settled(op: Operation, levels: Mapping[str, Level | Levels], sizes: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Return every attribute's value at its level; attributes without a level have their defaults.

    Each value has a stream of its own. Values that depend on sizes come last, since other attributes may set sizes.
    """
    attributes = op.defaults()
    by_sizes = [key for key in levels if any(isinstance(end, str) for end in op.attributes[key].range)]
    for key in (*(key for key in levels if key not in by_sizes), *by_sizes):
        level = levels[key]
        known = complete_sizes(resolved(op, attributes), attributes, sizes) if key in by_sizes else dict(sizes)
        if isinstance(level, Level):
            attributes[key] = level.value(stream(seed, f"attribute {key}"), known) if level.is_drawn else level.only
        else:
            entries = ((entry, stream(seed, f"attribute {key} {place}")) for place, entry in enumerate(level))
            attributes[key] = tuple(entry.value(rng, known) for entry, rng in entries)
    return attributes


def _choices(attribute: Attribute, default: Any) -> Levels:
    values = (default, *(value for value in attribute.values if value != default))
    levels = tuple(Level(str(value), attribute.name, attribute, only=value) for value in values)
    others = tuple(value for value in tried() if value not in values) if attribute.others else ()
    return (*levels, among(Level("another", attribute.name, attribute), others)) if others else levels


def among(level: Level, values: tuple[Any, ...]) -> Level:
    """Return a level of which one of these values is drawn."""
    return replace(level, only=values[0], among=values)


def between(attribute: Attribute, low: int, high: int) -> list[int]:
    """Return the whole numbers between two ends that have no level of their own."""
    return [number for number in range(low + 1, high) if number not in attribute.usual]


def _between(attribute: Attribute, low: Any, high: Any, rng: np.random.Generator) -> Any:
    """A number between two ends, and an end only if there is no other."""
    if attribute.domain in WHOLE:
        inner = between(attribute, low, high) or list(range(low, high + 1))
        return inner[int(rng.integers(len(inner)))]
    if attribute.domain == "probability":  # half of them below a tenth
        return float(low + (high - low) * rng.random() ** 3)
    if low == high:
        return float(low)
    return float(np.exp(rng.uniform(np.log(low or high * 10.0**-_DECADES), np.log(high))))
