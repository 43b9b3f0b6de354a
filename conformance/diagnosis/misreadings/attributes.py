"""Attributes that are taken at another value than the call gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any, Final

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.cases import levels_of
from rnnspec.conformance.diagnosis.misreadings.misreading import Altering, Misreading
from rnnspec.spec import operation
from rnnspec.spec.arrays import NamedArrays
from rnnspec.spec.operation import WHOLE, Attribute

_EPSILONS: Final = tuple(10.0**-exponent for exponent in (2, 3, 4, 5, 6, 7, 8, 9, 10, 12))
"""Numbers that libraries add to a variance or to a norm."""


def misread(call: Call) -> Iterator[Misreading]:
    """Yield the misreadings of each attribute."""
    for name, attribute in operation(call.operation).attributes.items():
        yield from (_of_entries if attribute.is_tuple else _of_value)(name, attribute)


def told(value: Any) -> str:
    """Return an attribute's value in words."""
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


def _of_value(name: str, attribute: Attribute) -> Iterator[Misreading]:
    values = [level.only for level in levels_of(attribute) if not level.is_drawn]
    small = _EPSILONS if isinstance(attribute.default, float) and 0 < attribute.default <= max(_EPSILONS) else ()
    for value in dict.fromkeys((attribute.default, *values, *small)):
        taken = "it is taken as" if value == attribute.default else "it is always taken as"
        yield _read_so(f"{name} is not read: {taken} {told(value)}", partial(taking, name=name, value=value))
    for words, by in (("one more", 1), ("one less", -1)) if attribute.domain in WHOLE else ():
        yield _read_so(f"{name} is read as a number that is {words}", partial(_taking_near, name=name, by=by))
    if not attribute.domain and len(values) == 2:
        turned = _read_so(
            f"{name} is read the other way round", partial(_taking_other, name=name, values=tuple(values))
        )
        yield replace(turned, turns=True)


def _of_entries(name: str, attribute: Attribute) -> Iterator[Misreading]:
    words = f"{name} is not read: it is taken as {told(attribute.default)}"
    yield Misreading(words, partial(taking, name=name, value=attribute.default))
    for place, function in enumerate(attribute.functions):
        for value in attribute.values:
            words = f"the function {function} is not read: it is taken as {value}"
            yield Misreading(words, partial(_taking_entry, name=name, place=place, value=value))
    for one, other in combinations(range(len(attribute.functions)), 2):
        words = f"the functions {attribute.functions[one]} and {attribute.functions[other]} are exchanged"
        yield Misreading(words, partial(_entries_exchanged, name=name, one=one, other=other))


def _read_so(text: str, alter: Altering) -> Misreading:
    """Return the misreading of an attribute under which other inputs may be read: the gradients of the rest are 0."""
    return Misreading(text, alter, gradients=_with_zeros)


def _with_zeros(call: Call, found: NamedArrays) -> NamedArrays:
    return {name: found.get(name, np.zeros(array.shape)) for name, array in call.float_inputs.items()}


def taking(call: Call, name: str, value: Any) -> Call:
    """Return the call under another value of an attribute, with the inputs that are read under it."""
    attributes = {**call.attributes, name: value}
    read = call.spec.inputs_for(attributes)
    return replace(call, inputs={k: v for k, v in call.inputs.items() if k in read}, attributes=attributes)


def _taking_other(call: Call, name: str, values: tuple[Any, ...]) -> Call:
    return taking(call, name, values[1 - values.index(call.attributes[name])])


def _taking_near(call: Call, name: str, by: int) -> Call:
    value = call.attributes[name]
    return call if value is None else taking(call, name, value + by)


def _taking_entry(call: Call, name: str, place: int, value: Any) -> Call:
    whole = call.attributes[name]
    return taking(call, name, (*whole[:place], value, *whole[place + 1 :]))


def _entries_exchanged(call: Call, name: str, one: int, other: int) -> Call:
    entries = list(call.attributes[name])
    entries[one], entries[other] = entries[other], entries[one]
    return taking(call, name, tuple(entries))
