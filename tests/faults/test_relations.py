"""Laws between calls: each is broken by a fault that its own check alone sees, and none asks what a backend lacks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.backends import Backend, Unsupported
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS, Check, Violation
from rnnspec.conformance.checks.identities import IDENTITIES, Identities, Identity
from rnnspec.conformance.checks.shifts import SHIFTED
from rnnspec.conformance.checks.sums import SHARES
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.run import PROFILES, Verdict, run_check
from rnnspec.conformance.run.runner import checks_for
from rnnspec.spec import operations

BY_ID = {check.id: check for check in CHECKS}
PLANTED = {fault.name: fault for fault in faults()}


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("gru-input-by-its-checksum", "reverse"),
        ("attention-scores-keys-by-their-checksum", "permutation"),
        ("crf-log-partition-emissions-by-their-differences", "shift"),
        ("crf-log-partition-best-path-above-them-all", "partition"),
        ("clip-by-norm-multiplied-and-divided", "clipping"),
        ("state-jacobian-initial-gradient-twice", "jacobian"),
        ("lstm-1997-zero-weights-skipped", "identities"),
        ("crf-marginals-log-partition-gradient-averaged", "marginals_are_gradients"),
    ],
)
def test_only_the_check_of_its_law_catches_it(fault: str, check: str) -> None:
    planted = PLANTED[fault]
    for asked in checks_for(planted.operation, CHECKS):
        found = run_check(asked, planted.implementation(), planted.operation, "float32", PROFILES["quick"])
        assert (asked.id, found.verdict.bad) == (asked.id, asked.id == check), found.message


def test_a_sum_that_is_not_1_is_caught_by_itself() -> None:
    planted = PLANTED["attention-softmax-before-masking"]
    found = run_check(BY_ID["sums_to_one"], planted.implementation(), "attention_weights", "float32", PROFILES["quick"])
    assert found.verdict is Verdict.VIOLATES
    assert found.message.startswith("sum of weights over T")


def test_a_share_below_0_is_caught() -> None:
    class Negative(Backend):
        name: ClassVar[str] = "negative"

        def softmax(self, x: np.ndarray, **attributes: object) -> tuple[np.ndarray, ...]:
            (y,) = reference.softmax(x)
            return (y + np.array([-2, 2], y.dtype),)

    with pytest.raises(Violation, match="y"):
        BY_ID["sums_to_one"].examine(Negative(), Case("softmax", "float32", {"B": 1, "T": 2}, {}))


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda identity: f"{identity.operation}: {identity}")
def test_the_reference_holds_every_identity(identity: Identity) -> None:
    from rnnspec.backends.numpy import NumpyBackend

    sizes = {"B": 3, "T": 4, "D": 2, "H": 3, "U": 2, "E": 2, "A": 3, "K": 4, "N": 2, "C": 4}
    case = Case(identity.operation, "float32", sizes, operations()[identity.operation].defaults(), steps="mask", seed=1)
    ratio = Identities().examine(NumpyBackend(), (identity.case(case), identity))
    assert ratio <= 1


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda identity: f"{identity.operation}: {identity}")
def test_the_other_side_of_an_identity_is_another_call(identity: Identity) -> None:
    case = Case(identity.operation, "float32", {"T": 3}, operations()[identity.operation].defaults(), seed=2)
    case = identity.case(case)
    pair = identity.pair(case, identity.about)
    assert (pair.first.operation, pair.first.attributes) != (pair.second.operation, pair.second.attributes)


def test_what_a_backend_lacks_is_not_asked_of_it() -> None:
    class PlainLstm(Backend):
        name: ClassVar[str] = "plain"
        lstm = staticmethod(reference.lstm)

    identity = next(one for one in IDENTITIES if "peephole" in one.about)
    case = Case("lstm", "float32", {"B": 2, "T": 2, "D": 2, "H": 2, "S": 2}, operations()["lstm"].defaults())
    with pytest.raises(Unsupported, match="peephole_lstm"):
        Identities().examine(PlainLstm(), (identity.case(case), identity))


@pytest.mark.parametrize(("check", "named"), [("shift", SHIFTED), ("sums_to_one", SHARES)])
def test_laws_and_tables_name_the_same_operations(check: str, named: dict[str, object]) -> None:
    asked: Check = BY_ID[check]
    assert set(named) == {name for name, op in operations().items() if asked.applies_to(op)}
