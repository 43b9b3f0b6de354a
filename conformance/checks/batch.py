"""Check ``batch``: a batch is independent sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks.check import Check, compare_all, compare_outputs, expected_of


class Batch(Check):
    """Sequences in another order, and one of them alone."""

    id = "batch"
    about = "a batch is independent sequences: reordered, or one alone, they give the same outputs and gradients"
    why = "what is kept from one sequence for the next shows in no single call"
    law = "batch"
    calls = 2

    def of(self, case: Case, scope: Scope) -> Case:
        """Cases of at least two sequences."""
        return case.with_at_least(B=2)

    def examine(self, backend: Backend, example: Case) -> float:
        """Reverse the order of the sequences; then run the last alone, which none may take for the first."""
        turned = np.arange(example.sizes["B"])[::-1]
        call = example.call_of(turned)
        cotangents = tuple(cotangent[turned] for cotangent in example.cotangents)
        expected = expected_of(example, gradients=example.spec.differentiable)
        outputs = {name: bounded.take(turned) for name, bounded in expected.outputs.items()}
        gradients = {
            name: bounded.take(turned) if example.items[name].per_sequence else bounded
            for name, bounded in expected.gradients.items()
        }
        of_turned = replace(expected, outputs=outputs, gradients=gradients)
        worst = compare_all(backend, example, call, of_turned, cotangents)
        last = turned[:1]
        alone = example.call_of(last)
        outputs = {name: bounded.take(last) for name, bounded in expected.outputs.items()}
        return max(worst, compare_outputs(example, alone, outputs, backend.run(alone)))
