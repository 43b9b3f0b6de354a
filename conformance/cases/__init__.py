"""Cases: the calls that test backends, drawn from the specification's shapes, attributes and domains."""

from rnnspec.conformance.cases.case import NEEDS, Case, Steps
from rnnspec.conformance.cases.deck import Deck, DeckError, Extent, Planner
from rnnspec.conformance.cases.draw import Choices, RandomChoices, Scope, draw_case
from rnnspec.conformance.cases.levels import Level, entry_levels, levels_of, settled
from rnnspec.conformance.cases.regimes import REGIMES, Regime, regimes_for
from rnnspec.conformance.cases.strategy import cases, simpler_cases
from rnnspec.conformance.cases.support import Support, supported_by

__all__ = [
    "NEEDS",
    "REGIMES",
    "Case",
    "Choices",
    "Deck",
    "DeckError",
    "Extent",
    "Level",
    "Planner",
    "RandomChoices",
    "Regime",
    "Scope",
    "Steps",
    "Support",
    "cases",
    "draw_case",
    "entry_levels",
    "levels_of",
    "regimes_for",
    "settled",
    "simpler_cases",
    "supported_by",
]
