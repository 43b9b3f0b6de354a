"""How a case is chosen: one procedure for Hypothesis, which shrinks, and for plain random numbers, which are fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rnnspec.conformance.cases.case import Case, Steps
from rnnspec.conformance.cases.regimes import REGIMES
from rnnspec.conformance.cases.support import Support, everything
from rnnspec.spec import operation, resolved
from rnnspec.spec.operation import Attribute, holds


class Choices(Protocol):
    """A source of choices; what stands first is the simplest, to which failures shrink."""

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options."""

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""


class RandomChoices:
    """Choices from a NumPy generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options, all alike likely."""
        return options[int(self.rng.integers(len(options)))]

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, all alike likely."""
        return int(self.rng.integers(low, high + 1))


# Weighted by repetition: mostly small, all distinct sizes likely, and now and then nothing at all.
_BATCHES = (1, 2, 3, 4, 2, 3, 4, 2, 3, 5, 0)
# A choice among few says little of how it was made: of sequences that end in ids there are more.
_BATCHES_OF_IDS = (1, 2, 8, 12, 16, 20, 12, 16, 5, 24, 0)
_STEPS = (1, 2, 3, 4, 2, 3, 4, 5, 6, 3, 4, 5, 0)
_UNITS = (1, 2, 3, 4, 2, 3, 4, 5, 3, 4)
_STEP_KINDS: tuple[Steps, ...] = ("all", "lengths", "lengths", "right_mask", "mask")


@dataclass(frozen=True)
class Scope:
    """Which cases to draw: of an operation, in a type.

    With `largest`, one in four has sizes up to that; attributes are chosen among those of `support` (all by default).
    """

    operation: str
    dtype: str
    largest: int = 0
    support: Support | None = None


def draw_case(choices: Choices, scope: Scope) -> Case:
    """Choose a case."""
    op = operation(scope.operation)
    support = scope.support or everything(scope.operation)
    # Of what an adapter does in several ways, half is what the library does itself: that is what people run.
    own = support.own if support.own is not None and choices.pick((True, False)) else None
    values = own.values if own else support.values
    big = scope.largest > 0 and choices.pick((False, False, False, True))
    attributes = op.defaults()
    for key, attribute in op.attributes.items():
        if holds(attribute.when, attributes) and values[key]:
            attributes[key] = _draw_value(choices, attribute, values[key])
    op = resolved(op, attributes)
    given = {"G", "n", *op.same_sizes_for(attributes), *(item.size for item in op.attributes.values())}
    sizes = {}
    batches = _BATCHES_OF_IDS if any(output.kind == "ids" for output in op.outputs.values()) else _BATCHES
    for symbol in op.sizes:
        if symbol in given:
            continue
        usual = {"B": batches, "T": _STEPS}.get(symbol, _UNITS)
        size = choices.integer(1, scope.largest) if big else choices.pick(usual)
        sizes[symbol] = max(size, op.at_least.get(symbol, 0))
    optional = [key for key, item in op.inputs.items() if item.optional and item.kind == "float"]
    absent = tuple(optional) if optional and choices.pick((False, False, False, True)) else ()
    step_kinds = tuple(kind for kind in _STEP_KINDS if own is None or kind in own.steps)
    return Case(
        operation=scope.operation,
        dtype=scope.dtype,
        sizes=sizes,
        attributes=attributes,
        regime=choices.pick(tuple(REGIMES)),
        steps=choices.pick(step_kinds) if op.has_steps else "all",
        absent=absent,
        seed=choices.integer(0, 2**31 - 1),
    )


def _draw_value(choices: Choices, attribute: Attribute, values: Sequence[Any]) -> Any:
    if not attribute.is_tuple:
        return choices.pick(values)
    # Mostly as people use it: what else is wrong shows best there.
    usual = choices.pick((True, True, False))
    return attribute.default if usual else tuple(choices.pick(entry) for entry in values)
