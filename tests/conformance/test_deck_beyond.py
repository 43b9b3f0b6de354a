"""The deck's calls beyond its covering array and its ladder: numbers of a kind, counts, large sizes, labels, masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Call
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case, Deck, Planner, Scope
from rnnspec.conformance.cases.counts import COUNTS, counted
from rnnspec.conformance.cases.ladder import IN_ONE_PIECE, LABELS, OF_GRADIENTS, RUNGS, goes_by_steps, recurrent_sizes
from rnnspec.conformance.cases.regimes import OF_THEIR_OWN, STRUCTURES, regimes_for, takes_spectra
from rnnspec.conformance.cases.steps import DECIDING, HOLED, Steps, needs_of, valid_steps
from rnnspec.conformance.checks.right import expected_of
from rnnspec.conformance.run import PROFILES
from rnnspec.conformance.run.session import session_of
from rnnspec.spec import operation, operations
from rnnspec.spec.arrays import Array

QUICK = PROFILES["quick"]
ALL = pytest.mark.parametrize("name", operations())


@cache
def deck_of(name: str, dtype: str = "float32", seed: int = 0) -> Deck:
    extent = QUICK.planned if dtype == "float32" else QUICK.planned_other_types
    return Planner(Scope(name, dtype), extent, seed).deck()


def of_regime(name: str, *regimes: str) -> list[Case]:
    return [case for case in deck_of(name).cases if case.regime in regimes]


# Numbers.


@ALL
def test_regimes_of_their_own_are_in_no_covering_array(name: str) -> None:
    assert not set(OF_THEIR_OWN) & set(regimes_for(operation(name)))


@ALL
def test_small_numbers_are_small_all_together_and_meet_every_listed_value(name: str) -> None:
    op, cases = operation(name), of_regime(name, "small")
    assert cases
    parts = {part.operation for part in op.parts}
    for key, attribute in op.attributes.items():
        if attribute.values and not attribute.is_tuple and not attribute.when and key not in parts:
            assert {case.attributes[key] for case in cases} >= set(attribute.values), key
    for case in cases:
        inputs = [array for key, array in case.call.float_inputs.items() if case.items[key].per_sequence]
        scales = {
            float(np.abs(array[np.isfinite(array)]).mean())
            for array, key in zip(inputs, case.call.float_inputs, strict=False)
            if array.size > 3 and not case.items[key].domain
        }
        assert all(scale < 1e-8 for scale in scales if scale)


def test_small_numbers_reach_below_the_constants_that_norms_are_compared_with() -> None:
    cases = of_regime("attention_scores", "small")
    cosines = [case for case in cases if case.attributes["score"] == "cosine"]
    assert cosines
    assert all(np.abs(case.call.inputs["q"]).max() < 1e-7 for case in cosines)


def test_numbers_vanish_with_every_pair_of_a_losss_own_choices() -> None:
    op, cases = operation("cross_entropy"), of_regime("cross_entropy", "weightless")
    listed = {key: one.values for key, one in op.attributes.items() if one.values}
    for (one, values), (other, more) in combinations(listed.items(), 2):
        met = {(case.attributes[one], case.attributes[other]) for case in cases}
        assert met == set(product(values, more)), (one, other)
    weighted = [case.call.inputs["weights"] for case in cases if case.attributes["weighted"]]
    assert weighted
    assert not any(weights.any() for weights in weighted)


@pytest.mark.parametrize("size", ["B", "T"])
@pytest.mark.parametrize("name", ["lstm", "crf_viterbi", "mean_absolute_error"])
def test_every_choice_occurs_without_a_sequence_and_without_a_step(name: str, size: str) -> None:
    cases = [case for case in deck_of(name).cases if case.sizes[size] == 0]
    for key, attribute in operation(name).attributes.items():
        if attribute.values and not attribute.is_tuple and not attribute.when:
            assert {case.attributes[key] for case in cases} >= set(attribute.values), key


def test_types_of_two_bytes_have_neither_large_nor_small_numbers() -> None:
    planner = Planner(Scope("rnn", "float16"), QUICK.planned, 0)
    assert not {case.regime for case in planner.deck().cases} & {"large", "small"}


def test_what_had_probability_0_comes_true_and_costs_infinitely_much() -> None:
    cases = of_regime("binary_cross_entropy", "contradicting", "unforeseen")
    reductions = operation("binary_cross_entropy").attributes["reduction"].values
    assert {case.attributes["reduction"] for case in cases} == set(reductions)
    assert not any(case.differentiated for case in cases)
    losses = [expected_of(case).outputs["loss"] for case in cases]
    assert sum(bool(np.isposinf(loss.value).any()) for loss in losses) >= 4
    assert all((loss.bound[np.isposinf(loss.value)] == 0).all() for loss in losses)


@pytest.mark.parametrize("name", sorted(set(operations()) - {"binary_cross_entropy"}))
def test_no_other_operation_has_probabilities_that_contradict_each_other(name: str) -> None:
    assert of_regime(name, "contradicting", "unforeseen") == []


SPECTRAL = [name for name, op in operations().items() if takes_spectra(op)]


def square(case: Case) -> Array:
    """The matrix of a case in float64."""
    R: Array = case.call.inputs["R"].astype(np.float64)
    return R.reshape(R.shape[-2:])


@pytest.mark.parametrize("name", SPECTRAL)
def test_matrices_have_the_structures_that_they_are_said_to_have(name: str) -> None:
    found = {case.regime: case for case in of_regime(name, *STRUCTURES)}
    assert set(found) == set(STRUCTURES)
    R = {structure: square(case) for structure, case in found.items()}
    eigenvalues = np.linalg.eigvalsh(R["symmetric"])
    np.testing.assert_allclose(R["symmetric"], R["symmetric"].T, atol=1e-6)
    assert -eigenvalues[0] > eigenvalues[-1] > 0
    assert np.linalg.eigvalsh(R["negative_definite"]).max() < 0
    np.testing.assert_array_equal(R["no_row_sums"].sum(axis=1), 0)
    assert np.abs(R["no_row_sums"]).max() > 0.1
    assert np.abs(R["nilpotent"]).max() > 0.1
    assert not np.linalg.matrix_power(R["nilpotent"], len(R["nilpotent"])).any()
    np.testing.assert_allclose(R["orthogonal"] @ R["orthogonal"].T, np.eye(len(R["orthogonal"])), atol=1e-6)


def test_a_states_jacobian_is_the_matrix_itself() -> None:
    for case in of_regime("state_jacobian", *STRUCTURES):
        jacobian, _ = reference.state_jacobian(**case.call.inputs, **case.attributes)  # type: ignore[arg-type]
        np.testing.assert_allclose(jacobian[0, 0], square(case), atol=1e-6)


def test_ids_without_a_bound_agree_in_a_byte_and_differ() -> None:
    apart = {
        bits: sum(
            int(((a % (1 << bits) == b % (1 << bits)) & (a != b)).sum())
            for case in deck_of("token_accuracy").cases[:60]
            for a, b in [(case.call.inputs["predicted"], case.call.inputs["tags"])]
        )
        for bits in (8, 16)
    }
    assert min(apart.values()) > 20


# Numbers of things.


@ALL
def test_numbers_of_things_lie_beyond_their_ranges_too(name: str) -> None:
    op, cases = operation(name), deck_of(name).cases
    for key in counted(op):
        assert {case.attributes[key] for case in cases} >= set(COUNTS)
        assert op.attributes[key].ends({})[1] < COUNTS[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_sequence_ends_late_and_others_do_not(seed: int) -> None:
    (case,) = (
        case
        for case in deck_of("greedy_decode", seed=seed).cases
        if case.regime == "chaotic" and case.attributes["steps"] == COUNTS[0] and case.sizes["B"] == 16
    )
    _, lengths, _ = reference.greedy_decode(**case.call.inputs, **case.attributes)  # type: ignore[arg-type]
    assert ((lengths > 16) & (lengths < COUNTS[0])).any()
    judged = np.isfinite(expected_of(case).outputs["tokens"].bound).all(axis=1)
    assert ((lengths > 16) & (lengths < COUNTS[0]) & judged).any()


@pytest.mark.parametrize("seed", range(5))
def test_sequences_of_unlike_lengths_are_not_returned_in_the_order_of_their_sums(seed: int) -> None:
    (case,) = (
        case
        for case in deck_of("beam_search", seed=seed).cases
        if case.attributes["hypotheses"] == "all" and case.attributes["width"] == 4 and case.attributes["steps"] == 5
    )
    _, lengths, score = reference.beam_search(**case.call.inputs, **case.attributes)  # type: ignore[arg-type]
    judged = np.isfinite(expected_of(case).outputs["tokens"].bound).all(axis=(1, 2))
    assert (np.diff(score * lengths, axis=1)[judged] > 1e-3).any()


# Sizes.


@ALL
def test_sizes_beyond_16_bits_are_where_calls_are_cheap_and_go_at_once(name: str) -> None:
    op = operation(name)
    large = [case for case in deck_of(name).cases if max(case.sizes.values()) >= IN_ONE_PIECE[0]]
    if op.unrolls or (op.parts and goes_by_steps(op)):
        assert large == []
    for case in large:
        (symbol,) = (symbol for symbol, size in case.sizes.items() if size >= IN_ONE_PIECE[0])
        assert symbol not in recurrent_sizes(op)
        assert not case.differentiated
        assert not case.sampled
    assert sum(max(case.sizes.values()) == IN_ONE_PIECE[-1] for case in large) <= 1


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("dropout", {"D": IN_ONE_PIECE}),
        ("clip_by_norm", {"N": IN_ONE_PIECE[:2]}),
        ("clip_by_global_norm", {"N": IN_ONE_PIECE[:2], "K": IN_ONE_PIECE[:2]}),
        ("token_accuracy", {"T": IN_ONE_PIECE, "B": IN_ONE_PIECE[:2]}),
        ("lstm_cell", {"D": IN_ONE_PIECE[:1]}),
    ],
)
def test_some_sizes_beyond_16_bits(name: str, sizes: Mapping[str, Sequence[int]]) -> None:
    for symbol, due in sizes.items():
        assert {case.sizes.get(symbol) for case in deck_of(name).cases} >= set(due), symbol


@ALL
def test_many_sequences_come_with_many_units(name: str) -> None:
    op, cases = operation(name), deck_of(name).cases
    if not {"B", "H"} <= set(Planner(Scope(name, "float32"), QUICK.planned).choices.symbols):
        return
    wide = [case for case in cases if case.sizes["B"] > 64 and case.sizes["H"] > 64 and not case.sampled]
    assert wide or op.parts  # an operation of parts may be too dear
    assert all(case.differentiated for case in wide)


def test_batches_beyond_1024_are_judged_whole() -> None:
    cases = [case for case in deck_of("gru_cell").cases if 1024 < case.sizes["B"] <= 1100]
    assert cases
    assert not any(case.sampled for case in cases)


def test_sequences_have_up_to_a_thousand_labels_and_as_many_steps_as_these_need() -> None:
    cases = {case.sizes["U"]: case for case in deck_of("ctc_loss").cases if case.sizes["T"] > case.sizes["U"] > 8}
    assert set(LABELS) <= set(cases)
    for size in LABELS[2:]:
        assert cases[size].call.inputs["label_lengths"][0] == size
    shorter = [reference.ctc_loss(**cases[size].call.inputs)[0] for size in LABELS[:-1]]
    assert all(np.isfinite(loss).all() for loss in shorter)


@pytest.mark.parametrize("name", ["context_vector", "attention_weights", "lstm", "crf_score"])
def test_of_more_than_64_steps_a_sequence_has_some_by_lengths_and_by_a_mask(name: str) -> None:
    cases = [case for case in deck_of(name).cases if 64 < case.sizes["T"] <= RUNGS[-1] and case.sizes["T"] in RUNGS]
    padded = [case for case in cases if not case.valid.all()]
    assert {"whole_blocks", "mask"} <= {case.steps for case in padded}
    assert all(case.valid[:, -1].any() for case in padded)
    if name == "context_vector":
        sources = set(operation(name).attributes["source"].values)
        for kind in ("whole_blocks", "mask"):
            assert {case.attributes["source"] for case in padded if case.steps == kind} == sources


# Masks.


@pytest.mark.parametrize("steps", [6, 7, 9, 40])
@pytest.mark.parametrize("seed", range(20))
def test_masks_look_padded_and_have_a_hole(steps: int, seed: int) -> None:
    padded: tuple[Steps, ...] = ("holed_right", "holed_left")
    for kind in padded:
        mask = valid_steps(kind, 3, steps, np.random.default_rng(seed))
        if kind == "holed_left":
            mask = mask[:, ::-1]
        assert mask[:, :2].all()
        assert not mask[:, -2:].any()
        assert (np.diff(mask.astype(int), axis=1) == 1).sum(axis=1).tolist() == [1, 1, 1]
    assert all(needs_of(kind) == {"B": 1, "T": 6} for kind in padded)


def test_masks_take_out_whole_blocks() -> None:
    mask = valid_steps("holed_blocks", 2, 70, np.random.default_rng(0))
    assert np.flatnonzero(mask[0]).tolist() == list(range(64, 70))
    assert np.flatnonzero(~mask[1]).tolist() == list(range(32, 64))


def test_lengths_are_whole_blocks_all_steps_and_any_number() -> None:
    for steps, block in ((65, 64), (129, 128), (257, 256), (1100, 1024), (33, 32)):
        lengths = valid_steps("whole_blocks", 8, steps, np.random.default_rng(0)).sum(axis=1)
        assert lengths.reshape(2, 4)[:, :3].tolist() == [[steps, block, 32]] * 2
    assert valid_steps("whole_blocks", 2, 2, np.random.default_rng(0)).sum(axis=1).tolist() == [2, 1]


def test_only_sequences_behind_have_all_steps() -> None:
    lengths = valid_steps("last_longest", 40, 6, np.random.default_rng(0)).sum(axis=1)
    assert lengths[:32].max() == 3
    assert set(lengths[32:]) == {6}


def test_lengths_and_masks_that_take_out_nothing_meet_every_listed_value() -> None:
    cases = [case for case in deck_of("gru").cases if case.steps in ("full_lengths", "full_mask")]
    assert {case.steps for case in cases} == {"full_lengths", "full_mask"}
    assert all(case.valid.all() and {"lengths", "mask"} & case.call.inputs.keys() for case in cases)
    for key in ("reset", "update", "direction", "output"):
        assert {case.attributes[key] for case in cases} == set(operation("gru").attributes[key].values), key
    assert {case.steps for case in deck_of("gru").cases} >= set(DECIDING)


def test_a_sequence_beyond_the_first_32_is_the_last_to_end() -> None:
    cases = [case for case in deck_of("greedy_decode").cases if case.sizes["B"] == 64 and case.attributes["steps"] > 3]
    found = [reference.greedy_decode(**case.call.inputs, **case.attributes)[1] for case in cases]
    assert any(lengths[:32].max() < lengths[32:].max() for lengths in found)


def test_float16_does_not_hold_the_sum_of_which_it_holds_the_mean() -> None:
    (case,) = (case for case in deck_of("mean_squared_error", "float16").cases if case.sizes["D"] > 100)
    (mean,) = reference.mean_squared_error(**case.call.inputs, **case.attributes)
    terms = case.call.inputs["prediction"].size
    assert float(mean) < 4
    assert float(mean) * terms > float(np.finfo(np.float16).max)


# Pairs of sizes.


@pytest.mark.parametrize("name", ["gru", "lstm_cell", "attention", "clip_by_global_norm", "crf_score"])
def test_any_two_sizes_are_beyond_a_block_together(name: str) -> None:
    met = {
        frozenset(symbol for symbol, size in case.sizes.items() if size in (70, 96))
        for case in deck_of(name).cases
        if case.attributes == operation(name).defaults()
    }
    symbols = {"attention": "BUT", "clip_by_global_norm": "NMK", "crf_score": "BT"}.get(name, "BDH")
    assert {frozenset(pair) for pair in combinations(symbols, 2)} <= met


def test_sizes_are_whole_blocks_together() -> None:
    wanted = {"B": 8, "T": 16, "D": 64, "H": 64}
    assert any(wanted.items() <= case.sizes.items() for case in deck_of("lstm").cases)


@pytest.mark.parametrize(("name", "symbol"), [("softmax", "T"), ("cross_entropy", "K"), ("embedding", "V")])
def test_gradients_are_judged_beyond_a_block_of_4096(name: str, symbol: str) -> None:
    assert any(case.sizes[symbol] == OF_GRADIENTS and case.differentiated for case in deck_of(name).cases)


@ALL
def test_each_operation_with_steps_has_masks_that_look_padded(name: str) -> None:
    kinds = [case.steps for case in deck_of(name).cases if case.steps in HOLED]
    assert kinds == (list(HOLED) if operation(name).has_steps else [])


# The first call.


class Forgetful(NumpyBackend):
    """The reference, which notes its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def run(self, call: Call) -> tuple[Any, ...]:
        self.calls.append(call)
        return super().run(call)


def test_the_first_call_is_judged_with_the_deck() -> None:
    backend = Forgetful()
    session = session_of(backend, "rnn_cell", "float32", QUICK, 3)
    assert session.deck.cases[-1].call is backend.calls[0]
    assert session.deck.cases[-1].seed != session_of(Forgetful(), "rnn_cell", "float32", QUICK, 4).deck.cases[-1].seed
    assert sum(case.call is backend.calls[0] for case in session.deck.cases) == 1


# One choice at a time.


@pytest.mark.parametrize("name", ["gru", "state_jacobian", "beam_search", "crf_log_likelihood"])
def test_each_value_is_met_beside_the_plainest_of_all_others(name: str) -> None:
    """As most people run it. Pairs of choices may come with a third that hides a fault, such as clipping."""
    op = operation(name)
    usual = op.defaults()
    met = set()
    for case in deck_of(name).cases:
        differing = [key for key, value in case.attributes.items() if value != usual[key]]
        shows = not case.spec.has_steps or case.valid.any()
        if case.regime == "generic" and shows and len(differing) == 1:
            met.add((differing[0], str(case.attributes[differing[0]])))
    wanted = {
        (key, str(value))
        for key, attribute in op.attributes.items()
        for value in attribute.values
        if not attribute.when and not attribute.others and value != usual[key]
    }
    assert wanted
    assert wanted <= met
