"""Inputs that are not read, read twice, turned round, transposed, or read one for another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations, permutations
from typing import Final

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.diagnosis.misreadings.misreading import (
    Misreading,
    first_of,
    flipped,
    read_as,
    swapped,
    times,
)
from rnnspec.conformance.faults.altered import with_inputs

_BLOCKS: Final = (4, 8, 16, 32)
"""Numbers of sequences that kernels take at once."""


def misread(call: Call) -> Iterator[Misreading]:
    """Yield the misreadings of a call's float inputs, and of its batch."""
    floats = call.float_inputs
    for name, array in floats.items():
        yield read_as(f"{name} is not read: it is taken as 0", name, partial(times, factor=0))
        yield read_as(f"{name} counts twice", name, partial(times, factor=2))
        yield read_as(f"{name} has the other sign", name, partial(times, factor=-1))
        for axis in range(array.ndim):
            if array.shape[axis] > 1:
                yield read_as(f"{name} is read backwards along axis {axis}", name, partial(flipped, axis=axis))
                if axis + 1 < array.ndim and array.shape[axis] == array.shape[axis + 1]:
                    words = f"{name} is transposed" + f" (axes {axis} and {axis + 1})" * (array.ndim > 2)
                    yield read_as(words, name, partial(swapped, axis=axis))
                if array.ndim > 1:
                    words = f"{name} is read as what stands first along its axis {axis}"
                    yield read_as(words, name, partial(first_of, axis=axis))
    for one, other in combinations(floats, 2):
        if floats[one].shape == floats[other].shape:
            yield Misreading(f"{one} and {other} are exchanged", partial(_exchanged, one=one, other=other))
    for source, name in permutations(floats, 2):
        if floats[source].shape == floats[name].shape:
            yield Misreading(
                f"{source} is read in the place of {name}", partial(_for_another, source=source, name=name)
            )
    items = call.spec.inputs_for(call.attributes)
    rows = [name for name in call.inputs if items[name].per_sequence]
    if rows and all(len(call.inputs[name]) > 1 for name in rows):
        for words, place in (("first", 0), ("last", -1)):
            yield Misreading(f"the {words} sequence is computed for all", partial(_one_for_all, place=place))
    for block in _BLOCKS:
        if rows and all(len(call.inputs[name]) > block for name in rows):
            for names in dict.fromkeys([*((name,) for name in rows), tuple(rows)]):
                words = f"{' and '.join(names)} of a sequence b is read at b % {block}"
                yield Misreading(words, partial(_at_remainder, names=names, block=block))


def _at_remainder(call: Call, names: tuple[str, ...], block: int) -> Call:
    rows = {name: call.inputs[name] for name in names if name in call.inputs}
    return with_inputs(call, **{name: array[np.arange(len(array)) % block] for name, array in rows.items()})


def _exchanged(call: Call, one: str, other: str) -> Call:
    """Return the call with two inputs in each other's place; one that is absent is so in the other's."""
    others = {name: array for name, array in call.inputs.items() if name not in (one, other)}
    turned = {one: call.inputs.get(other), other: call.inputs.get(one)}
    return replace(call, inputs={**others, **{name: array for name, array in turned.items() if array is not None}})


def _for_another(call: Call, source: str, name: str) -> Call:
    return with_inputs(call, **{name: call.inputs[source]}) if {source, name} <= call.inputs.keys() else call


def _one_for_all(call: Call, place: int) -> Call:
    items = call.spec.inputs_for(call.attributes)
    rows = {name: array for name, array in call.inputs.items() if items[name].per_sequence and len(array)}
    return with_inputs(call, **{name: array.take([place] * len(array), axis=0) for name, array in rows.items()})
