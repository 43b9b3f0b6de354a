"""The search for the release at which a verdict turns, with releases that cannot be judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """Two releases, by their places, of which the verdicts differ; none that could be judged lies between them."""

    before: int
    first: int
    between: tuple[int, ...]
    """Places of the releases between them, which could not be judged."""


def turn(count: int, ask: Callable[[int], bool | None]) -> Turn | None:
    """Find where the answers for the places 0 .. count - 1 turn, by halving.

    Parameters
    ----------
    count
        Number of places.
    ask
        The answer for a place; None where there is none. It is asked once for each place.

    Returns
    -------
    Turn or None
        None: the first answer and the last are equal, or there is at most one. Of several turns one is found.
    """
    answers: dict[int, bool | None] = {}

    def answer(place: int) -> bool | None:
        if place not in answers:
            answers[place] = ask(place)
        return answers[place]

    low = next((place for place in range(count) if answer(place) is not None), None)
    high = next((place for place in reversed(range(count)) if answer(place) is not None), None)
    if low is None or high is None or answers[low] == answers[high]:
        return None
    while left := _not_asked(low, high, answers):
        middle = (low + high) / 2
        place = min(left, key=lambda one: abs(one - middle))
        if (found := answer(place)) is None:
            continue
        if found == answers[low]:
            low = place
        else:
            high = place
    return Turn(low, high, tuple(range(low + 1, high)))


def _not_asked(low: int, high: int, answers: dict[int, bool | None]) -> Sequence[int]:
    return [place for place in range(low + 1, high) if place not in answers]
