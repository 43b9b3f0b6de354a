"""Check ``callers``: no use of arrays, gradients, threads and sizes changes a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.check import Check, usual_case
from rnnspec.conformance.checks.habits import Habit, drawn_habit, usual_habits


class Callers(Check):
    """Calls as people make them."""

    id = "callers"
    about = (
        "results stay right when one array is several inputs, a cotangent is one number seen everywhere, another "
        "thread calls, other numbers came before, in these arrays or in others, another call is run before the "
        "gradients are asked for, or a call with one larger size comes before or after"
    )
    why = "people attend to what they ask with, differentiate sums, serve from threads and fill a last batch half"
    calls = 10

    def forced(self, scope: Scope) -> Sequence[Any]:
        """Each habit, all attributes at their defaults."""
        return list(usual_habits(usual_case(scope)))

    def of(self, case: Case, scope: Scope) -> tuple[Case, Habit]:
        """A case and a habit."""
        return drawn_habit(case, stream(case.seed, "habit"))

    def examine(self, backend: Backend, example: tuple[Case, Habit]) -> float:
        """Call with this habit."""
        case, habit = example
        return habit.examine(backend, case)
