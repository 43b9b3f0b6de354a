"""Every planted fault is caught, and every check earns its place."""

from __future__ import annotations

from functools import cache
from itertools import permutations

import pytest

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.faults.catalogue import FAULTS, faults
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.score import FaultScore, score_fault
from rnnspec.conformance.run import PROFILES
from rnnspec.spec import UnknownOperationError, operations

CAUGHT_FIRST = {
    "unmodified": "lstm-padding-cleared-in-place",
    "values": "lstm-forget-bias-of-one",
    "gradients": "gru-truncation-counts-the-padding",
    "drift": "gru-recurrent-gradient-five-percent-short",
    "edges": "gru-state-forgotten-without-a-step",
    "functions": "rnn-hard-sigmoid-of-one-slope",
    "special_values": "crf-log-partition-nan-taken-for-forbidden",
    "layouts": "lstm-strides-ignored",
    "padding": "mean-squared-error-padding-counts-a-little",
    "padding_nan": "gru-padding-times-zero",
    "attributes": "gru-attributes-of-the-first-call",
    "batch": "lstm-sequence-alone-looked-up",
    "split": "gru-base-of-a-view-read",
    "reverse": "gru-input-by-its-checksum",
    "permutation": "attention-scores-keys-by-their-checksum",
    "shift": "crf-log-partition-emissions-by-their-differences",
    "partition": "crf-log-partition-best-path-above-them-all",
    "clipping": "clip-by-norm-multiplied-and-divided",
    "jacobian": "state-jacobian-initial-gradient-twice",
    "identities": "lstm-1997-zero-weights-skipped",
    "marginals_are_gradients": "crf-marginals-log-partition-gradient-averaged",
    "best_path": "crf-viterbi-tags-chosen-apart",
    "ties": "crf-viterbi-ties-to-the-highest",
    "partial_gradients": "gru-initial-state-with-the-weights",
    "second_order": "crf-log-partition-gradients-are-constants",
    "callers": "lstm-one-array-one-gradient",
    "repeatability": "rnn-sums-in-the-order-of-arrival",
    "bad_input": "gru-lengths-cut-off",
}
"""Of each check, a fault that none before it catches."""

NEVER_FIRST = {
    "sums_to_one": "a sum is as exact as its terms, all of which `values` holds to their bounds before",
    "forms": "`values` and `gradients` compare no results of a wrong form",
    "zeros": "the deck has a regime of zeros, which `values` and `gradients` meet first",
}
"""Of each check that catches no planted fault first, why it is there all the same."""


@cache
def score(name: str) -> FaultScore:
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    return score_fault(fault, PROFILES["quick"], shrink=False)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_is_caught(fault: Fault) -> None:
    found = score(fault.name)
    assert found.caught, found.message


@pytest.mark.parametrize("check", CAUGHT_FIRST)
def test_check_catches_what_no_check_before_it_does(check: str) -> None:
    assert score(CAUGHT_FIRST[check]).check == check


def test_every_check_catches_something_first_or_it_is_said_why_not() -> None:
    assert {check.id for check in CHECKS} == {*CAUGHT_FIRST, *NEVER_FIRST}


def test_names_are_unique_and_every_fault_says_what_is_wrong() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.about for fault in FAULTS)


@pytest.mark.parametrize(("family", "right"), [("lstm", "ifgo"), ("gru", "rzn")])
def test_every_permutation_of_the_gates_is_planted(family: str, right: str) -> None:
    planted = {fault.name for fault in FAULTS}
    for order in permutations(right):
        assert (f"{family}-gates-in-order-{'-'.join(order)}" in planted) is ("".join(order) != right)


def test_every_operation_has_planted_faults() -> None:
    assert {fault.operation for fault in FAULTS} == set(operations())


def test_faults_are_chosen_by_operation() -> None:
    assert {fault.operation for fault in faults(("gru_cell", "lstm"))} == {"gru_cell", "lstm"}
    with pytest.raises(UnknownOperationError):
        faults(("gru_sell",))
