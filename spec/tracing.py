"""Every intermediate value of a call, as the literal equations give it, for a person who ports a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from rnnspec.spec.arrays import Array
from rnnspec.spec.errors import SpecError
from rnnspec.spec.evaluate import Evaluation, Key, LiteralCall
from rnnspec.spec.language import Equation
from rnnspec.spec.loading import operation
from rnnspec.spec.printing import equation_text, reading_order
from rnnspec.spec.system import System


def plain(value: Any) -> Any:
    """Return a number or an array as plain data; numbers that are not finite become their names."""
    array = np.asarray(value)
    if array.dtype.kind in "biu":
        return array.tolist()
    if array.ndim:
        return [plain(one) for one in array]
    return float(array) if np.isfinite(float(array)) else str(float(array))


@dataclass(frozen=True)
class Quantity:
    """One value: ``name[index]``, and the equation that gives it."""

    name: str
    index: tuple[int, ...]
    value: Any
    equation: Equation

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, with the equation as text."""
        return {
            "name": self.name,
            "index": list(self.index),
            "value": plain(self.value),
            "equation": equation_text(self.equation),
        }

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name


def trace(
    name: str,
    inputs: Mapping[str, Array],
    attributes: Mapping[str, Any] | None = None,
    *,
    cotangents: tuple[Array, ...] | None = None,
    sequence: int = 0,
) -> list[Quantity]:
    """Values of all quantities that the outputs of one sequence are made of.

    Parameters
    ----------
    name, inputs, attributes
        As of `rnnspec.spec.evaluate`.
    cotangents
        One per float output, in the outputs' shapes: then the quantities of the gradient follow those of the outputs.
    sequence
        The sequence, from 0; of an operation on whole batches, it is the batch.

    Returns
    -------
    list of Quantity
        In the order in which the equations are read, step by step, and each after those that it uses. Steps count the
        sequence's valid steps.

    Raises
    ------
    CallError
        If the call breaks the specification.
    SpecError
        If there is no such sequence, or the operation has no equations of its gradient.
    """
    call = _Call(operation(name), inputs, attributes or {})
    count = len(call.sequences)
    if not 0 <= sequence < count:
        raise SpecError(f"{name}: expected a sequence from 0 to {count - 1}, got {sequence}")
    call.outputs()
    if cotangents is not None:
        call.gradients(cotangents)
    return call.quantities(sequence, count)


class _Recorded(Evaluation):
    """An evaluation that records which quantities each one uses."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.uses: dict[Key, set[Key]] = {}

    def _value(self, name: str, index: tuple[int, ...]) -> Any:
        if self.path:
            self.uses.setdefault(self.path[-1], set()).add((name, index))
        return super()._value(name, index)


class _Call(LiteralCall):
    """A call that keeps what was worked out."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._kept: list[_Recorded] = []

    def evaluation(self, values: Mapping[str, Array], sizes: Mapping[str, int]) -> Evaluation:
        """The evaluation that computes the quantities of one sequence; kept."""
        self._kept.append(_Recorded(self.system, values, sizes))
        return self._kept[-1]

    def quantities(self, sequence: int, count: int) -> list[Quantity]:
        """All that was worked out of one sequence of so many, for the outputs and then for the gradients."""
        evaluations, rules = self._kept[sequence::count], self.system
        forward, gradient = _in_order(rules)
        places = {id(equation): place for place, equation in enumerate((*forward, *gradient))}
        known = {key: (value, one) for one in evaluations for key, value in one.known.items()}
        found = [Quantity(*key, value, evaluation.rule_of(*key)) for key, (value, evaluation) in known.items()]
        order = {(one.name, one.index): _place(places[id(one.equation)], one.index, back=len(forward)) for one in found}
        uses: dict[Key, set[Key]] = {key: set() for key in order}
        for evaluation in evaluations:
            for key, used in evaluation.uses.items():
                if key in uses:
                    uses[key] |= used & order.keys()
        named = {(one.name, one.index): one for one in found}
        return [named[key] for key in _after_what_they_use(order, uses)]


def _after_what_they_use(order: Mapping[Key, Any], uses: Mapping[Key, set[Key]]) -> list[Key]:
    """The quantities in this order, but each after those that it uses."""
    waits = {key: len(used) for key, used in uses.items()}
    users: dict[Key, list[Key]] = {key: [] for key in order}
    for key, used in uses.items():
        for one in used:
            users[one].append(key)
    ready = [(order[key], key) for key, count in waits.items() if count == 0]
    heapify(ready)
    found = []
    while ready:
        _, key = heappop(ready)
        found.append(key)
        for user in users[key]:
            waits[user] -= 1
            if waits[user] == 0:
                heappush(ready, (order[user], user))
    return found


def _in_order(rules: System) -> tuple[tuple[Equation, ...], tuple[Equation, ...]]:
    return (
        reading_order(rules.forward, rules.gradient, rules.sizes),
        reading_order(rules.gradient, rules.forward, rules.sizes),
    )


def _place(place: int, index: tuple[int, ...], back: int) -> tuple[Any, ...]:
    """Values before gradients, values from the first step on, gradients from the last one; quantities without a step
    last."""
    of_gradient = place >= back
    sign = -1 if of_gradient else 1
    return of_gradient, not index, [sign * step for step in reversed(index)], place
