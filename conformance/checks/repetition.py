"""Checks ``unmodified`` and ``repeatability``: a call changes no array, and gives the same results again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np

from rnnspec.backends import Backend, Unsupported
from rnnspec.conformance.cases import Case, Deck, Scope
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check, RemembersCalls, differentiates
from rnnspec.spec.arrays import Array

Named = Mapping[str, Any]


class Unmodified(Check):
    """Bytes before and after."""

    id = "unmodified"
    about = (
        "inputs and cotangents stay bit for bit as they were, padding included, and so do the results of earlier calls"
    )
    why = "the caller goes on using all of them"
    whole_deck = True

    def of(self, case: Case, scope: Scope) -> tuple[Case, Case]:
        """A case and another."""
        return case, replace(case, seed=case.seed ^ 1)

    def planned(self, deck: Deck, count: int) -> Iterator[tuple[Case, Case]]:
        """Each case of a deck, and the next: its sizes are others, and so are its choices."""
        return zip(deck.cases, (*deck.cases[1:], *deck.cases[:1]), strict=True)

    def examine(self, backend: Backend, example: tuple[Case, Case]) -> float:
        """Run and differentiate the case; then another, and look at the first one's inputs and results."""
        case, other = example
        results = _all_results(backend, case)
        remembered = backend.kept(case) if isinstance(backend, RemembersCalls) else _copied(results)
        kept = {name: array for name, array in remembered.items() if name in results}
        before = {**case.given.inputs, **_cotangents(case, case.given_cotangents)}
        after = {**case.call.inputs, **_cotangents(case, case.cotangents)}
        self._must_be_the_same(case, before, after, "to stay as it was")
        with suppress(Unsupported):
            _all_results(backend, other)
        self._must_be_the_same(case, kept, results, "to stay as it was when another call was made")
        return 0.0

    @staticmethod
    def _must_be_the_same(case: Case, before: Named, after: Named, expected: str) -> None:
        for name, array in before.items():
            if array.tobytes() != after[name].tobytes():
                place = _first_difference(array, after[name])
                message = f"{name}: expected {expected}, got another number {place}"
                raise Asked(case, case.given).violation(message)


class Repeatability(Check):
    """The same call twice, and another in between."""

    id = "repeatability"
    level: ClassVar[Literal["MUST", "SHOULD"]] = "SHOULD"
    about = "the same call gives the same outputs and gradients bit for bit, also after another call"
    why = "results that change from run to run can be neither debugged nor compared"
    calls = 3

    def examine(self, backend: Backend, example: Case) -> float:
        """Run and differentiate the case, another, and the case again."""
        # Copies of the case are asked: for a planned one itself, the first answer would be repeated.
        once, twice = replace(example), replace(example)
        first = _copied(_all_results(backend, once))
        other = replace(example, seed=example.seed ^ 1)
        _all_results(backend, other)
        again = _all_results(backend, twice)
        for name, array in first.items():
            if not _same(array, again.get(name)):
                place = _first_difference(array, again.get(name))
                message = f"{name}: expected the same from the same call, got another number {place}"
                raise Asked(example, example.call).violation(message)
        return 0.0


def _all_results(backend: Backend, case: Case) -> dict[str, Any]:
    """Outputs and gradients by name, arrays of numbers alone: the check ``forms`` reports the others."""
    results = dict(zip(case.results, backend.run(case.call), strict=False))
    if differentiates(backend, case):
        results |= {f"d{name}": gradient for name, gradient in backend.gradients(case.call, case.cotangents).items()}
    arrays = {name: array for name, array in results.items() if isinstance(array, np.ndarray)}
    return {name: array for name, array in arrays.items() if not array.dtype.hasobject}


def _cotangents(case: Case, cotangents: tuple[Array, ...]) -> dict[str, Array]:
    """Cotangents of a case by name."""
    floats = [output.name for output in case.results.values() if output.kind == "float"]
    return {f"the cotangent of {name}": array for name, array in zip(floats, cotangents, strict=True)}


def _copied(arrays: Named) -> dict[str, Array]:
    return {name: np.array(array) for name, array in arrays.items()}


def _same(one: Array, other: Any) -> bool:
    """Whether two arrays have the same bits; any NaN is as good as another."""
    if not isinstance(other, np.ndarray) or (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    return one.tobytes() == other.tobytes() or not _differ(one, other).any()


def _differ(one: Array, other: Array) -> Array:
    """Where the bits differ, and one of both is a number."""
    bits = [np.ascontiguousarray(array).view(f"V{array.dtype.itemsize}").reshape(array.shape) for array in (one, other)]
    return np.asarray((bits[0] != bits[1]) & ((one == one) | (other == other)))


def _first_difference(one: Array, other: Any) -> str:
    """Where two arrays differ first, and how."""
    if not isinstance(other, np.ndarray) or one.shape != other.shape:
        return "or another form"
    places = np.argwhere(_differ(one, other))
    if not len(places):
        return "(another NaN)"
    place = tuple(int(i) for i in places[0])
    return f"at {list(place)}: {other[place]!s} for {one[place]!s}"
