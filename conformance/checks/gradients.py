"""Check ``gradients``: vector-Jacobian products with respect to every float input."""

from __future__ import annotations

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.check import Check, compare_gradients, expected_of
from rnnspec.spec import Operation


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

    def examine(self, backend: Backend, example: Case) -> float:
        """Differentiate the case and hold its gradients against the reference."""
        expected = expected_of(example, gradients=True).gradients
        got = backend.gradients(example.call, example.cotangents)
        return compare_gradients(example, example.call, example.cotangents, expected, got)
