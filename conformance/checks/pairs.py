"""Pairs of calls of which theory says that the results of one follow from those of the other.

Nothing is compared with the reference here: a backend's two results are compared with one another. How far they may lie
apart is the sum of what rounding explains of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.asked import Asked, Came, prefixed_by, shapes_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.spec.arrays import Array

Bounds = Mapping[str, Bounded]
Change = Callable[[Bounds], Bounds]


@dataclass(frozen=True)
class Results:
    """A backend's results of one call: outputs and gradients in float64, and how far rounding may have moved each."""

    outputs: dict[str, Bounded]
    gradients: dict[str, Bounded]


@dataclass(frozen=True)
class Pair:
    """Two calls; `outputs` makes of the first one's outputs those that the second must have.

    So does `gradients`, for a cotangent per float output of each call; without it, no gradients are compared. Both may
    leave out what the calls do not have in common.
    """

    about: str
    first: Call
    second: Call
    outputs: Change
    gradients: Change | None = None
    first_cotangents: tuple[Array, ...] = ()
    second_cotangents: tuple[Array, ...] = ()


def results_of(backend: Backend, case: Case, call: Call, cotangents: tuple[Array, ...] | None = None) -> Results:
    """Run a call, and differentiate it if there are cotangents.

    Raise Violation if what comes has not the right form, and OutOfRangeError if the type cannot hold what is right.
    """
    asked, forward = Asked(case, call, cotangents), Asked(case, call)
    expected = asked.right()
    outputs = _found(forward, expected.outputs, forward.of(backend))
    gradients = {} if cotangents is None else _found(asked, expected.gradients, asked.of(backend))
    return Results(outputs, gradients)


def hold(backend: Backend, case: Case, pair: Pair) -> float:
    """Compare the results of a pair's second call with those of the first; return the worst error ratio."""
    called = (pair.first.operation, pair.second.operation)
    back = pair.gradients is not None and all(backend.has_gradients(name) for name in called)
    first = results_of(backend, case, pair.first, pair.first_cotangents if back else None)
    second = results_of(backend, case, pair.second, pair.second_cotangents if back else None)
    with prefixed_by(f"{pair.about}, but "):
        worst = _agree(Asked(case, pair.second), pair.outputs(first.outputs), second.outputs)
        if pair.gradients is not None and back:
            asked = Asked(case, pair.second, pair.second_cotangents)
            worst = max(worst, _agree(asked, pair.gradients(first.gradients), second.gradients))
    return worst


def moved(bounded: Bounded, move: Callable[[Array], Array]) -> Bounded:
    """The same numbers in other places."""
    return Bounded(move(bounded.value), move(bounded.bound))


def unchanged(results: Bounds) -> Bounds:
    """The second call's results, which must be those of the first one."""
    return results


def only(*names: str) -> Change:
    """Compare these alone; they must be equal."""
    return lambda results: {name: results[name] for name in names if name in results}


def _agree(asked: Asked, due: Bounds, own: Bounds) -> float:
    both = {name: Bounded(due[name].value, due[name].bound + own[name].bound) for name in own if name in due}
    return max((asked.judge(asked.quantity(name), both[name], own[name].value) for name in both), default=0.0)


def _found(asked: Asked, expected: Bounds, got: Came) -> dict[str, Bounded]:
    """The results with the bounds on their errors; finite results must be finite, and an infinity must be one."""
    found = {}
    for name, array in asked.named(shapes_of(expected), got).items():
        due = expected[name]
        anything = Bounded(due.value, np.where(np.isfinite(due.value), np.inf, 0.0))
        asked.judge(asked.quantity(name), anything, array)
        found[name] = Bounded(array.astype(np.float64), due.bound)
    return found
