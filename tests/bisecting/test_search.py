"""The search for the release at which a verdict turns."""

from __future__ import annotations

import pytest

from rnnspec.conformance.bisecting.search import Turn, turn


@pytest.mark.parametrize("count", [2, 3, 7, 16])
def test_every_turn_is_found_with_few_questions(count: int) -> None:
    for first in range(1, count):
        asked: list[int] = []

        def ask(place: int, first: int = first, asked: list[int] = asked) -> bool:
            asked.append(place)
            return place >= first

        assert turn(count, ask) == Turn(first - 1, first, ())
        assert len(asked) == len(set(asked)) <= 2 + count.bit_length()


def test_a_turn_back_to_what_conforms_is_found_too() -> None:
    assert turn(5, lambda place: place < 3) == Turn(2, 3, ())


def test_places_without_an_answer_are_passed_over_and_named() -> None:
    answers = [None, False, False, None, None, True, True, None]
    assert turn(8, lambda place: answers[place]) == Turn(2, 5, (3, 4))


@pytest.mark.parametrize("answers", [[], [True], [None, None], [False, True, False], [None, True, None]])
def test_where_first_and_last_are_alike_there_is_no_turn(answers: list[bool | None]) -> None:
    assert turn(len(answers), lambda place: answers[place]) is None
