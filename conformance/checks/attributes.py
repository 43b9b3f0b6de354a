"""Check ``attributes``: no attribute is silently ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.asked import Asked, Violation
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.right import expected_of
from rnnspec.spec import Operation, operation
from rnnspec.spec.operation import holds


class Attributes(Check):
    """Pairs of calls that differ in one attribute."""

    id = "attributes"
    calls = 2
    about = "two calls that differ in one attribute differ as the reference says"
    why = "an attribute that is silently ignored still gives plausible numbers"

    def applies_to(self, op: Operation) -> bool:
        """Operations that have attributes."""
        return bool(op.attributes)

    def of(self, case: Case, scope: Scope) -> tuple[Case, Case, str] | None:
        """A case, the same with another value of an attribute, and its name; None if each has one value alone."""
        choices = _choices(scope)
        rng = stream(case.seed, "another value")
        for name in rng.permutation(list(choices)).tolist():
            others = _others(case, name, choices[name], rng)
            if others:  # sizes may leave a number no other value
                return case, case.with_attributes(**{name: others[int(rng.integers(len(others)))]}), name
        return None

    def like(self, example: tuple[Any, ...], case: Case) -> tuple[Case, Case, str]:
        """Return another case, and the same with the example's other value."""
        _, other, name = example
        return case, case.with_attributes(**{name: other.attributes[name]}), name

    def examine(self, backend: Backend, example: tuple[Case, Case, str]) -> float:
        """Run both calls; where the second is wrong, see whether it is the first one's answer."""
        case, other, name = example
        if name in _OF_THE_GRADIENT and backend.has_gradients(case.operation):
            return max(_gradients(backend, case), _gradients(backend, other))
        got_first, got = backend.run(case.call), backend.run(other.call)
        expected, expected_other = expected_of(case).outputs, expected_of(other).outputs
        asked = Asked(case, case.call)
        worst = asked.compare(expected, got_first)
        try:
            return max(worst, Asked(other, other.call).compare(expected_other, got))
        except Violation as violation:
            try:
                asked.compare(expected, got)
            except Violation:
                raise violation from None
            violation.message = f"{name}={other.attributes[name]!r} is ignored: {violation.message}"
            raise violation from None


_OF_THE_GRADIENT = ("truncate", "gradient")
"""Attributes that leave the outputs as they are."""


def _gradients(backend: Backend, case: Case) -> float:
    asked = Asked(case, case.call, case.cotangents)
    got = asked.of(backend)
    return asked.compare(expected_of(case, gradients=True).gradients, got)


def _choices(scope: Scope) -> Mapping[str, tuple[Any, ...]]:
    """Attributes with several levels that the backend supports: others were refused loudly when support was probed."""
    support = scope.supported
    kinds = operation(scope.operation).attributes
    return {
        name: levels
        for name, levels in support.levels.items()
        if (any(len(entry) > 1 for entry in levels) if kinds[name].is_tuple else len(levels) > 1)
    }


def _others(case: Case, name: str, levels: tuple[Any, ...], rng: np.random.Generator) -> list[Any]:
    """Other values of an attribute than a case has; none where the attribute has no meaning."""
    now, attribute = case.attributes[name], case.spec.attributes[name]
    if not holds(attribute.when, case.attributes):
        return []
    if attribute.is_tuple:
        return [
            (*now[:index], level.only, *now[index + 1 :])
            for index, entry in enumerate(levels)
            for level in entry
            if level.only != now[index]
        ]
    return [value for level in levels if (value := level.value(rng, case.lengths_of)) != now]
