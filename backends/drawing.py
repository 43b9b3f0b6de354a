"""Dropout whose masks a library draws itself: the request to an adapter, and the inputs that it replaces.

The specification's masks are inputs, and its rate is an attribute. A library that draws has neither: an adapter's
method ``drawn_OPERATION`` is given the other inputs and attributes of the call, and a `Drawing`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Literal

from rnnspec import spec
from rnnspec.backends.call import Call, Unsupported
from rnnspec.spec.composition import possible_inputs

DRAWN: Final = "drawn_"
"""How the name of a method begins that draws the masks of an operation."""

OPTIONS: Final = ("rate", "training", "seed", "shared_over")
"""What such a method may be given beside inputs and attributes."""


@dataclass(frozen=True)
class Drawing:
    """How masks are to be drawn.

    `rate` is the probability with which a unit is dropped, 0 and 1 included. A `seed` of None goes on with the numbers
    of the call before. `shared_over` asks for a choice for each step, or for one for the whole sequence.
    """

    rate: float
    training: bool = True
    seed: int | None = None
    shared_over: Literal["none", "time"] = "none"

    def options(self, method: Callable[..., Any], call: Call, who: str) -> dict[str, Any]:
        """Keyword arguments for a method that draws; Unsupported if it has no choice of steps and one is asked for."""
        options = {"rate": self.rate, "training": self.training, "seed": self.seed}
        masks = masks_of(call.operation)
        if masks is None or not masks.at_each_step:
            return options
        parameters = inspect.signature(method).parameters.values()
        if any(one.name == "shared_over" or one.kind is one.VAR_KEYWORD for one in parameters):
            return {**options, "shared_over": self.shared_over}
        if self.shared_over != "none":
            raise Unsupported(f"{who} draws no masks of {call.operation} that are the same at every step")
        return options


@dataclass(frozen=True)
class Masks:
    """The input of an operation that says what dropout keeps, and the attribute that is its rate."""

    mask: str
    rate: str
    at_each_step: bool = False
    """Whether the mask has a choice for each step, and no attribute says that it is the same at all."""

    mixes: bool = False
    """Whether a unit that is not kept is that of another input, and the operation with a rate is the expectation."""

    def left_out_of(self, call: Call) -> Call:
        """The call with the rate at its default, and without the mask where the operation then has none."""
        attributes = {**call.attributes, self.rate: call.spec.attributes[self.rate].default}
        items = call.spec.inputs_for(attributes)
        inputs = {name: array for name, array in call.inputs.items() if name in items}
        return replace(call, attributes=attributes, inputs=inputs)


@cache
def masks_of(operation: str) -> Masks | None:
    """The mask of an operation's dropout, and its rate; None if it drops nothing."""
    op = spec.operation(operation)
    for name, item in possible_inputs(op).items():
        if item.kind == "bits" and item.per_sequence:
            chances = {key for key, attribute in op.attributes.items() if attribute.domain == "probability"}
            for rate in chances & item.when.keys() or chances:
                at_each_step = "T" in item.shape and "shared_over" not in op.attributes
                return Masks(name, rate, at_each_step, mixes=item.when.get(rate) == "none")
    return None
