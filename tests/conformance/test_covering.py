"""Covering arrays: every tuple that is possible is met, and nothing that is forbidden; counted here anew."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import pytest

from rnnspec.conformance.cases.covering import Combination, FactorModel, Row, TupleCoverage, covering_rows, more_rows

Tuple = tuple[tuple[int, int], ...]


def pairs_of(*pairs: tuple[tuple[int, int], tuple[int, int]]) -> frozenset[Combination]:
    return frozenset(frozenset(pair) for pair in pairs)


# Whether two has a meaning depends on zero, and whether three has one on two; one level is impossible but for chance.
DEPENDING = pairs_of(
    ((0, 0), (2, 0)), ((0, 0), (2, 1)), ((0, 1), (2, 2)), ((2, 0), (3, 1)), ((2, 1), (3, 1)), ((2, 2), (3, 0)),
)  # fmt: skip
MODELS: dict[str, FactorModel] = {
    "nothing forbidden": FactorModel((2, 3, 4, 2)),
    "one factor has one level": FactorModel((3, 1, 2, 2)),
    "two factors": FactorModel((4, 5)),
    "many factors": FactorModel((2,) * 9 + (3, 4, 5)),
    "levels that depend on others": FactorModel((2, 3, 3, 2, 4), forbidden=DEPENDING, first=(0, 2)),
    "a forbidden triple": FactorModel((2, 2, 2, 3), forbidden=frozenset({frozenset({(0, 1), (1, 1), (2, 1)})})),
    "forbidden triples that together forbid a pair": FactorModel(
        (2, 2, 2, 2), forbidden=frozenset(frozenset({(0, 1), (1, 1), (2, level)}) for level in range(2))
    ),
    "forbidden pairs that together forbid a level": FactorModel(
        (2, 3, 2), forbidden=pairs_of(*(((0, 1), (1, level)) for level in range(3)))
    ),
    "a level forbidden alone": FactorModel((3, 2, 2), forbidden=frozenset({frozenset({(0, 2)})})),
    "a forbidden combination of four": FactorModel(
        (2,) * 5, forbidden=frozenset({frozenset((place, 1) for place in range(4))})
    ),
    "every level": FactorModel((2, 5, 3), strength=1),
    "every level, one forbidden": FactorModel((2, 5, 3), strength=1, forbidden=frozenset({frozenset({(1, 4)})})),
    "triples": FactorModel((2, 3, 2, 4), strength=3),
    "triples with forbidden pairs": FactorModel((2, 3, 3, 2, 4), strength=3, forbidden=DEPENDING, first=(0, 2)),
    "pairs, and triples of some": FactorModel((2, 3, 2, 4, 3), deep=(0, 1, 4)),
    "pairs, and triples of some that depend": FactorModel((2, 3, 3, 2, 4), deep=(0, 1, 2, 3), forbidden=DEPENDING),
}  # fmt: skip
BY_NAME = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def all_rows(model: FactorModel) -> list[Row]:
    """Every row that has nothing forbidden."""
    rows = product(*map(range, model.levels))
    return [row for row in rows if not any(one <= set(enumerate(row)) for one in model.forbidden)]


def tuples_of(model: FactorModel, rows: list[Row]) -> set[Tuple]:
    """The tuples of levels that these rows have, of those that the model asks for."""
    factors = range(len(model.levels))
    wanted = [*combinations(factors, model.strength)]
    wanted += [*combinations(model.deep, 3)] if model.strength < 3 else []
    return {tuple((factor, row[factor]) for factor in group) for row in rows for group in wanted}


@BY_NAME
def test_every_tuple_that_is_possible_is_met(model: FactorModel) -> None:
    rows, coverage = covering_rows(model)
    possible = tuples_of(model, all_rows(model))
    assert tuples_of(model, list(rows)) == possible
    assert coverage.left == 0
    assert coverage.met == coverage.total == len(possible)


@BY_NAME
def test_nothing_that_is_forbidden_stands_together(model: FactorModel) -> None:
    rows, _ = covering_rows(model)
    assert rows
    assert set(rows) <= set(all_rows(model))


@BY_NAME
def test_the_same_model_has_the_same_rows(model: FactorModel) -> None:
    again = FactorModel(model.levels, model.strength, model.deep, model.forbidden, model.first)
    assert covering_rows(again)[0] == covering_rows(model)[0]


def test_an_order_of_what_is_forbidden_changes_nothing() -> None:
    forbidden = list(DEPENDING)
    models = [FactorModel((2, 3, 3, 2, 4), forbidden=frozenset(order)) for order in (forbidden, forbidden[::-1])]
    assert covering_rows(models[0])[0] == covering_rows(models[1])[0]


@pytest.mark.parametrize(
    ("name", "impossible"),
    [
        ("nothing forbidden", 0),
        # All pairs but for those that are known as pairs: the one that triples forbid is dropped when it is tried.
        ("forbidden triples that together forbid a pair", 1),
        ("forbidden pairs that together forbid a level", 2),
        ("levels that depend on others", 2),
    ],
)
def test_tuples_that_no_row_can_have_are_dropped_and_do_not_count(name: str, impossible: int) -> None:
    model = MODELS[name]
    _, coverage = covering_rows(model)
    assert TupleCoverage(model).total - coverage.total == impossible


def test_more_rows_each_add_triples_and_hold_nothing_that_is_forbidden() -> None:
    barred = frozenset({(0, 1), (1, 1)})
    model = FactorModel((2, 3, 2, 3, 2), strength=2, deep=(0, 1, 2, 3), forbidden=frozenset({barred}))
    rows, _ = covering_rows(replace(model, deep=()))
    coverage = TupleCoverage(model)
    for row in rows:
        coverage.add(row)
    left = coverage.left
    for row in more_rows(model, rows):
        assert not barred <= set(enumerate(row))
        coverage.add(row)
        assert coverage.left < left
        left = coverage.left
    assert left <= coverage.total // 20
    assert list(more_rows(model, rows)) == list(more_rows(model, rows))


def test_where_nothing_is_possible_there_is_no_row() -> None:
    model = FactorModel((2, 2), forbidden=frozenset({frozenset({(0, 0)}), frozenset({(0, 1)})}))
    rows, coverage = covering_rows(model)
    assert rows == ()
    assert (coverage.met, coverage.total) == (0, 0)


def test_given_rows_stand_first_and_are_not_met_again() -> None:
    model = MODELS["many factors"]
    whole, _ = covering_rows(model)
    rows, coverage = covering_rows(model, whole[:5])
    assert rows[:5] == whole[:5]
    assert coverage.left == 0
    assert tuples_of(model, list(rows)) == tuples_of(model, list(whole))
    assert covering_rows(model, whole)[0] == whole


@pytest.mark.parametrize(
    ("levels", "strength", "most"),
    [
        ((2,) * 10, 2, 10),  # the least is 6
        ((3,) * 4, 2, 13),  # 9
        ((4,) * 5, 2, 25),  # 16
        ((2,) * 8, 3, 22),  # 12
        ((5, 4, 3, 2), 1, 5),
    ],
)
def test_rows_are_few(levels: tuple[int, ...], strength: int, most: int) -> None:
    rows, _ = covering_rows(FactorModel(levels, strength))
    assert len(rows) <= most


def test_coverage_counts_what_rows_meet() -> None:
    model = MODELS["pairs, and triples of some that depend"]
    rows, _ = covering_rows(model)
    coverage = TupleCoverage(model)
    for count in range(len(rows)):
        assert coverage.met == len(tuples_of(model, list(rows[:count])))
        coverage.add(rows[count])
    before = coverage.met
    coverage.add(rows[0])
    assert coverage.met == before
