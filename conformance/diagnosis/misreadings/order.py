"""Sequences that stand in another order than they were given in: sorted by length for a kernel, and not turned back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.diagnosis.misreadings.misreading import Misreading
from rnnspec.conformance.faults.altered import valid_of, with_inputs
from rnnspec.spec.arrays import Array, NamedArrays

_GIVEN: Final = (("with lengths", ("lengths",)), ("with lengths or a mask", ("lengths", "mask")))
"""Inputs by which sequences may be sorted, in words."""


def misread(call: Call) -> Iterator[Misreading]:
    """Yield ways to leave some arrays in the order of lengths, or to bring them into it twice."""
    if not {"lengths", "mask"} & call.inputs.keys():
        return
    items = call.spec.inputs_for(call.attributes)
    states = [name for name in call.float_inputs if items[name].shape[:1] == ("B",) and "T" not in items[name].shape]
    outputs = [name for name, item in call.spec.outputs_for(call.attributes).items() if item.shape[:1] == ("B",)]
    lasting = [name for name in outputs if name.endswith("_n")]
    for words, given in _GIVEN:
        for turned, again in (("the longest first", False), ("by the places of the sorted ones", True)):
            for names in _some(lasting, outputs):
                text = f"{words}, {_told(names)} left sorted by length, {turned}"
                show = partial(_sorted_results, names=names, given=given, again=again)
                yield Misreading(text, outputs=show)
            for names in _some(states, states):
                text = f"{words}, {_told(names)} not sorted by length as the sequences are, {turned}"
                yield Misreading(text, partial(_sorted_inputs, names=names, given=given, again=again))


def _some(first: list[str], everything: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield each name alone, the first ones together, and all of them."""
    yield from dict.fromkeys(filter(None, ((name,) for name in everything)))
    yield from dict.fromkeys(names for names in (tuple(first), tuple(everything)) if len(names) > 1)


def _told(names: tuple[str, ...]) -> str:
    return f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'}"


def _order(call: Call, given: tuple[str, ...], *, again: bool) -> Array | None:
    """The places of the sequences from the longest to the shortest, or the inverse; None where nothing is sorted."""
    if not any(name in call.inputs for name in given):
        return None
    order = np.argsort(-valid_of(call).sum(axis=1), kind="stable")
    return np.argsort(order) if again else order


def _sorted_results(
    call: Call, found: NamedArrays, names: tuple[str, ...], given: tuple[str, ...], *, again: bool
) -> NamedArrays:
    order = _order(call, given, again=again)
    return found if order is None else {name: a[order] if name in names else a for name, a in found.items()}


def _sorted_inputs(call: Call, names: tuple[str, ...], given: tuple[str, ...], *, again: bool) -> Call:
    order = _order(call, given, again=again)
    return call if order is None else with_inputs(call, **{n: call.inputs[n][order] for n in names if n in call.inputs})
