"""A backend, the deck that is planned for it, and its answers: shared by all checks of an operation in a type."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call, Cotangents, Unsupported
from rnnspec.conformance.cases import Case, Deck, DeckError, Planner, Scope, Support, supported_by
from rnnspec.conformance.cases.covering import Combination, Row
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.cases.support import everything
from rnnspec.conformance.checks.check import differentiates, usual_case
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.run.profile import Profile
from rnnspec.spec.arrays import Array

ROUNDS: Final = 12
"""How often a deck is planned anew without what turned out to be refused."""

MOST_REFUSED: Final = 256
"""Combinations that are refused, beyond which there is no telling what is refused and what is not."""


class Answers(Guarded):
    """Passes calls on as `Guarded` does, and remembers what came of the planned ones: each is made once."""

    name = "answers"

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._planned: dict[int, Case] = {}
        self._came: dict[tuple[int, str], Any] = {}
        self._kept: dict[int, dict[str, Array]] = {}

    def plan(self, case: Case) -> None:
        """Remember what comes of this case's call."""
        self._planned[id(case.call)] = case

    def run(self, call: Call) -> tuple[Array, ...]:
        """Outputs of the call."""
        answer: tuple[Array, ...] = self._once(call, "outputs", lambda: super(Answers, self).run(call))
        return answer

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        """Gradients of the call."""
        case = self._planned.get(id(call))
        if wanted is not None or case is None or cotangents is not case.cotangents:
            return super().gradients(call, cotangents, wanted)
        answer: dict[str, Array] = self._once(
            call, "gradients", lambda: super(Answers, self).gradients(call, cotangents)
        )
        return answer

    def refuses(self, call: Call) -> str | None:
        """Why the adapter refuses the call: by what it knows, or by making the call, as will be done anyway."""
        if type(self.backend).refuses is not Backend.refuses:
            return super().refuses(call)
        try:
            self.run(call)
        except Unsupported as reason:
            return str(reason)
        return None

    def kept(self, case: Case) -> dict[str, Array]:
        """The results of a planned case's call, by name, unchanged since the call."""
        return self._kept.get(id(case.call), {})

    def _once(self, call: Call, what: str, ask: Callable[[], Any]) -> Any:
        if id(call) not in self._planned:
            return ask()
        key = (id(call), what)
        if key not in self._came:
            try:
                self._came[key] = ask()
                self._keep(call, self._came[key])
            except (Unsupported, BackendCrashError, GuestLostError) as error:
                self._came[key] = error
        if isinstance(self._came[key], BaseException):
            raise self._came[key]
        return self._came[key]

    def _keep(self, call: Call, came: Any) -> None:
        """Copy what came: a later call may write over it."""
        of_gradients = isinstance(came, dict)
        named = came.items() if of_gradients else zip(self._planned[id(call)].results, came, strict=False)
        copies = {
            f"d{name}" if of_gradients else name: np.array(array)
            for name, array in named
            if isinstance(array, np.ndarray)
        }
        self._kept.setdefault(id(call), {}).update(copies)


@dataclass
class Session:
    """The common session of the checks of an operation in a type."""

    scope: Scope
    deck: Deck
    answers: Answers
    reasons: tuple[str, ...] = ()
    """Why calls were refused, when support was probed and when the deck was planned."""


@lru_cache(maxsize=64)
def support_of(backend: Backend, operation: str, dtype: str) -> Support:
    """The support of the backend, found once for all checks of an operation in a type."""
    try:
        return supported_by(Guarded(backend), operation, dtype)
    except (BackendCrashError, GuestLostError):
        return everything(operation)  # each more question could take the time limit: the checks find what is wrong


def main_type(backend: Backend, profile: Profile) -> str:
    """The type in which a backend is looked at most closely: float32, if it has it and is asked for it."""
    types = [dtype for dtype in backend.dtypes() if not profile.dtypes or dtype in profile.dtypes]
    return "float32" if "float32" in types else next(iter(types), backend.dtypes()[0])


@lru_cache(maxsize=1)
def session_of(backend: Backend, operation: str, dtype: str, profile: Profile, seed: int) -> Session:
    """Plan the deck for what the backend answers.

    Refusals are found by asking; the deck is then planned without them, so that refusals cost no coverage.

    Raises
    ------
    DeckError
        If refusals leave no end to the planning.
    """
    answers = Answers(backend)
    extent = profile.extent_for(dtype, main_type(backend, profile))
    first = _first_call(answers, operation, dtype, seed) if extent.strength else ()
    support = support_of(backend, operation, dtype)
    scope = Scope(operation, dtype, profile.largest, support)
    reasons = dict.fromkeys(support.reasons)
    planner = Planner(scope, extent, seed, few_shapes=backend.compiles > 1)
    for _ in range(ROUNDS):
        deck = planner.deck().anew()
        for case in deck.cases[: len(deck.rows)]:
            answers.plan(case)
        if (deck.factors and not deck.rows) or len(planner.refused) > MOST_REFUSED:
            break
        found = _refused(planner, deck, answers, reasons)
        if not found - planner.refused:
            for case in deck.cases[len(deck.rows) :]:
                answers.plan(case)
            return Session(scope, replace(deck, cases=(*deck.cases, *first)), answers, tuple(reasons))
        planner.refused |= found
    raise DeckError(
        f"{operation} in {dtype}: no deck can be planned for backend {backend.name}, which goes on refusing what is "
        f"planned: expected refusals that attributes, steps or sizes explain, got {'; '.join(reasons)}"
    )


def _first_call(answers: Answers, operation: str, dtype: str, seed: int) -> tuple[Case, ...]:
    """Make the first call of the operation in a type, before support is probed; none if the backend refuses it.

    The answers remember what came of it, and it is judged with the rest of the deck.
    """
    # Its numbers are others than those of the probes, which are the same at every seed.
    number = int(stream(seed, "first call").integers(2**31))
    case = replace(usual_case(Scope(operation, dtype)), seed=number)
    case = replace(case, sizes={symbol: size for symbol, size in case.sizes.items() if symbol in case.spec.sizes})
    answers.plan(case)
    try:
        answers.run(case.call)
        if differentiates(answers, case):
            answers.gradients(case.call, case.cotangents)
    except Unsupported:
        return ()
    except (BackendCrashError, GuestLostError):
        pass  # the checks tell
    return (case,)


MOST_SILENT: Final = 3
"""Calls without an answer in time, after which no more are asked whether they are refused."""


def forget() -> None:
    """Forget what backends answered and what they support."""
    session_of.cache_clear()
    support_of.cache_clear()


def _refused(planner: Planner, deck: Deck, answers: Answers, reasons: dict[str, None]) -> set[Combination]:
    """Combinations of levels that are refused together, of which no part is refused alone."""
    found: set[Combination] = set()
    silent = 0
    for row, case in zip(deck.rows, deck.cases, strict=False):
        try:
            reason = answers.refuses(case.call)
        except BackendCrashError:
            continue  # a crash is no refusal
        except GuestLostError as lost:
            silent += lost.timed_out
            if silent == MOST_SILENT:  # each more would take the time limit: the checks tell
                break
            continue
        if reason is not None:
            reasons[reason] = None
        while reason is not None and not any(combination <= _combination(row) for combination in found):
            least = _least(planner, row, answers, planner.refused | found)
            if not least:
                break
            found.add(least)
        if len(found) > MOST_REFUSED:
            break
    return found


def _least(planner: Planner, row: Row, answers: Answers, known: Collection[Combination]) -> Combination:
    """The levels of a refused row, or of a plainer one that is refused too, that matter; empty where none does.

    A level matters if the row is not refused with some other level in its place.
    """

    def is_refused(other: Row) -> bool:
        return _reason(answers, planner.fresh(other)) is not None

    levels = row
    for factor, level in enumerate(row):
        plainer = next(iter(planner.others(levels, factor, known)), None)
        if level and plainer is not None and is_refused(plainer):
            levels = plainer
    return frozenset(
        (factor, level)
        for factor, level in enumerate(levels)
        if not all(is_refused(other) for other in planner.others(levels, factor, known))
    )


def _combination(row: Row) -> Combination:
    return frozenset(enumerate(row))


def _reason(answers: Answers, case: Case) -> str | None:
    """Why a call is refused; a crash is no refusal."""
    try:
        return answers.refuses(case.call)
    except (BackendCrashError, GuestLostError):
        return None
