"""Check ``gradients``: vector-Jacobian products with respect to every float input."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnspec.backends import Backend, Cotangents
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.judge.tolerance import Bounded, for_each, undecided_in
from rnnspec.spec import Operation
from rnnspec.spec.arrays import Array


class Gradients(Check):
    """The backward pass against the reference."""

    id = "gradients"
    whole_deck = True
    needs_gradients = True
    about = "the gradient of every float input, initial states and parameters included, lies within its bound"
    why = "training follows a wrong gradient without complaint"

    def applies_to(self, op: Operation) -> bool:
        """Operations that have a gradient."""
        return op.differentiable

    def of(self, case: Case, scope: Scope) -> Case | None:
        """Cases whose gradients are asked for."""
        return case if case.differentiated else None

    def examine(self, backend: Backend, example: Case) -> float:
        """Differentiate the case and compare its gradients with the reference.

        With a result of what is impossible, or a choice that could be another, no gradient of a parameter is judged, as
        that is a sum over all sequences: it is asked once more, of the others alone.
        """
        expected = expected_of(example, gradients=True)
        asked = Asked(example, example.call, example.cotangents)
        worst = asked.compare(expected.gradients, asked.of(backend))
        certain = of_the_certain(example, expected.outputs, example.cotangents)
        if certain is example.cotangents or example.sampled:
            return worst
        again = Asked(example, example.call, certain)
        return max(worst, again.compare(again.right().gradients, again.of(backend)))


def of_the_certain(case: Case, outputs: Mapping[str, Bounded], cotangents: Cotangents) -> Cotangents:
    """The cotangents, 0 wherever a result is impossible or a sequence's choices are open; the same if nowhere."""
    results = [(item, outputs[name]) for name, item in case.results.items()]
    undecided = [undecided_in(result) for item, result in results if item.kind == "ids"]
    choices = np.any(undecided, axis=0) if undecided else np.zeros(1, np.bool_)
    open_ = [
        _impossible(result) | for_each(choices, result.value, item.shape[:1] == ("B",))
        for item, result in results
        if item.kind == "float"
    ]
    if not any(where.any() for where in open_):
        return cotangents
    return tuple(
        None if d is None else np.where(where, d.dtype.type(0), d) for d, where in zip(cotangents, open_, strict=True)
    )


def _impossible(result: Bounded) -> Array:
    where = np.asarray(result.value == result.impossible)
    return where if result.perturbed is None else where | (result.perturbed == result.impossible).any(axis=0)
