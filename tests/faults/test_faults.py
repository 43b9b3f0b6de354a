"""Every planted fault is caught, and every check earns its place."""

from __future__ import annotations

from itertools import permutations
from operator import attrgetter

import pytest

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.faults import derivatives
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.fault import Fault, planted_in
from rnnspec.conformance.faults.score import score_fault
from rnnspec.conformance.run import PROFILES
from rnnspec.spec import UnknownOperationError, operations

CAUGHT_FIRST = {
    "unmodified": "lstm-padding-cleared-in-place",
    "values": "lstm-forget-bias-of-one",
    "gradients": "gru-truncation-counts-the-padding",
    "drift": "gru-recurrent-gradient-five-percent-short",
    "functions": "gru-softplus-slope-of-the-value",
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
    "drawn": "dropout-seed-ignored",
}
"""Of each check, a fault that none before it catches."""

NEVER_FIRST = {
    "edges": "the deck has empty calls and least sizes, which `values` and `gradients` meet first",
    "sums_to_one": "a sum is as exact as its terms, all of which `values` holds to their bounds before",
    "forms": "`values` and `gradients` compare no results of a wrong form",
    "zeros": "the deck has a regime of zeros, which `values` and `gradients` meet first",
}
"""Of each check that catches no planted fault first, why it is there all the same."""


ALONE_IN_PARTS = {fault.name for fault in planted_in(derivatives)}
"""Faults of gradients in part and of gradients of gradients, which no check before these two sees."""


def checks_for_which_it_stands(fault: Fault) -> set[str]:
    """The checks of which this fault proves that none before them catches it; empty if it proves nothing."""
    if fault.name in ALONE_IN_PARTS:
        return {"partial_gradients", "second_order"}
    return {check for check, name in CAUGHT_FIRST.items() if name == fault.name}


# Faults of one operation and type share what is planned and expected of it.
@pytest.mark.parametrize("fault", sorted(faults(), key=attrgetter("operation", "dtype")), ids=attrgetter("name"))
def test_fault_is_caught_and_by_the_check_for_which_it_stands(fault: Fault) -> None:
    found = score_fault(fault, PROFILES["quick"], shrink=False)
    assert found.caught, found.message
    expected = checks_for_which_it_stands(fault)
    assert not expected or found.check in expected


def test_every_check_catches_something_first_or_it_is_said_why_not() -> None:
    assert {check.id for check in CHECKS} == {*CAUGHT_FIRST, *NEVER_FIRST}


def test_names_are_unique_and_every_fault_says_what_is_wrong() -> None:
    assert len({fault.name for fault in faults()}) == len(faults())
    assert all(fault.about for fault in faults())


@pytest.mark.parametrize(("family", "right"), [("lstm", "ifgo"), ("gru", "rzn")])
def test_every_permutation_of_the_gates_is_planted(family: str, right: str) -> None:
    planted = {fault.name for fault in faults()}
    for order in permutations(right):
        assert (f"{family}-gates-in-order-{'-'.join(order)}" in planted) is ("".join(order) != right)


def test_every_operation_has_planted_faults() -> None:
    assert {fault.operation for fault in faults()} == set(operations())


def test_faults_are_chosen_by_operation() -> None:
    assert {fault.operation for fault in faults(("gru_cell", "lstm"))} == {"gru_cell", "lstm"}
    with pytest.raises(UnknownOperationError):
        faults(("gru_sell",))
