"""Check ``values``: outputs, their shapes and types."""

from __future__ import annotations

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check, differentiates
from rnnspec.conformance.checks.right import expected_of


class Values(Check):
    """The forward pass against the reference."""

    id = "values"
    whole_deck = True
    about = "every output has the right shape and type, and its error lies within what rounding explains"
    why = "a wrong gate order, bias or mask still gives plausible numbers"

    def examine(self, backend: Backend, example: Case) -> float:
        """Run the case and compare its outputs with the reference."""
        expected = expected_of(example, both=differentiates(backend, example))
        asked = Asked(example, example.call)
        return asked.compare(expected.outputs, asked.of(backend))
