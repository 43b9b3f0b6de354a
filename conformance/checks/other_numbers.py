"""What is right for a call whose numbers are not its case's, and what a backend makes of it."""

from __future__ import annotations

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks.check import OutOfRangeError, compare_all
from rnnspec.conformance.judge.tolerance import Expected, expect
from rnnspec.spec.arrays import Array


def expected_for(case: Case, call: Call, cotangents: tuple[Array, ...], *, gradients: bool) -> Expected:
    """What is right for the call; raise OutOfRangeError if the case's type cannot hold the results."""
    expected = expect(call, case.dtype, cotangents if gradients else None, case.seed)
    if not expected.in_range:
        raise OutOfRangeError(str(case))
    return expected


def compare_other(backend: Backend, case: Case, call: Call, cotangents: tuple[Array, ...]) -> float:
    """Run the call and, where there are gradients, differentiate it; hold all of it against what is right for it."""
    expected = expected_for(case, call, cotangents, gradients=backend.has_gradients(call.operation))
    return compare_all(backend, case, call, expected, cotangents)
