"""Check ``forms``: how many results there are, of what shape and type."""

from __future__ import annotations

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.check import Check, differentiates, must_have_gradients, must_have_outputs


class Forms(Check):
    """Shapes and types, and no number; nothing is computed to know them."""

    id = "forms"
    whole_deck = True
    about = "results are arrays, and as many, of the shapes and types that the specification gives"
    why = "whatever reads them relies on that before it reads a number"
    calls = 8

    def examine(self, backend: Backend, example: Case) -> float:
        """Run and differentiate the case, and look at what comes from outside."""
        call = example.call
        outputs = {name: example.shape_of(item.shape) for name, item in example.results.items()}
        must_have_outputs(example, call, outputs, backend.run(call))
        if differentiates(backend, example):
            inputs = {name: array.shape for name, array in call.float_inputs.items()}
            gradients = backend.gradients(call, example.cotangents)
            must_have_gradients(example, call, example.cotangents, inputs, gradients)
        return 0.0
