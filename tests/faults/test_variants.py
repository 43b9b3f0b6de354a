"""Right implementations are never rejected, however they are written. RNNSPEC_VARIANT_CASES sets how many cases."""

from __future__ import annotations

import os

import pytest

from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.faults.score import run_variant
from rnnspec.conformance.faults.variants import LOOPS, VARIANTS, Variant
from rnnspec.conformance.run import PROFILES, Verdict, run_check
from rnnspec.conformance.run.runner import checks_for
from rnnspec.spec import operations

CASES = int(os.environ.get("RNNSPEC_VARIANT_CASES", "150"))


@pytest.mark.parametrize(
    ("variant", "operation"),
    [pytest.param(variant, name, id=f"{variant.name}-{name}") for variant in VARIANTS for name in variant.operations],
)
def test_variant_is_never_rejected(variant: Variant, operation: str) -> None:
    score = run_variant(variant, operation, CASES)
    assert score.rejected == 0, score.message
    assert 0 < score.worst_error_ratio <= 1


@pytest.mark.parametrize("operation", [name for name in operations() if name.removesuffix("_cell") in LOOPS])
def test_right_loops_pass_every_check(operation: str) -> None:
    loops = LOOPS[operation.removesuffix("_cell")]()
    for check in checks_for(operation, CHECKS):
        result = run_check(check, loops, operation, "float32", PROFILES["quick"])
        if check.needs_second_order or check.needs_drawing:  # the loops have none, and say so
            assert result.verdict is Verdict.REFUSED
            continue
        # An identity with an operation that the loops have not is refused.
        refusable = {Verdict.REFUSED} if check.id == "identities" else set()
        assert result.verdict in {Verdict.CONFORMS, *refusable}, result.message
