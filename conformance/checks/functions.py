"""Check ``functions``: every function that an attribute may choose, in every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check, usual_case
from rnnspec.conformance.checks.right import expected_from
from rnnspec.spec import Operation, operation
from rnnspec.spec.activations import tried

_REGIMES: Final = ("generic", "saturating")
"""Arguments near 0, where most functions bend, and far from it, where some end."""


class Functions(Check):
    """Values and gradients with one function at a time, in every place where it may be chosen."""

    id = "functions"
    about = "values and gradients are right with every function that attributes may choose, and with its numbers"
    why = "functions beside the usual ones are written once and run by few"
    calls = 8

    def applies_to(self, op: Operation) -> bool:
        """Cells and layers whose functions are chosen; what is built of layers has theirs."""
        return not any(part.operation in op.attributes for part in op.parts) and any(_choosing(op))

    def forced(self, scope: Scope) -> Sequence[Case]:
        """A case of each function, with small arguments and with large ones, all else at its defaults."""
        usual = usual_case(scope)
        return [
            replace(usual.with_attributes(**chosen), regime=regime, seed=1)
            for chosen in self._choices(scope, usual)
            for regime in _REGIMES
        ]

    def of(self, case: Case, scope: Scope) -> Case | None:
        """A case with one of the functions."""
        choices = list(self._choices(scope, case))
        return case.with_attributes(**choices[int(stream(case.seed, "function").integers(len(choices)))])

    def examine(self, backend: Backend, example: Case) -> float:
        """Run and differentiate the case."""
        asked = Asked(example, example.call, example.cotangents)
        return asked.compare_all(backend, expected_from(backend, example))

    @staticmethod
    def _choices(scope: Scope, case: Case) -> Iterator[Mapping[str, Any]]:
        """Attributes with each function wherever the backend has it, beside those of a case."""
        op, levels = operation(scope.operation), scope.supported.levels
        for function in tried():
            chosen: dict[str, Any] = {}
            for key in _choosing(op):
                if op.attributes[key].is_tuple:
                    entries = zip(levels[key], case.attributes[key], strict=True)
                    chosen[key] = tuple(function if _among(entry, function) else own for entry, own in entries)
                elif _among(levels[key], function):
                    chosen[key] = function
            yield chosen


def _choosing(op: Operation) -> Iterator[str]:
    """Names of the attributes that may choose any function."""
    return (name for name, attribute in op.attributes.items() if attribute.others)


def _among(levels: Sequence[Any], function: str) -> bool:
    return any(function in (level.among or (level.only,)) for level in levels)
