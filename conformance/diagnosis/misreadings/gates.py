"""Gates, or named rows, that stand in another order on their axis of a parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations, permutations
from typing import Final

from rnnspec.backends import Call
from rnnspec.conformance.diagnosis.misreadings.misreading import Misreading, gradient_as
from rnnspec.conformance.faults.altered import with_inputs
from rnnspec.spec.arrays import Array

MOST: Final = 4
"""Gates of which every order is tried; of more, those in which two have changed places."""


def misread(call: Call) -> Iterator[Misreading]:
    """Yield every other order of the gates, in all parameters that have them or in one, and of named rows."""
    items = call.spec.inputs_for(call.attributes)
    axes = {name: items[name].shape.index("G") for name in call.float_inputs if "G" in items[name].shape}
    for order, words in _orders(call.spec.gates_for(call.attributes)):
        yield Misreading(f"gates are read in the order {words}", partial(_taken_of, axes=axes, order=order))
        for name, axis in axes.items() if len(axes) > 1 else ():
            words_of = f"the gates of {name} are read in the order {words}"
            yield Misreading(words_of, partial(_taken_of, axes={name: axis}, order=order))
    for name in call.float_inputs:
        rows = tuple(items[name].rows)
        for order, words in _orders(rows) if rows else ():
            axis = items[name].shape.index(str(len(rows)))
            words_of = f"the rows of {name} are read in the order {words}"
            yield Misreading(words_of, partial(_taken_of, axes={name: axis}, order=order))


def gradients_given_wrongly(call: Call) -> Iterator[Misreading]:
    """Yield every other order of the gates in a gradient."""
    items = call.spec.inputs_for(call.attributes)
    for order, words in _orders(call.spec.gates_for(call.attributes)):
        for name in call.float_inputs:
            if "G" in items[name].shape:
                taken = partial(_taken, order=order, axis=items[name].shape.index("G"))
                yield gradient_as(f"the gates of d{name} are given in the order {words}", name, taken)


def _orders(names: Sequence[str]) -> Iterator[tuple[list[int], str]]:
    """Yield every other order of these names, and its words; of many, those in which two have changed places."""
    usual = list(range(len(names)))
    if len(names) <= MOST:
        orders = [list(order) for order in permutations(usual)][1:]
    else:
        orders = [[{a: b, b: a}.get(place, place) for place in usual] for a, b in combinations(usual, 2)]
    for order in orders:
        yield order, ", ".join(names[place] for place in order)


def _taken(array: Array, order: Sequence[int], axis: int) -> Array:
    return array.take(order, axis) if array.shape[axis] == len(order) else array


def _taken_of(call: Call, axes: Mapping[str, int], order: Sequence[int]) -> Call:
    there = {name: axis for name, axis in axes.items() if name in call.inputs}
    return with_inputs(call, **{name: _taken(call.inputs[name], order, axis) for name, axis in there.items()})
