"""Check ``batch``: a batch is independent sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.right import expected_of


class Batch(Check):
    """Sequences in another order, and one of them alone."""

    id = "batch"
    about = "sequences of a batch are independent: reordered or alone, each has the same outputs and gradients"
    why = "a number that is kept from one sequence for the next shows in no single call"
    law = "batch"
    calls = 2

    def of(self, case: Case, scope: Scope) -> Case:
        """Cases of at least two sequences, each of which has results of its own."""
        common = {
            key: case.spec.attributes[key].default
            for output in case.spec.outputs.values()
            for when, shape in output.shapes
            if shape[:1] != ("B",)
            for key in when
        }
        return case.with_attributes(**common).with_at_least(B=2)

    def examine(self, backend: Backend, example: Case) -> float:
        """Reverse the order of the sequences; then run the last alone, which none may take for the first."""
        turned = np.arange(example.sizes["B"])[::-1]
        cotangents = tuple(cotangent[turned] for cotangent in example.cotangents)
        expected = expected_of(example, gradients=example.spec.differentiable)
        outputs = {name: bounded.take(turned) for name, bounded in expected.outputs.items()}
        gradients = {
            name: bounded.take(turned) if example.items[name].per_sequence else bounded
            for name, bounded in expected.gradients.items()
        }
        of_turned = replace(expected, outputs=outputs, gradients=gradients)
        worst = Asked(example, example.call_of(turned), cotangents).compare_all(backend, of_turned)
        last = turned[:1]
        alone = Asked(example, example.call_of(last))
        outputs = {name: bounded.take(last) for name, bounded in expected.outputs.items()}
        return max(worst, alone.compare(outputs, alone.of(backend)))
