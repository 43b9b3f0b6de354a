"""Check ``second_order``: the gradient of a gradient."""

from __future__ import annotations

from typing import Final

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks.asked import Asked, prefixed_by
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.gradients import of_the_certain
from rnnspec.conformance.checks.partial_gradients import Partial
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.spec import Operation

OF_NO_FUNCTION: Final = {"truncate": None, "gradient": "full"}
"""With these attributes a gradient is the gradient of no function, and has no Hessian. Their other values are left out
here, and the check ``gradients`` has them."""


class SecondOrder(Check):
    """A Hessian times a vector, by which gradient penalties, meta-learning and second-order methods train."""

    id = "second_order"
    needs_gradients = True
    needs_second_order = True
    calls = 6
    about = "the gradient of a weighted sum of gradients lies within its bound, for every input"
    why = "gradient penalties and meta-learning rest on it"

    def applies_to(self, op: Operation) -> bool:
        """Operations that have a gradient."""
        return op.differentiable

    def of(self, case: Case, scope: Scope) -> Case:
        """Cases whose gradients are those of their outputs."""
        return differentiated_in_full(case)

    def examine(self, backend: Backend, example: Case) -> float:
        """Differentiate a sum of some gradients, for some cotangents, and compare the results with the reference's.

        No result of minus infinity is differentiated, so that all else of its batch is judged.
        """
        case, part = example, Partial.of(example)
        cotangents = of_the_certain(case, expected_of(case).outputs, part.cotangents(case))
        directions = {name: case.directions[name] for name in part.inputs}
        told = f"{part}, differentiated again"
        asked = Asked(case, case.call, cotangents, directions=directions, part=told)
        got = asked.of(backend)
        expected = asked.right().gradients
        if any(np.isinf(due.bound).any() for due in expected.values()):
            raise OutOfRangeError(str(case))  # numbers between may overflow too, and then the result may be anything
        with prefixed_by("second order: "):
            return asked.compare(expected, got)


def differentiated_in_full(case: Case) -> Case:
    """The case with a gradient that is the gradient of its outputs."""
    return case.with_attributes(**{name: value for name, value in OF_NO_FUNCTION.items() if name in case.attributes})
