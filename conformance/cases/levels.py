"""Levels: the kinds of values that an attribute is tried at.

A choice among values has a level for each. A number has one for each end of its range and one for all that lies
between, for its default, for None where that is legal, and for each number that implementations are fixed to. Where an
end depends on sizes, so do the values: sizes are chosen first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from rnnspec.conformance.cases.streams import stream
from rnnspec.spec import Operation, complete_sizes, resolved
from rnnspec.spec.operation import WHOLE, Attribute

RangePlace = Literal["least", "within", "greatest"]
_PLACES: Final[tuple[RangePlace, ...]] = ("least", "within", "greatest")
_DECADES: Final = 9
"""How far below the greatest number those from 0 on are drawn."""


@dataclass(frozen=True)
class Level:
    """One kind of value of an attribute; its name and the attribute's make it what it is."""

    name: str
    attribute: str
    of: Attribute = field(compare=False, repr=False)
    place: RangePlace | None = field(default=None, compare=False, repr=False)
    """Where in the range a number lies; None: the level has one value."""

    only: Any = field(default=None, compare=False, repr=False)
    """The one value."""

    @property
    def is_drawn(self) -> bool:
        """Whether the value depends on sizes or chance."""
        return self.place is not None

    def value(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Any:
        """A value of this level, in a call of these sizes."""
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
    """The levels of an attribute that is no tuple, the default's first."""
    if not attribute.domain:
        return _choices(attribute, attribute.default)
    first = Level("None" if attribute.default is None else "default", attribute.name, attribute, only=attribute.default)
    usual = (Level(str(number), attribute.name, attribute, only=number) for number in attribute.usual)
    return (first, *usual, *(Level(place, attribute.name, attribute, place) for place in _PLACES))


def entry_levels(attribute: Attribute, index: int) -> Levels:
    """The levels of one entry of a tuple, the default's first."""
    return _choices(attribute, attribute.default[index])


def standing_for(level: Level | Levels) -> Any:
    """What stands for a level's value until there are sizes: for a number that is drawn, any."""
    if isinstance(level, Level):
        return 1 if level.is_drawn else level.only
    return tuple(entry.only for entry in level)


def settled(op: Operation, levels: Mapping[str, Level | Levels], sizes: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Every attribute's value at its level; those without one are at their defaults.

    Each is drawn from a stream of its own. What depends on sizes comes last: others may set those sizes.
    """
    attributes = op.defaults()
    by_sizes = [key for key in levels if any(isinstance(end, str) for end in op.attributes[key].range)]
    for key in (*(key for key in levels if key not in by_sizes), *by_sizes):
        level = levels[key]
        known = complete_sizes(resolved(op, attributes), attributes, sizes) if key in by_sizes else dict(sizes)
        if isinstance(level, Level):
            attributes[key] = level.value(stream(seed, f"attribute {key}"), known) if level.is_drawn else level.only
        else:
            attributes[key] = tuple(entry.only for entry in level)
    return attributes


def _choices(attribute: Attribute, default: Any) -> Levels:
    values = (default, *(value for value in attribute.values if value != default))
    return tuple(Level(str(value), attribute.name, attribute, only=value) for value in values)


def between(attribute: Attribute, low: int, high: int) -> list[int]:
    """Whole numbers between two ends that have no level of their own."""
    return [number for number in range(low + 1, high) if number not in attribute.usual]


def _between(attribute: Attribute, low: Any, high: Any, rng: np.random.Generator) -> Any:
    """A number between two ends, at none of them where there is another."""
    if attribute.domain in WHOLE:
        inner = between(attribute, low, high) or list(range(low, high + 1))
        return inner[int(rng.integers(len(inner)))]
    if attribute.domain == "probability":  # half of them below a tenth
        return float(low + (high - low) * rng.random() ** 3)
    if low == high:
        return float(low)
    return float(np.exp(rng.uniform(np.log(low or high * 10.0**-_DECADES), np.log(high))))
