"""Cases: the calls that backends are tried on, drawn from the specification's shapes, attributes and domains."""

from rnnspec.conformance.cases.case import Case
from rnnspec.conformance.cases.draw import Choices, RandomChoices, draw_case
from rnnspec.conformance.cases.strategy import cases

__all__ = ["Case", "Choices", "RandomChoices", "cases", "draw_case"]
