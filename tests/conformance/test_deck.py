"""The deck: every pair of choices, every rung of the ladder, the same cases whatever the seed but for their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.conformance.cases import Case, Deck, Extent, Planner, Scope
from rnnspec.conformance.cases.case import BY_LENGTHS, BY_MASK, NEEDS
from rnnspec.conformance.cases.covering import spread_order
from rnnspec.conformance.cases.factors import NONE_VALID
from rnnspec.conformance.cases.ladder import DEEPEST, LARGEST, ONCE, RUNGS, depths, equal_sizes, rungs_of
from rnnspec.conformance.cases.regimes import REGIMES, gives_ids, regimes_for
from rnnspec.conformance.run import PROFILES
from rnnspec.spec import Operation, operation, operations, resolved
from rnnspec.spec.operation import Attribute, holds

QUICK = PROFILES["quick"].planned
ALL = pytest.mark.parametrize("name", operations())


def planner(name: str, extent: Extent = QUICK, seed: int = 0, dtype: str = "float32", **given: Any) -> Planner:
    return Planner(Scope(name, dtype), extent, seed, **given)


@cache
def deck_of(name: str, extent: Extent = QUICK, seed: int = 0) -> Deck:
    return planner(name, extent, seed).deck()


def array_of(deck: Deck) -> tuple[Case, ...]:
    """The cases of the covering array."""
    return deck.cases[: len(deck.rows)]


def beyond(deck: Deck) -> tuple[Case, ...]:
    """The cases beyond the covering array."""
    return deck.cases[len(deck.rows) :]


# Every pair, counted from what the cases are.

Choice = tuple[str, Any]


def labels_of(attribute: Attribute, value: Any, sizes: Mapping[str, int]) -> set[Any]:
    """The levels of an attribute's value: itself; of a number, its default, an end, or a value between them."""
    if not attribute.domain:
        return {listed(attribute, value)}
    low, high = attribute.ends(sizes) if value is not None else (None, None)
    found = {label for label, one in (("least", low), ("greatest", high)) if value == one and value is not None}
    found |= {"default"} if value == attribute.default else set()
    found |= {number for number in attribute.usual if value == number}
    return found | ({"within"} if value is not None and low <= value <= high and not found - {"default"} else set())


def listed(attribute: Attribute, value: Any) -> Any:
    """The value if the attribute lists it, else the level of all others."""
    return value if value in attribute.values else "another"


def size_label(op: Operation, symbol: str, size: int) -> Any:
    if symbol == "B" and gives_ids(op):
        return next((ends for ends in ((1, 1), (2, 2), (8, 12), (16, 20)) if ends[0] <= size <= ends[1]), None)
    return min(size, 4)


def choices_of(case: Case) -> list[set[Choice]]:
    """The choices that a case meets, read from the case itself."""
    op = operation(case.operation)
    found: list[set[Choice]] = []
    for key, attribute in op.attributes.items():
        if not holds(attribute.when, case.attributes):
            assert case.attributes[key] == attribute.default
            continue
        value = case.attributes[key]
        if attribute.is_tuple:
            found += [{(f"{key} {place}", listed(attribute, entry))} for place, entry in enumerate(value)]
        else:
            found.append({(key, label) for label in labels_of(attribute, value, case.lengths_of)})
    found += [{("valid steps", case.steps)}] * op.has_steps
    optional = [key for key, item in op.inputs.items() if item.optional and item.kind == "float"]
    found += [{(f"absent {key}", key in case.absent)} for key in optional]
    found.append({("regime", case.regime)})
    found += [{(f"size {symbol}", size_label(op, symbol, case.sizes[symbol]))} for symbol in free_sizes(op)]
    return found


def free_sizes(op: Operation) -> list[str]:
    """Sizes that no other size gives, nor an attribute."""
    given = {"G", "n", *(item.size for item in op.attributes.values())}
    given |= {size for _, sizes in op.same_size for size in sizes}
    return [symbol for symbol in op.sizes if symbol not in given]


def all_choices(op: Operation) -> Iterator[list[Choice]]:
    """For each thing that is to be chosen, all that there is, from the specification."""
    for key, attribute in op.attributes.items():
        if attribute.is_tuple:
            for place in range(len(attribute.default)):
                yield [(f"{key} {place}", value) for value in attribute.values]
        elif attribute.domain:
            yield [(key, label) for label in ("default", "least", "within", "greatest", *attribute.usual)]
        else:
            yield [(key, value) for value in attribute.values]
    if op.has_steps:
        yield [("valid steps", kind) for kind in NEEDS if kind not in ("no_lengths", "no_mask")]
    yield from (
        [(f"absent {key}", one) for one in (True, False)]
        for key, item in op.inputs.items()
        if item.optional and item.kind == "float"
    )
    yield [("regime", name) for name in regimes_for(op)]
    for symbol in free_sizes(op):
        ids = symbol == "B" and gives_ids(op)
        sizes = [(1, 1), (2, 2), (8, 12), (16, 20)] if ids else [1, 2, 3, 4]
        least = op.at_least.get(symbol, 1)
        yield [(f"size {symbol}", size) for size in sizes if ids or size >= least]  # type: ignore[operator]


def is_possible(op: Operation, group: Sequence[Choice]) -> bool:
    """Whether choices may stand together: each attribute has a meaning, and sizes hold the steps."""
    chosen = dict(group)
    when = [op.attributes[key.split()[0]].when for key in chosen if key.split()[0] in op.attributes]
    choosers = sorted({key for one in when for key in one})
    meant = any(
        all(holds(one, dict(zip(choosers, values, strict=True))) for one in when)
        for values in product(*([chosen[key]] if key in chosen else op.attributes[key].values for key in choosers))
    )
    steps, regime = chosen.get("valid steps"), chosen.get("regime")
    needs = NEEDS[steps] if steps else {}
    held = all(
        not least or (size[1] if isinstance(size := chosen.get(f"size {symbol}", 99), tuple) else size) >= least
        for symbol, least in needs.items()
    )
    # Of one step, a truncation is at most 3: between the ends stands 2 alone, which has a level of its own.
    cut = chosen.get("truncate") == "within" and chosen.get("size T") in (1, (1, 1))
    return meant and held and not cut and not (steps == "all" and regime and REGIMES[regime].forbids_padding)


def tuples_in(cases: Sequence[Case], strength: int, among: Any = lambda choice: True) -> set[frozenset[Choice]]:
    return {
        frozenset(group)
        for case in cases
        for picked in combinations([one for one in choices_of(case) if any(map(among, one))], strength)
        for group in product(*picked)
    }


def tuples_due(op: Operation, strength: int, among: Any = lambda choice: True) -> set[frozenset[Choice]]:
    kinds = [kind for kind in all_choices(op) if any(map(among, kind))]
    groups = (group for some in combinations(kinds, strength) for group in product(*some))
    return {frozenset(group) for group in groups if is_possible(op, group)}


RECOUNTED = (
    "lstm", "gru", "rnn_cell", "bidirectional", "softmax", "dropout", "crf_viterbi", "crf_score", "clip_by_norm",
    "attention_weights", "dense", "recurrent_power_spectrum",
)  # fmt: skip


@pytest.mark.parametrize("name", RECOUNTED)
def test_every_pair_is_met_as_counted_from_the_cases(name: str) -> None:
    op = operation(name)
    due = tuples_due(op, 2)
    assert len(due) > 10
    assert due - tuples_in(array_of(deck_of(name)), 2) == set()


@pytest.mark.parametrize("name", ["lstm", "gru", "crf_score"])
@pytest.mark.parametrize("extent", [PROFILES["standard"].planned, PROFILES["standard"].planned_other_types], ids=str)
def test_standard_meets_every_triple_of_what_changes_the_code_that_runs(name: str, extent: Extent) -> None:
    def runs(choice: Choice) -> bool:
        return choice[0] != "regime" and not choice[0].startswith("size ")

    op, cases = operation(name), array_of(deck_of(name, extent))
    assert tuples_due(op, 3, runs) - tuples_in(cases, 3, runs) == set()
    assert tuples_due(op, 2) - tuples_in(cases, 2) == set()


@pytest.mark.parametrize("name", ["gru", "crf_score", "dropout"])
def test_thorough_meets_every_triple(name: str) -> None:
    cases = array_of(deck_of(name, PROFILES["thorough"].planned_other_types))
    assert tuples_due(operation(name), 3) - tuples_in(cases, 3) == set()


@ALL
def test_in_other_types_quick_meets_every_choice(name: str) -> None:
    deck = deck_of(name, PROFILES["quick"].planned_other_types)
    assert tuples_due(operation(name), 1) - tuples_in(deck.cases, 1) == set()
    met, total = deck.met_by(deck.cases)
    assert met == total > 0


@ALL
def test_the_deck_meets_all_pairs_of_every_operation(name: str) -> None:
    deck = deck_of(name)
    met, total = deck.met_by(deck.cases)
    assert met == total > 0
    half = deck.cases[: len(deck.rows) // 2]
    assert met > deck.met_by(half)[0] > deck.met_by(deck.cases[:1])[0] > deck.met_by(())[0] == 0
    assert deck.met_by(beyond(deck)) == (0, total)


@ALL
def test_pairs_are_impossible_only_where_attributes_depend_on_others(name: str) -> None:
    assert bool(deck_of(name).impossible) == any(
        len({str(item.when) for item in op.attributes.values() if item.when}) > 1 for op in (operation(name),)
    )


# The cases.


def shape_of(case: Case) -> tuple[Any, ...]:
    """All of a case but its numbers."""
    return case.sizes.keys(), case.regime, case.steps, case.absent, choices_of(case)


@pytest.mark.parametrize("name", ["lstm", "crf_viterbi", "softmax", "clip_by_norm"])
def test_another_seed_has_other_numbers_in_the_same_rows(name: str) -> None:
    one, other, again = deck_of(name), deck_of(name, seed=1), planner(name).deck()
    assert one.rows == other.rows == again.rows
    assert one.cases == again.cases
    assert [shape_of(case) for case in array_of(one)] == [shape_of(case) for case in array_of(other)]
    assert not {case.seed for case in one.cases} & {case.seed for case in other.cases}
    same = [
        np.array_equal(array, case.call.inputs.get(key))
        for mine, case in zip(array_of(one), array_of(other), strict=True)
        if mine.regime == "generic"
        for key, array in mine.call.float_inputs.items()
        if array.size > 1
    ]
    assert same
    assert not any(same)


@ALL
def test_every_case_is_a_call_that_the_specification_defines(name: str) -> None:
    for case in deck_of(name).cases:
        if not case.sampled:
            assert case.call.spec.name == name  # a Call refuses what the specification does not define


@ALL
def test_some_step_is_valid_in_each_case_of_the_array_and_steps_are_what_they_say(name: str) -> None:
    op = operation(name)
    if not op.has_steps:
        pytest.skip("it has no steps")
    for case in array_of(deck_of(name)):
        valid, lengths, steps = case.valid, case.valid.sum(axis=1), case.sizes["T"]
        assert valid.any()
        behind = ~valid[:, :-1] & valid[:, 1:]
        assert (case.steps == "all") == (case.steps not in (*BY_LENGTHS, *BY_MASK))
        if "padding" in op.laws and op.padding_label is None:
            assert ("lengths" in case.call.inputs) == (case.steps in BY_LENGTHS)
            assert ("mask" in case.call.inputs) == (case.steps in BY_MASK)
        if case.steps not in ("mask", "held_mask"):
            assert not behind.any()
        match case.steps:
            case "all":
                assert valid.all()
            case "equal":
                assert len(set(lengths)) == 1
                assert 0 < lengths[0] < steps
                assert len(lengths) > 1
            case "shorter":
                assert lengths.max() < steps
            case "one_empty":
                assert sorted(lengths)[0] == 0 < sorted(lengths)[1]
            case "unsorted":
                assert (np.diff(lengths) > 0).any()
            case "mask":
                assert behind.any()
            case "held_mask":
                assert behind.any()
                assert valid[:, 0].all()


@ALL
def test_calls_without_a_valid_step_meet_every_other_choice(name: str) -> None:
    op, deck = operation(name), deck_of(name)
    none = [case for case in beyond(deck) if case.steps in ("no_lengths", "no_mask")]
    if not op.has_steps:
        assert none == []
        return
    assert all(not case.valid.any() and case.valid.size for case in none)
    assert {case.steps for case in none} == {"no_lengths", "no_mask"}
    apart = {("regime", regime) for regime in regimes_for(op) if REGIMES[regime].forbids_padding}
    due = {
        frozenset(one) for one in tuples_due(op, 1) if not {key for key, _ in one} & {"valid steps"} and not one & apart
    }
    assert due - tuples_in(none, 1) == set()


# The ladder.


@ALL
def test_every_size_has_every_rung_in_the_array_or_while_the_others_are_small(name: str) -> None:
    deck = deck_of(name)
    layers = {symbol for case in array_of(deck) for symbol in depths(case.spec)}
    for symbol in {symbol for case in deck.cases for symbol in case.sizes}:
        small = [
            case.sizes[symbol]
            for case in beyond(deck)
            if symbol in case.sizes and all(size <= 4 for other, size in case.sizes.items() if other != symbol)
        ]
        met = {case.sizes[symbol] for case in array_of(deck) if symbol in case.sizes}
        least = operation(name).at_least.get(symbol, 1)
        rungs = (size for size in (*RUNGS, *ONCE.get(symbol, ())) if size >= least)
        due = {size for size in rungs if symbol not in layers or size <= DEEPEST} - met
        assert due - set(small) == set(deck.left_out.get(symbol, ())), symbol
        for size in set(ONCE.get(symbol, ())) & set(small):
            assert small.count(size) == 1


def test_few_rungs_are_left_out_and_none_below_127() -> None:
    left_out = {name: deck_of(name).left_out for name in operations()}
    assert all(size >= 127 for sizes in left_out.values() for symbol in sizes for size in sizes[symbol])
    assert sum(map(bool, left_out.values())) < len(left_out) / 4


def test_the_largest_sizes_are_where_an_index_or_a_block_no_longer_fits() -> None:
    assert ONCE == {"B": (2**16 + 1,), "T": (1100,), "H": (2**9, 2**9 + 1)}
    assert max(size for sizes in ONCE.values() for size in sizes) == LARGEST
    powers = [2**power for power in range(3, 9)]
    assert {power + off for power in powers for off in (-1, 0, 1)} - set(RUNGS) <= {7}


def test_a_larger_ladder_goes_on_around_powers_of_two() -> None:
    assert list(rungs_of("D", 100)) == [size for size in RUNGS if size <= 100]
    sizes = list(rungs_of("D", 2**17))
    assert sizes[: len(RUNGS)] == list(RUNGS)
    assert {2**power + off for power in range(9, 17) for off in (-1, 0, 1)} < set(sizes)
    assert max(sizes) == 2**17


@ALL
def test_sizes_that_stand_beside_each_other_are_equal_in_a_case_and_the_others_differ(name: str) -> None:
    op, symbols = operation(name), planner(name).choices.symbols
    for pair in equal_sizes(resolved(op, op.defaults()), symbols):
        found = [
            case
            for case in beyond(deck_of(name))
            if all(case.sizes.get(symbol) == 3 for symbol in pair)
            and len({case.sizes[one] for one in symbols if one in case.sizes}) == len(case.sizes.keys() & symbols) - 1
        ]
        assert found, pair


def test_equal_sizes_are_those_beside_each_other_in_a_shape() -> None:
    assert set(equal_sizes(operation("dense"), ("B", "D", "H"))) == {("B", "D"), ("B", "H"), ("D", "H")}
    assert ("D", "T") in equal_sizes(operation("rnn"), ("B", "D", "H", "T"))
    assert ("B", "D") not in equal_sizes(operation("rnn"), ("B", "D", "H", "T"))


def test_what_lasts_long_stays_within_its_type() -> None:
    for case in beyond(deck_of("rnn")):
        if sum(size >= 32 for size in case.sizes.values()) == 1:
            assert case.attributes["activation"] != "relu"
            assert not case.attributes["recurrent_dropout"]


# Large sizes together.


@ALL
def test_every_choice_is_met_where_all_sizes_are_large(name: str) -> None:
    deck = deck_of(name)
    layers = {symbol for case in deck.cases for symbol in depths(case.spec)}
    together = [
        case
        for case in beyond(deck)
        if all(size >= 6 or symbol in layers or symbol == "B" for symbol, size in case.sizes.items())
        and case.sizes.get("B", 2) > 1
        and max(case.sizes.values()) < 127
    ]
    kinds_of_steps = planner(name).choices.support.steps
    for key, attribute in operation(name).attributes.items():
        if attribute.values and not attribute.is_tuple:
            assert {case.attributes[key] for case in together} >= set(attribute.values), key
    kinds = {case.steps for case in together}
    assert kinds >= set(kinds_of_steps) - set(NONE_VALID) if operation(name).has_steps else kinds == {"all"}
    assert {case.regime for case in together} >= set(regimes_for(operation(name))) - {"padding_forbidden"}


def test_what_is_truncated_at_large_sizes_ends_within_the_sequence() -> None:
    large = [case for case in deck_of("lstm").cases if min(case.sizes.values()) >= 8 and case.sizes["T"] > 18]
    assert {case.attributes["truncate"] for case in large} == {None, 9}


# Batches of which a sample is judged.


@ALL
def test_one_batch_is_beyond_16_bits_and_a_sample_of_it_is_judged(name: str) -> None:
    op, case = operation(name), next((one for one in deck_of(name).cases if one.sizes.get("B", 0) > 4096), None)
    if "B" not in planner(name).choices.symbols:
        assert case is None
        return
    assert case is not None
    assert case.sampled == ("batch" in op.laws)
    if case.sampled:
        assert {0, 1, 32_767, 32_768, 65_534, 65_535, 65_536} <= set(case.judged)
        assert len(case.judged) < 50
        assert sum(case.sizes.values()) <= 65_537 + 8 * len(case.sizes)


def test_the_sample_is_drawn_from_the_seed() -> None:
    case = next(one for one in deck_of("rnn_cell").cases if one.sampled)
    assert np.array_equal(case.judged, replace(case).judged)
    assert not np.array_equal(case.judged, replace(case, seed=case.seed + 1).judged)
    rest = np.setdiff1d(np.arange(case.sizes["B"]), case.judged)
    for cotangent in case.cotangents:
        assert not cotangent[rest].any()
        assert cotangent[case.judged].any()


# Spread, few shapes, nothing.


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 86, 1000])
def test_each_beginning_of_an_order_is_spread(count: int) -> None:
    order = spread_order(count)
    assert sorted(order) == list(range(count))
    for begun in (4, 16, 64):
        if count >= 4 * begun:
            places = sorted(order[:begun])
            assert max(np.diff([*places, count])) <= 2 * count / begun + 1


def test_beams_of_many_sequences_are_as_wide_as_can_be_or_narrow_with_an_end() -> None:
    many = [case for case in deck_of("beam_search").cases if case.sizes["B"] == 64 and case.lengths_of["N"] > 1]
    wide = [case for case in many if case.attributes["width"] > 2]
    assert len(wide) == 8
    assert all(case.attributes["width"] == case.lengths_of["K"] ** case.lengths_of["N"] for case in wide)
    narrow = [case for case in many if case.attributes["width"] == 2]
    assert all((case.lengths_of["K"], case.lengths_of["N"]) == (6, 6) for case in narrow)
    ends = [{case.attributes["end"] for case in narrow if case.attributes["normalise"] == one} for one in (True, False)]
    assert all({0, 5} < found and None not in found for found in ends)


def test_few_shapes() -> None:
    for name in ("lstm", "dense", "crf_viterbi"):
        deck = planner(name, few_shapes=True).deck()
        met, total = deck.met_by(deck.cases)
        assert met == total > 0
        shapes = {tuple(case.sizes.values()) for case in array_of(deck)}
        plain = {tuple(case.sizes.values()) for case in array_of(deck_of(name))}
        assert len(shapes) < len(plain) / 3
        assert all(max(case.sizes.values()) < 20 for case in deck.cases)  # no ladder


def test_nothing_is_planned_where_nothing_is_asked_for() -> None:
    deck = deck_of("lstm", Extent())
    assert deck.cases == ()
    assert deck.met_by(()) == (0, 0)
    assert list(deck.spread()) == []


def test_without_a_largest_size_there_is_no_ladder() -> None:
    deck = deck_of("lstm", Extent(2))
    assert array_of(deck) == array_of(deck_of("lstm"))
    assert max(max(case.sizes.values()) for case in deck.cases) <= 6


def test_the_page_has_the_rungs() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "checks.md").read_text().split())
    assert f"at most {DEEPEST} layers or levels" in page
    assert ", ".join(map(str, RUNGS)) in page
    for symbol, sizes in ONCE.items():
        for size in sizes:
            assert f"{symbol} = {size:,}" in page
