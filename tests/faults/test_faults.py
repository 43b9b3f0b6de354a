"""Every planted fault is caught, and every check earns its place."""

from __future__ import annotations

from itertools import permutations

import pytest

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.faults.catalogue import FAULTS, faults
from rnnspec.conformance.faults.fault import Fault
from rnnspec.conformance.faults.score import FaultScore, score_fault
from rnnspec.conformance.run import PROFILES
from rnnspec.spec import UnknownOperationError

_SCORES: dict[str, FaultScore] = {}


def score(fault: Fault) -> FaultScore:
    if fault.name not in _SCORES:
        _SCORES[fault.name] = score_fault(fault, PROFILES["quick"], shrink=False)
    return _SCORES[fault.name]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_is_caught(fault: Fault) -> None:
    found = score(fault)
    assert found.caught, found.message


@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_check_catches_what_no_check_before_it_does(check: str) -> None:
    assert any(score(fault).check == check for fault in FAULTS)


def test_names_are_unique_and_every_fault_says_what_is_wrong() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.about for fault in FAULTS)


@pytest.mark.parametrize(("family", "right"), [("lstm", "ifgo"), ("gru", "rzn")])
def test_every_permutation_of_the_gates_is_planted(family: str, right: str) -> None:
    planted = {fault.name for fault in FAULTS}
    for order in permutations(right):
        assert (f"{family}-gates-in-order-{'-'.join(order)}" in planted) is ("".join(order) != right)


def test_faults_are_chosen_by_operation() -> None:
    assert {fault.operation for fault in faults(("gru_cell", "lstm"))} == {"gru_cell", "lstm"}
    with pytest.raises(UnknownOperationError):
        faults(("gru_sell",))
