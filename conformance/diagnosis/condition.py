"""A condition of a fault: what holds for the calls in which it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rnnspec.conformance.cases import Case


@dataclass(frozen=True)
class Condition:
    """One condition, in words, and whether it holds for a case."""

    text: str
    holds: Callable[[Case], bool]
    is_trait: bool = False
    """Whether it is one of some numbers of a call, which one sequence may have and another not."""
