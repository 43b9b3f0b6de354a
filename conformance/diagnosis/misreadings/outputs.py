"""Right results that are handed out wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import combinations, permutations

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.diagnosis.misreadings.misreading import (
    Misreading,
    exchanged,
    flipped,
    gradient_as,
    shown_as,
    swapped,
    times,
)
from rnnspec.spec.arrays import NamedArrays


def given_wrongly(call: Call) -> Iterator[Misreading]:
    """Yield ways to hand out right outputs wrongly."""
    outputs = call.spec.outputs_for(call.attributes)
    items = call.spec.inputs_for(call.attributes)
    for name, item in outputs.items():
        if item.kind == "float":
            yield shown_as(f"{name} is 0", name, partial(times, factor=0))
            yield shown_as(f"{name} is doubled", name, partial(times, factor=2))
            yield shown_as(f"{name} has the other sign", name, partial(times, factor=-1))
        yield shown_as(f"{name} is given flat, with one axis", name, np.ravel)
        yield shown_as(f"{name} is given without its axes of size 1", name, np.squeeze)
        for axis in range(len(item.shape)):
            yield shown_as(f"{name} is given backwards along axis {axis}", name, partial(flipped, axis=axis))
            if axis + 1 < len(item.shape):
                words = f"{name} is transposed (axes {axis} and {axis + 1})"
                yield shown_as(words, name, partial(swapped, axis=axis))
        for given in call.float_inputs:
            if items[given].shape == item.shape:
                words = f"{name} is {given}, as it was given"
                yield Misreading(words, outputs=partial(_as_given, name=name, given=given))
    for one, other in combinations(outputs, 2):
        if outputs[one].kind == outputs[other].kind:
            yield Misreading(f"{one} and {other} are exchanged", outputs=exchanged(one, other))
    for source, name in permutations(outputs, 2):
        if outputs[source].kind == outputs[name].kind:
            words = f"{source} is given in the place of {name}"
            yield Misreading(words, outputs=partial(_given_for, source=source, name=name))


def gradients_given_wrongly(call: Call) -> Iterator[Misreading]:
    """Yield ways to hand out right gradients wrongly."""
    items = call.spec.inputs_for(call.attributes)
    floats = call.float_inputs
    for name, array in floats.items():
        yield gradient_as(f"d{name} is 0", name, partial(times, factor=0))
        yield gradient_as(f"d{name} is doubled", name, partial(times, factor=2))
        yield gradient_as(f"d{name} has the other sign", name, partial(times, factor=-1))
        yield gradient_as(f"d{name} is given flat, with one axis", name, np.ravel)
        yield gradient_as(f"d{name} is given without its axes of size 1", name, np.squeeze)
        if array.ndim >= 2 and array.shape[-1] == array.shape[-2]:
            yield gradient_as(f"d{name} is transposed", name, partial(swapped, axis=array.ndim - 2))
    for one, other in combinations(floats, 2):
        if floats[one].shape == floats[other].shape:
            yield Misreading(f"d{one} and d{other} are exchanged", gradients=exchanged(one, other))
    parameters = [name for name in floats if not items[name].per_sequence]
    if len(parameters) < len(floats):
        for names in (*((name,) for name in parameters), tuple(parameters)):
            words = f"the gradient of {', '.join(names)} is the mean over the sequences, where it is their sum"
            yield Misreading(words, gradients=partial(_averaged, names=names))


def _as_given(call: Call, found: NamedArrays, name: str, given: str) -> NamedArrays:
    return {**found, name: call.inputs[given]} if given in call.inputs else found


def _given_for(_: Call, found: NamedArrays, source: str, name: str) -> NamedArrays:
    return {**found, name: found[source]} if {source, name} <= found.keys() else found


def _averaged(call: Call, found: NamedArrays, names: tuple[str, ...]) -> NamedArrays:
    items = call.spec.inputs_for(call.attributes)
    batch = next(len(array) for name, array in call.inputs.items() if items[name].per_sequence)
    return {name: array / max(batch, 1) if name in names else array for name, array in found.items()}
