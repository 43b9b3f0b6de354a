"""Cases: the calls that backends are tried on, drawn from the specification's shapes, attributes and domains."""

from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.draw import Choices, RandomChoices, Scope, draw_case
from rnnspec.conformance.cases.strategy import cases
from rnnspec.conformance.cases.support import Support, supported_by

__all__ = ["Case", "Choices", "RandomChoices", "Scope", "Support", "cases", "draw_case", "supported_by"]
