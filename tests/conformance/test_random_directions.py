"""The stream of random directions: what it takes, what it repeats, and that it stays as it is."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from rnnspec.conformance.judge.directions import COUNT, SIGNS, Directions, factors, shifts


def test_the_table_is_fixed_and_even() -> None:
    """Published bounds were computed with these very directions."""
    assert hashlib.sha256((SIGNS > 0).tobytes()).hexdigest()[:16] == "d4ce78bb0ed11c1b"
    assert abs(SIGNS.mean()) < 0.01
    assert SIGNS.size == COUNT
    assert set(np.unique(SIGNS)) == {-1.0, 1.0}


def test_one_direction_is_left_out_after_those_that_are_taken() -> None:
    directions = Directions(0)
    assert [directions.places(count) for count in (3, 1, 5)] == [slice(0, 3), slice(4, 5), slice(6, 11)]


def test_a_seed_starts_7919_places_after_the_one_before() -> None:
    assert [Directions(seed).position for seed in (0, 1, 2, 34)] == [0, 7919, 15838, 7107]
    assert len({Directions(seed).position for seed in range(COUNT)}) == COUNT


def test_where_the_table_ends_the_stream_goes_on_elsewhere() -> None:
    directions = Directions(0)
    directions.position = COUNT - 10
    assert directions.places(10) == slice(COUNT - 10, COUNT)
    start = ((COUNT + 1) * 31 + 17) % (COUNT - 100 + 1)
    assert directions.places(100) == slice(start, start + 100)


@pytest.mark.parametrize("start", [0, 1, 4711, COUNT])
def test_all_of_the_table_can_be_taken_at_once(start: int) -> None:
    directions = Directions(0)
    directions.position = start
    assert directions.places(COUNT) == slice(0, COUNT)
    assert SIGNS[directions.places(COUNT)].size == COUNT


def test_a_long_stream_stays_in_the_table_and_is_even() -> None:
    directions, taken = Directions(33), []
    for count in np.random.default_rng(0).integers(0, 5000, 2000):
        places = directions.places(int(count))
        assert 0 <= places.start <= places.stop <= COUNT
        taken.append(SIGNS[places])
        assert taken[-1].size == count
    assert abs(np.concatenate(taken).mean()) < 0.01


def test_to_set_the_position_back_repeats_what_came() -> None:
    directions = Directions(5)
    directions.places(100)
    after = directions.position
    first = [directions.places(7), directions.turn(), directions.places(9)]
    directions.position = after
    assert [directions.places(7), directions.turn(), directions.places(9)] == first


def test_turns_differ_and_take_a_place_each() -> None:
    directions = Directions(0)
    assert [directions.turn(), directions.turn()] == [1, 2]
    assert directions.places(1) == slice(2, 3)


def test_factors_and_shifts_have_directions_of_their_own() -> None:
    scaling, moved = factors(2.0**-8), shifts(2.0**-100)
    assert scaling is not None
    assert np.array_equal(scaling, 1 + 2.0**-8 * SIGNS)
    assert set(np.abs(moved)) == {2.0**-100}
    assert 0.49 < (np.sign(scaling - 1) == np.sign(moved)).mean() < 0.51
    assert factors(2.0**-54) is None
