"""Ways to misread a call, or to hand out its results wrongly, that are no change of an equation.

A misreading alters the call that is computed, shows other results than were computed, or both: a weight is transposed,
gates stand in another order, an attribute or the lengths are not read, an output is given at another step.
"""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.backends import Call
from rnnspec.conformance.diagnosis.misreadings import attributes, cotangents, gates, inputs, order, outputs, steps
from rnnspec.conformance.diagnosis.misreadings.misreading import Misreading

__all__ = ["Misreading", "misreadings", "wrong_gradients"]


def misreadings(call: Call) -> Iterator[Misreading]:
    """Yield every misreading that may be told from what is right at a call like this one, by its outputs."""
    yield from inputs.misread(call)
    yield from gates.misread(call)
    yield from attributes.misread(call)
    if call.spec.has_steps:
        yield from steps.misread(call)
        yield from order.misread(call)
    yield from outputs.given_wrongly(call)


def wrong_gradients(call: Call) -> Iterator[Misreading]:
    """Yield ways to hand out right gradients wrongly, or to take the gradients of another call than was made."""
    yield from attributes.misread(call)
    yield from outputs.gradients_given_wrongly(call)
    yield from gates.gradients_given_wrongly(call)
    yield from cotangents.misread(call)
