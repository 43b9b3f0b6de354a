"""Gradients of outputs that are not read, or that reach another output."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.diagnosis.misreadings.misreading import Misreading, times
from rnnspec.conformance.faults.altered import valid_of
from rnnspec.spec.arrays import Arrays


def misread(call: Call) -> Iterator[Misreading]:
    """Yield misreadings of the gradients that a call is given of its outputs."""
    floats = {name: one for name, one in call.spec.outputs_for(call.attributes).items() if one.kind == "float"}
    names = tuple(floats)
    for place, name in enumerate(names):
        for words, factor in (("is not read: it is taken as 0", 0), ("counts twice", 2)):
            read = partial(_times, place=place, factor=factor)
            yield Misreading(f"the gradient of {name} {words}", received=read)
        for last in (other for other in names if floats[name].shape == ("B", "T", *floats[other].shape[1:])):
            read = partial(_padding_in_last, place=place, last=names.index(last))
            yield Misreading(f"the gradient of {name} in the padding reaches {last}", received=read)


def _times(_: Call, cotangents: Arrays, place: int, factor: float) -> Arrays:
    return tuple(times(d, factor) if at == place else d for at, d in enumerate(cotangents))


def _padding_in_last(call: Call, cotangents: Arrays, place: int, last: int) -> Arrays:
    whole = cotangents[place]
    padded = ~valid_of(call).reshape(*whole.shape[:2], *(1,) * (whole.ndim - 2))
    of_padding = np.where(padded, whole, 0).sum(axis=1)
    return tuple(d + of_padding if at == last else d for at, d in enumerate(cotangents))
