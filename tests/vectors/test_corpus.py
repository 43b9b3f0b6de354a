"""A corpus of the default size catches planted faults and rejects nothing right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from operator import attrgetter

import pytest

from rnnspec.backends import Backend, Unsupported
from rnnspec.backends.numpy import NumpyBackend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.cli import export_command
from rnnspec.conformance.faults import (
    derivatives,
    drawn,
    drift,
    forms,
    layouts,
    many_calls,
    nan,
    one_array_twice,
    sizes,
    small_numbers,
    threads,
    written_arrays,
)
from rnnspec.conformance.faults.catalogue import faults
from rnnspec.conformance.faults.fault import planted_in
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.vectors.corpus import corpus
from rnnspec.spec import FLOAT_TYPES, operation, operations

(CASES,) = (int(str(option.default)) for option in export_command.params if option.name == "cases")


@lru_cache(maxsize=4)
def cases_of(name: str, dtype: str) -> list[Case]:
    """The cases of a corpus, which faults of one operation and type share with what is expected of them."""
    return [case for case, _ in corpus(name, dtype, CASES)]


def outcomes(backend: Backend, name: str, dtype: str) -> Iterator[tuple[Case, float | Violation]]:
    guarded = Guarded(backend)
    checks = (Values(), Gradients()) if operation(name).differentiable else (Values(),)
    for case in cases_of(name, dtype):
        for check in checks:
            try:
                yield case, check.examine(guarded, case)
            except Violation as violation:
                yield case, violation
            except (Unsupported, BackendCrashError):  # a crash writes no results
                continue


def test_most_planted_faults_are_caught() -> None:
    """The others are of what a corpus cannot ask: bad input, garbage in the padding, one call after another.

    A corpus asks nothing about some of these: gradients in part or of second order, the form of results, NaN, how
    arrays lie and what becomes of them, and threads. Nor does it ask about large sizes, numbers that are all small,
    calls that depend on others, and errors that show in many calls together.
    """
    unasked = planted_in(
        derivatives, forms, written_arrays, layouts, one_array_twice, nan, threads, sizes, drift, many_calls,
        small_numbers, drawn,
    )  # fmt: skip
    shown = [fault for fault in faults() if fault not in unasked][::4]  # all of them take minutes
    caught = sum(
        any(
            isinstance(outcome, Violation)
            for _, outcome in outcomes(fault.implementation(), fault.operation, fault.dtype)
        )
        for fault in sorted(shown, key=attrgetter("operation", "dtype"))
    )
    print(f"{caught} of {len(shown)} with {CASES} cases")
    assert caught > 0.8 * len(shown)  # a few cases do not meet every function, count and choice


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
def test_nothing_right_is_rejected(dtype: str) -> None:
    judged = [outcome for name in operations() for outcome in outcomes(NumpyBackend(), name, dtype)]
    assert len(judged) > CASES * len(operations())
    assert [str(outcome) for _, outcome in judged if isinstance(outcome, Violation)] == []
