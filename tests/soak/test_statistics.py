"""Parts of a soak add up to the same whole in any order, and quantiles are what they are called."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest

from rnnspec.conformance.soak.statistics import (
    PER_OCTAVE,
    RECORDED,
    CasePlace,
    Ending,
    Histogram,
    Share,
    SoakOutcome,
    Statistics,
)

WIDTH = 2 ** (1 / PER_OCTAVE)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 0.999, 1.0])
def test_a_quantile_is_at_most_a_bin_too_large(share: float) -> None:
    ratios = np.random.default_rng(1).lognormal(-3, 2, 5000)
    histogram = Histogram()
    for ratio in ratios:
        histogram.add(float(ratio), "here")
    exact = float(np.quantile(ratios, share, method="inverted_cdf"))
    found = histogram.quantile(share)
    assert found is not None
    assert exact <= found <= exact * WIDTH
    assert found <= ratios.max() == histogram.largest


def test_a_ratio_of_zero_counts_and_nothing_has_no_quantile() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    for ratio in (0.0, 0.0, 0.5):
        histogram.add(ratio, "here")
    assert histogram.total == 3
    assert histogram.quantile(0.5) == pytest.approx(0, abs=1e-11)
    assert histogram.quantile(1) == 0.5


def test_of_equal_ratios_the_first_place_is_told() -> None:
    one, other = Histogram(), Histogram()
    one.add(0.25, "b")
    other.add(0.25, "a")
    one.merge(other)
    assert (one.largest, one.place) == (0.25, "a")


def some_cases(count: int) -> list[tuple[CasePlace, str, dict[str, SoakOutcome]]]:
    rng = random.Random(3)
    drawn = []
    for number in range(count):
        endings = [rng.choice(list(Ending)) for _ in range(rng.choice([1, 2]))]
        outcomes = {
            quantity: SoakOutcome(ending, rng.choice([None, 0.0, rng.random()]), f"{number}", Share(4, 1), Share(2, 0))
            for quantity, ending in zip(("values", "gradients"), endings, strict=False)
        }
        place = CasePlace(rng.choice(["rnn", "lstm"]), rng.choice(["float16", "float32"]), number)
        drawn.append((place, rng.choice(["tiny", "generic"]), outcomes))
    return drawn


@pytest.mark.parametrize("seed", range(3))
def test_parts_add_up_to_the_same_in_any_order_and_by_way_of_files(seed: int) -> None:
    drawn = some_cases(900)
    whole = Statistics()
    direct = Statistics()
    for case in drawn:
        direct.add(*case)
    whole.merge(direct)
    assert len(whole.failures) == 4 * RECORDED  # there are more
    rng = random.Random(seed)
    rng.shuffle(drawn)
    cuts = [0, *sorted(rng.sample(range(len(drawn)), 9)), len(drawn)]
    together = Statistics()
    for start, stop in itertools.pairwise(cuts):
        part = Statistics()
        for case in drawn[start:stop]:
            part.add(*case)
        together.merge(Statistics.from_json(json.loads(json.dumps(part.to_json()))))
    assert together.to_json() == whole.to_json()


def test_every_outcome_is_counted_by_operation_and_by_regime() -> None:
    drawn = some_cases(200)
    statistics = Statistics()
    for case in drawn:
        statistics.add(*case)
    for groups in (statistics.by_operation, statistics.by_regime, statistics.by_dtype()):
        assert sum(group.cases for group in groups.values()) == len(drawn)
        for quantity in ("values", "gradients"):
            tallies = [group.tallies()[quantity] for group in groups.values()]
            asked = [outcomes[quantity] for _, _, outcomes in drawn if quantity in outcomes]
            for ending in Ending:
                due = sum(outcome.ending is ending for outcome in asked)
                assert sum(tally.count(ending) for tally in tallies) == due
            assert sum(tally.ratios.total for tally in tallies) == sum(o.ratio is not None for o in asked)
            assert sum(tally.numbers.elements for tally in tallies) == 4 * len(asked)
            assert sum(tally.numbers.open for tally in tallies) == len(asked)
