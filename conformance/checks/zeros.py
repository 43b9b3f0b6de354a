"""Check ``zeros``: vectors that are zero, which have no direction and no length to divide by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.right import expected_from

_DIVIDING: Final[Mapping[str, Mapping[str, Any]]] = {"attention_scores": {"score": "cosine"}}
"""Attributes with which an operation divides by a length, where it does not always."""


class Zeros(Check):
    """Values and gradients, in the regime in which half of all vectors are zero."""

    id = "zeros"
    about = "outputs and gradients are right, and not 0 / 0, where whole vectors are zero"
    why = "a division by a length has the divisor 0 there"
    law = "zeros"
    calls = 4

    def of(self, case: Case, scope: Scope) -> Case:
        """Cases of that regime."""
        return replace(case.with_attributes(**_DIVIDING.get(scope.operation, {})), regime="zeros")

    def examine(self, backend: Backend, example: Case) -> float:
        """Run and differentiate the case."""
        asked = Asked(example, example.call, example.cotangents)
        return asked.compare_all(backend, expected_from(backend, example))
