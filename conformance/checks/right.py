"""The right results of a case."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.judge.declared import in_force
from rnnspec.conformance.judge.tolerance import Bounded, Expected, expect, expect_both


class OutOfRangeError(Exception):
    """The case's type cannot hold its results: it shows nothing about anyone, and is not judged."""


def expected_of(case: Case, *, gradients: bool = False, both: bool = False) -> Expected:
    """The right results of a case, computed once; raise OutOfRangeError if its type cannot hold them.

    With `both`, gradients are worked out too, as they will be asked for.
    """
    declared, known = in_force(case.dtype), case.worked_out
    if both and ("gradients", declared) not in known:
        known["outputs", declared], known["gradients", declared] = _expected(case, both=True)
    name = ("gradients" if gradients else "outputs", declared)
    if name not in known:
        known[name] = _expected(case, both=gradients)[-1]
    expected: Expected = known[name]
    if not expected.in_range:
        raise OutOfRangeError(str(case))
    return expected


def expected_from(backend: Backend, case: Case) -> Expected:
    """The right results of a case, with gradients where the backend has them."""
    return expected_of(case, gradients=backend.has_gradients(case.operation))


def _expected(case: Case, *, both: bool) -> tuple[Expected, ...]:
    """The right results for the backend's original arguments, without gradients and, if `both`, with them."""
    call = case.call_of(case.judged) if case.sampled else case.given
    if not both:
        found: tuple[Expected, ...] = (expect(call, case.dtype, None, case.seed),)
    else:
        cotangents = case.given_cotangents
        if case.sampled:
            cotangents = tuple(cotangent[case.judged] for cotangent in cotangents)
        found = expect_both(call, case.dtype, cotangents, case.seed)
    return tuple(_of_whole_batch(case, expected) for expected in found) if case.sampled else found


def _of_whole_batch(case: Case, sample: Expected) -> Expected:
    """The known results of a batch of which a sample is judged: the gradients of the other sequences are 0."""
    unjudged, none = np.inf, sample.format.smallest_normal
    outputs = {name: _spread_out(bounded, case, unjudged) for name, bounded in sample.outputs.items()}
    gradients = {
        name: _spread_out(bounded, case, none) if case.items[name].per_sequence else bounded
        for name, bounded in sample.gradients.items()
    }
    return replace(sample, outputs=outputs, gradients=gradients)


def _spread_out(bounded: Bounded, case: Case, bound: float) -> Bounded:
    """The results of the judged sequences where these stand in the batch; 0 to within `bound` elsewhere."""
    shape = (case.sizes["B"], *bounded.value.shape[1:])
    value, bounds = np.zeros(shape, bounded.value.dtype), np.full(shape, bound)
    value[case.judged], bounds[case.judged] = bounded.value, bounded.bound
    # Where some of the judged are impossible, others may be.
    unjudged = bounded.impossible if np.any(bounded.value == bounded.impossible) else np.nan
    return Bounded(value, bounds, impossible=bounded.impossible, unjudged=unjudged)
