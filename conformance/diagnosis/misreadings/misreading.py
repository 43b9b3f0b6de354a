"""The class of a misreading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from rnnspec.backends import Call
from rnnspec.conformance.faults.altered import with_inputs
from rnnspec.spec.arrays import Array, Arrays, NamedArrays

Altering = Callable[[Call], Call]
Showing = Callable[[Call, NamedArrays], NamedArrays]
"""Returns what is handed out of a call in the place of these results."""

Receiving = Callable[[Call, Arrays], Arrays]
"""Returns the cotangents of a call as they are read."""

Change = Callable[[Array], Array]


def as_it_is(call: Call) -> Call:
    """Return the call."""
    return call


def as_they_are(call: Call, found: NamedArrays) -> NamedArrays:
    """Return the results."""
    return found


def as_they_came(call: Call, cotangents: Arrays) -> Arrays:
    """Return the cotangents."""
    return cotangents


@dataclass(frozen=True, eq=False)
class Misreading:
    """One way: what it is in words, the call that is computed, and what is shown of its outputs or its gradients.

    `received` is what is read of its cotangents.
    """

    text: str
    alter: Altering = as_it_is
    outputs: Showing = as_they_are
    gradients: Showing = as_they_are
    received: Receiving = as_they_came
    turns: bool = False
    """Whether each of two values of an attribute is taken for the other: of one of them alone, that says too much."""


def read_as(text: str, name: str, change: Change) -> Misreading:
    """Return the misreading of one input."""
    return Misreading(text, partial(_changed_input, name=name, change=change))


def shown_as(text: str, name: str, change: Change) -> Misreading:
    """Return the misreading that shows one output otherwise."""
    return Misreading(text, outputs=partial(_changed_result, name=name, change=change))


def gradient_as(text: str, name: str, change: Change) -> Misreading:
    """Return the misreading that shows one gradient otherwise."""
    return Misreading(text, gradients=partial(_changed_result, name=name, change=change))


def exchanged(one: str, other: str) -> Showing:
    """Return what shows two results in each other's place."""
    return partial(_exchanged_results, one=one, other=other)


def first_of(array: Array, axis: int) -> Array:
    """Return what stands first along an axis, all along it."""
    return np.repeat(array.take([0], axis), array.shape[axis], axis)


def times(array: Array, factor: float) -> Array:
    """Return the array times a number; 0 times an infinity is 0 here."""
    return np.asarray(factor * array) if factor else np.zeros_like(array)


def swapped(array: Array, axis: int) -> Array:
    """Return the array with an axis and the next one exchanged."""
    return array.swapaxes(axis, axis + 1)


def flipped(array: Array, axis: int) -> Array:
    """Return the array backwards along an axis."""
    return np.flip(array, axis)


def _changed_input(call: Call, name: str, change: Change) -> Call:
    return with_inputs(call, **{name: change(call.inputs[name])}) if name in call.inputs else call


def _changed_result(_: Call, found: NamedArrays, name: str, change: Change) -> NamedArrays:
    return {**found, name: change(found[name])} if name in found else found


def _exchanged_results(_: Call, found: NamedArrays, one: str, other: str) -> NamedArrays:
    return {**found, one: found[other], other: found[one]} if {one, other} <= found.keys() else found
