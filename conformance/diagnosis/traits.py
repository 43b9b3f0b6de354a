"""Traits of a call's whole numbers, some of which a fault may need: a 0 among them, an order of lengths.

No choice of a case decides on them, but chance. Calls that differ in their numbers alone tell whether a fault shows in
those that have a trait, and in no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Final

import numpy as np

from rnnspec.conformance.cases import Case
from rnnspec.conformance.cases.steps import BY_LENGTHS, BY_MASK
from rnnspec.conformance.diagnosis.condition import Condition
from rnnspec.conformance.diagnosis.oracle import Shown, Shows
from rnnspec.spec.arrays import Array

_FIRST: Final = 12
"""Calls that are asked to see whether chance decides at all."""

_ALL: Final = 24
_TELLING: Final = 3
"""Calls with a trait, and calls without it, that there must be at least."""

_TRIED: Final = 12
"""Seeds that are looked at for numbers that have a trait."""


def trait_of(case: Case, shows: Shows) -> Condition | None:
    """Return the trait of those calls, among those like a case, in which a fault shows; None where there is none."""
    traits = [*_traits(case)]
    calls = (replace(case, seed=case.seed + number) for number in range(_ALL if traits else 0))
    asked = ((one, shows(one) is not None) for one in calls if shows.answers(one))
    seen = [*islice(asked, _FIRST)]
    if all(wrong for _, wrong in seen):
        return None
    seen += asked
    telling = (
        trait
        for trait in traits
        if all(trait.holds(one) == wrong for one, wrong in seen)
        and _TELLING <= sum(wrong for _, wrong in seen) <= len(seen) - _TELLING
    )
    found = next(telling, None)
    return None if found is None else replace(found, is_trait=True)


def with_trait(shows: Shows, trait: Condition) -> Shows:
    """Return what asks, in the place of a call without a trait, one like it that has it."""

    def having(case: Case) -> Case:
        seeds = (replace(case, seed=case.seed + number) for number in range(_TRIED))
        return next(filter(trait.holds, seeds), case)

    def at(case: Case) -> Shown | None:
        return shows(having(case))

    return Shows(at, lambda case: shows.answers(having(case)))


def _traits(case: Case) -> Iterator[Condition]:
    if case.steps in (*BY_LENGTHS, *BY_MASK):
        given = "lengths" if case.steps in BY_LENGTHS else "a mask"
        yield Condition(f"with {given} of which every step is valid", _full)
    if case.steps in BY_LENGTHS:
        yield Condition("with lengths that differ", _differing)
        yield Condition("with lengths that are not in descending order", _ascending)
        yield Condition("with lengths that are all below T", _below)
    for name, item in case.items.items():
        if name not in case.given.inputs:
            continue
        if item.kind == "ids":
            yield _of(name, f"with a 0 in {name}", _is_0)
            if len(item.shape) > 1:
                yield Condition(f"with equal neighbours in {name}", partial(_has_equal_neighbours, name=name))
            if item.below:
                greatest = f"with the greatest number that there may be in {name}"
                yield Condition(greatest, partial(_has_greatest, name=name, below=item.below))
        elif item.kind == "bits":
            yield _of(name, f"with a False in {name}", np.logical_not)
            yield _of(name, f"with nothing but False along the last axis of {name}", _is_empty)


def _of(name: str, text: str, where: Callable[[Array], Array]) -> Condition:
    return Condition(text, partial(_has, name=name, where=where))


def _has(case: Case, name: str, where: Callable[[Array], Array]) -> bool:
    return name in case.given.inputs and bool(where(case.given.inputs[name]).any())


def _is_0(array: Array) -> Array:
    return np.equal(array, 0)


def _has_equal_neighbours(case: Case, name: str) -> bool:
    """Whether some are equal of those that count: that are valid steps, or no more than another input says."""
    ids = case.given.inputs.get(name)
    if ids is None:
        return False
    equal = np.equal(ids[..., 1:], ids[..., :-1])
    if case.items[name].shape == ("B", "T") and case.spec.has_steps:
        equal &= case.valid[:, 1:] & case.valid[:, :-1]
    for other, item in case.items.items():
        if item.kind == "ids" and item.shape == ("B",) and case.lengths_of.get(item.below) == ids.shape[-1] + 1:
            equal &= np.arange(1, ids.shape[-1]) < case.given.inputs[other][:, np.newaxis]
    return bool(equal.any())


def _is_empty(array: Array) -> Array:
    return np.asarray(~array.any(axis=-1))


def _has_greatest(case: Case, name: str, below: str) -> bool:
    return _has(case, name, lambda array: np.equal(array, case.lengths_of[below] - 1))


def _lengths(case: Case) -> Array:
    """The lengths that are given; none where none are."""
    return np.asarray(case.given.inputs.get("lengths", np.zeros(0, np.int64)))


def _full(case: Case) -> bool:
    return bool(case.valid.size) and bool(case.valid.all())


def _differing(case: Case) -> bool:
    return bool((np.diff(_lengths(case)) != 0).any())


def _ascending(case: Case) -> bool:
    return bool((np.diff(_lengths(case)) > 0).any())


def _below(case: Case) -> bool:
    lengths = _lengths(case)
    return bool(lengths.size) and bool(lengths.max() < case.sizes["T"])
