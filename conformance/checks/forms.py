"""Check ``forms``: how many results there are, of what shape and type."""

from __future__ import annotations

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check, differentiates


class Forms(Check):
    """Shapes and types, and no number; nothing is computed to know them."""

    id = "forms"
    whole_deck = True
    about = "results are arrays, and as many, of the shapes and types that the specification gives"
    why = "code that reads results relies on their form first"
    calls = 8

    def examine(self, backend: Backend, example: Case) -> float:
        """Run and differentiate the case, and look at what comes from outside."""
        call = example.call
        forward = Asked(example, call)
        outputs = {name: example.shape_of(item.shape) for name, item in example.results.items()}
        forward.named(outputs, forward.of(backend))
        if differentiates(backend, example):
            back = Asked(example, call, example.cotangents)
            inputs = {name: array.shape for name, array in call.float_inputs.items()}
            back.named(inputs, back.of(backend))
        return 0.0
