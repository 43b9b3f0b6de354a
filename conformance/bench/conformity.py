"""Checks that a backend is right on a workload before it is timed on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rnnspec.backends import Call, Unsupported
from rnnspec.conformance.bench.contender import Contender, reason, violates
from rnnspec.conformance.bench.cost import cost_of
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.judge.tolerance import Expected, expect
from rnnspec.conformance.run.expected import concerning, expected_failures
from rnnspec.spec.arrays import Array

WORK: Final = 2e8
"""Forward floating-point operations of the judged sequences; a batch with more is judged in part."""
FEWEST: Final = 2
"""Least number of judged sequences, however long they are."""


class NotConformingError(Exception):
    """A backend is wrong on the workload, or cannot run it; the message says why.

    `violates` says that this is news that a validation would fail for: a wrong result that is no known fault, a crash
    or a time limit, and no refusal.
    """

    def __init__(self, message: str, *, violates: bool = False) -> None:
        super().__init__(message)
        self.violates = violates


@dataclass(frozen=True)
class Standard:
    """Expected results of one call: for all its sequences, or for some `rows` of them.

    Computing them takes about ten times as long as the reference. A backend therefore makes a large call whole, but
    only some of its sequences are judged. The cotangents of the other sequences are zero, so that the gradients of the
    parameters are those of the judged sequences.
    """

    case: Case
    call: Call
    cotangents: tuple[Array, ...] | None
    expected: Expected
    rows: NDArray[np.int64] | None

    @property
    def judged(self) -> tuple[int, int]:
        """Number of judged sequences, and size of the batch; (1, 1) where the whole batch is judged."""
        return (len(self.rows), self.case.lengths_of["B"]) if self.rows is not None else (1, 1)


def standard_of(case: Case, *, gradient: bool) -> Standard:
    """Compute the expected results of a case.

    Raises
    ------
    NotConformingError
        If the case's type cannot hold the results, so that nothing can be judged.
    """
    rows = _rows(case)
    cotangents = case.cotangents if gradient else None
    call, seeds = case.call, cotangents
    if rows is not None:
        items = case.items
        call = replace(
            call,
            inputs={name: array[rows] if items[name].per_sequence else array for name, array in call.inputs.items()},
        )
        if cotangents is not None:
            seeds = tuple(d[rows] for d in cotangents)
            cotangents = tuple(_only(rows, d) for d in cotangents)
    expected = expect(call, case.dtype, seeds, case.seed)
    if not expected.in_range:
        raise NotConformingError(f"the results lie outside {case.dtype}'s range, so no backend can be judged: {case}")
    return Standard(case, call, cotangents, expected, rows)


def must_conform(contender: Contender, standards: Sequence[Standard]) -> float:
    """Make each call once and compare it with the expected results; return the worst error ratio.

    An isolated contender makes the calls in its own process.

    Raises
    ------
    NotConformingError
        If the backend is wrong, refuses or crashes, or if an isolated one takes too long or ends its process.
    """
    backend = Guarded(contender.backend)
    try:
        return max(_examine(backend, standard, contender) for standard in standards)
    except Unsupported as refusal:
        raise NotConformingError(f"refused: {reason(refusal)}") from refusal
    except Violation as violation:
        told = f"does not conform: {violation.message}, in {violation.case}"
        raise NotConformingError(told, violates=True) from violation
    except BackendCrashError as crash:
        raise NotConformingError(f"crashed: {str(crash).splitlines()[0]}", violates=violates(crash)) from crash
    except GuestLostError as lost:
        raise NotConformingError(reason(lost), violates=True) from lost


def _examine(backend: Guarded, standard: Standard, contender: Contender) -> float:
    case, rows = standard.case, standard.rows
    outputs = tuple(_taken(array, case, rows) for array in backend.run(case.call))
    with _known_faults_told(contender, case, "values"):
        worst = Asked(case, standard.call).compare(standard.expected.outputs, outputs)
    if standard.cotangents is None:
        return worst
    seeds = tuple(_taken(d, case, rows) for d in standard.cotangents)
    gradients = dict(backend.gradients(case.call, standard.cotangents))
    with _known_faults_told(contender, case, "gradients"):
        for name, array in gradients.items():
            if name in case.items and case.items[name].per_sequence and rows is not None:
                _must_be_zero_elsewhere(case, name, array, rows)
                gradients[name] = _taken(array, case, rows)
        return max(worst, Asked(case, standard.call, seeds).compare(standard.expected.gradients, gradients))


@contextmanager
def _known_faults_told(contender: Contender, case: Case, check: str) -> Iterator[None]:
    """Raise NotConformingError with the known fault in the place of a violation that it describes."""
    try:
        yield
    except Violation as violation:
        known = concerning(expected_failures(contender.backend), case, check, contender.backend)
        if known is None:
            raise
        raise NotConformingError(f"does not conform, as is known: {known.reason} {known.link}") from violation


def _rows(case: Case) -> NDArray[np.int64] | None:
    """Rows to judge: the longest sequence and random others; None to judge the whole batch."""
    own = all(item.shape[:1] == ("B",) for item in case.results.values())
    if "batch" not in case.spec.laws or not own:
        return None
    batch = case.lengths_of["B"]
    count = max(FEWEST, int(WORK * batch / max(1.0, cost_of([case], "forward").flops)))
    if count >= batch:
        return None
    order = np.random.default_rng(case.seed).permutation(batch)
    if case.steps != "all":
        order = np.array(sorted(order, key=lambda row: row != case.valid.sum(axis=1).argmax()))
    return np.sort(order[:count]).astype(np.int64)


def _taken(array: Any, case: Case, rows: NDArray[np.int64] | None) -> Any:
    """Judged rows of an array; an array without the batch's axis is unchanged, and the comparison reports it."""
    whole = rows is None or not isinstance(array, np.ndarray) or array.shape[:1] != (case.lengths_of["B"],)
    return array if whole else array[rows]


def _only(rows: NDArray[np.int64], cotangent: Array) -> Array:
    kept = np.zeros_like(cotangent)
    kept[rows] = cotangent[rows]
    return kept


def _must_be_zero_elsewhere(case: Case, name: str, gradient: Any, rows: NDArray[np.int64]) -> None:
    if isinstance(gradient, np.ndarray) and gradient.shape[:1] == (case.lengths_of["B"],):
        others = np.delete(gradient, rows, axis=0)
        if np.any(others != 0):
            message = f"d{name}: expected 0 for sequences whose cotangents are 0, got other numbers"
            raise Violation(message, str(case))
