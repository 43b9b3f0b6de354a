"""Check ``attributes``: no attribute is silently ignored."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope, cases
from rnnspec.conformance.checks.check import Check, Violation, compare_outputs, expected_of
from rnnspec.spec import Operation, operation
from rnnspec.spec.operation import Attribute


class Attributes(Check):
    """Pairs of calls that differ in one attribute."""

    id = "attributes"
    about = "two calls that differ in one attribute differ as the reference says: no attribute is silently ignored"

    def applies_to(self, op: Operation) -> bool:
        """Operations that have attributes."""
        return bool(op.attributes)

    def examples(self, scope: Scope) -> st.SearchStrategy[Any]:
        """A case, the name of an attribute and another value for it."""
        return _pairs(scope)

    def examine(self, backend: Backend, example: tuple[Case, str, Any]) -> float:
        """Run both calls; where the second is wrong, see whether it is the first one's answer."""
        case, name, value = example
        other = case.with_attributes(**{name: value})
        got_first, got = backend.run(case.call), backend.run(other.call)
        expected, expected_other = expected_of(case), expected_of(other)
        if expected is None or expected_other is None:
            return 0.0
        worst = compare_outputs(case, case.call, expected.outputs, got_first)
        try:
            return max(worst, compare_outputs(other, other.call, expected_other.outputs, got))
        except Violation as violation:
            try:
                compare_outputs(case, case.call, expected.outputs, got)
            except Violation:
                raise violation from None
            violation.message = f"{name}={value!r} is ignored: {violation.message}"
            raise violation from None


@st.composite
def _pairs(draw: st.DrawFn, scope: Scope) -> tuple[Case, str, Any]:
    case = draw(cases(scope))
    attributes = operation(scope.operation).attributes
    attribute = draw(st.sampled_from(list(attributes.values())))
    return case, attribute.name, draw(st.sampled_from(_other_values(attribute, case.attributes[attribute.name])))


def _other_values(attribute: Attribute, value: Any) -> list[Any]:
    """Values of the attribute other than this one; of a tuple, those that differ in one entry."""
    if attribute.domain:
        return [0.3 if value is None else None]
    if not attribute.is_tuple:
        return [other for other in attribute.values if other != value]
    return [
        (*value[:index], other, *value[index + 1 :])
        for index in range(len(value))
        for other in attribute.values
        if other != value[index]
    ]
