"""Pairs of calls of which theory says that the results of one follow from those of the other.

Nothing is held against the reference here: a backend's two results are held against one another. How far they may lie
apart is the sum of what rounding explains of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.check import OutOfRangeError, Violation, compare_forms, compare_gradient_forms, judge
from rnnspec.conformance.judge.tolerance import Bounded, expect
from rnnspec.spec.arrays import Array

Bounds = Mapping[str, Bounded]
Change = Callable[[Bounds], Bounds]


@dataclass(frozen=True)
class Results:
    """What a backend gave for one call: outputs and gradients in float64, and how far rounding may have moved each."""

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
    expected = expect(call, case.dtype, cotangents, case.seed)
    if not expected.in_range:
        raise OutOfRangeError(str(case))
    got = backend.run(call)
    compare_forms(case, call, expected.outputs, got)
    outputs = {
        name: _found(case, call, name, bounded, array)
        for (name, bounded), array in zip(expected.outputs.items(), got, strict=True)
    }
    if cotangents is None:
        return Results(outputs, {})
    found = backend.gradients(call, cotangents)
    compare_gradient_forms(case, call, cotangents, expected.gradients, found)
    gradients = {
        name: _found(case, call, f"d{name}", bounded, found[name], cotangents)
        for name, bounded in expected.gradients.items()
    }
    return Results(outputs, gradients)


def hold(backend: Backend, case: Case, pair: Pair) -> float:
    """Hold the results of a pair's second call against what the first one's say; return the worst error ratio."""
    called = (pair.first.operation, pair.second.operation)
    back = pair.gradients is not None and all(backend.has_gradients(name) for name in called)
    first = results_of(backend, case, pair.first, pair.first_cotangents if back else None)
    second = results_of(backend, case, pair.second, pair.second_cotangents if back else None)
    try:
        worst = _agree(case, pair.second, pair.outputs(first.outputs), second.outputs)
        if pair.gradients is not None and back:
            due = {f"d{name}": bounded for name, bounded in pair.gradients(first.gradients).items()}
            own = {f"d{name}": bounded for name, bounded in second.gradients.items()}
            worst = max(worst, _agree(case, pair.second, due, own, pair.second_cotangents))
    except Violation as violation:
        violation.message = f"{pair.about}, but {violation.message}"
        raise
    return worst


def moved(bounded: Bounded, move: Callable[[Array], Array]) -> Bounded:
    """The same numbers in other places."""
    return Bounded(move(bounded.value), move(bounded.bound))


def unchanged(results: Bounds) -> Bounds:
    """What the second call must give, where that is what the first one gave."""
    return results


def only(*names: str) -> Change:
    """Compare these alone; they must be equal."""
    return lambda results: {name: results[name] for name in names if name in results}


def _agree(case: Case, call: Call, due: Bounds, own: Bounds, cotangents: tuple[Array, ...] | None = None) -> float:
    return max(
        (
            judge(
                case, call, name, Bounded(due[name].value, due[name].bound + bounded.bound), bounded.value, cotangents
            )
            for name, bounded in own.items()
            if name in due
        ),
        default=0.0,
    )


def _found(
    case: Case,
    call: Call,
    quantity: str,
    expected: Bounded,
    got: Array,
    cotangents: tuple[Array, ...] | None = None,
) -> Bounded:
    """What came, with the bound on its error; what is to be finite must be, and an infinity must be one."""
    anything = Bounded(expected.value, np.where(np.isfinite(expected.value), np.inf, 0.0))
    judge(case, call, quantity, anything, got, cotangents)
    return Bounded(got.astype(np.float64), expected.bound)
