"""What a backend keeps of an earlier call: its last states, or an attribute.

Code that is traced or compiled once for its arrays' shapes closes over what else it was given, and later calls of these
shapes are computed with that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.conformance.cases import Case
from rnnspec.conformance.cases.steps import needs_of
from rnnspec.conformance.cases.support import values_of
from rnnspec.conformance.diagnosis.misreadings.attributes import taking
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.judge.tolerance import Expected, expect
from rnnspec.spec import CallError
from rnnspec.spec.arrays import Array

_CASES: Final = 3
"""Failing cases whose attributes are tried."""

_OTHERS: Final = 2
"""Other values of an attribute that are tried."""

_UNUSUAL: Final = 7
"""The first size of calls with shapes that no call has had yet, as far as can be."""


def remembered_state(backend: Backend, case: Case) -> str:
    """Return the equations of a backend that keeps a state from one call to the next; empty where it does not."""
    states = {f"{name[0]}0": name for name in case.results if name.endswith("_n")}
    given = {state: result for state, result in states.items() if state in case.items}
    if not given:
        return ""
    before, after = replace(case, seed=case.seed + 1).anew(), case.anew()
    with suppress(BackendCrashError, Unsupported, GuestLostError):
        asked = Guarded(backend)
        last = dict(zip(before.results, asked.run(before.call), strict=True))
        came = asked.run(after.call)
        states_before = {state: last[result] for state, result in given.items()}
        due = replace(after.given, inputs={**after.given.inputs, **states_before})
        if _agrees(expect(due, case.dtype), came):
            words = " and ".join(f"{state} was {result}" for state, result in given.items())
            return f"{words} of the call before"
    return ""


def remembered_attribute(backend: Backend, failing: Sequence[Case]) -> str:
    """Return the name of an attribute that the backend keeps from the first call of some shapes; empty for none.

    Two calls of new shapes differ in the attribute alone. The first is right, whichever it is, and the second has the
    results of the first one's attribute.
    """
    sizes = iter(range(_UNUSUAL, _UNUSUAL + 1000))
    for case in failing[:_CASES]:
        for name, value, other in _changes(case):
            if all(_keeps(backend, case, name, turn, next(sizes)) for turn in ((other, value), (value, other))):
                return name
    return ""


def _changes(case: Case) -> Iterator[tuple[str, Any, Any]]:
    """Yield the attributes of a case that no size follows from, each with its value and another."""
    for name, attribute in case.spec.attributes.items():
        value = case.attributes[name]
        others = (one for one in (attribute.default, *values_of(case, attribute)) if one != value)
        for other in islice(others, _OTHERS if not attribute.size else 0):
            yield name, value, other


def _keeps(backend: Backend, case: Case, name: str, turn: tuple[Any, Any], size: int) -> bool:
    """Whether the second of two calls alike, of a size that is new, has the results of the first one's attribute."""
    bare = replace(case, sizes={symbol: max(size, least) for symbol, least in _least(case).items()}, regime="generic")
    first, second = (replace(bare.with_attributes(**{name: value}), seed=case.seed + size) for value in turn)
    with suppress(BackendCrashError, GuestLostError, Unsupported, CallError):
        asked = Guarded(backend)
        if not _is_right(first.given, asked.run(first.anew().call), case.dtype):
            return False
        came = asked.run(second.anew().call)
        as_first = taking(second.given, name, turn[0])
        return not _is_right(second.given, came, case.dtype) and _is_right(as_first, came, case.dtype)
    return False


def _least(case: Case) -> Mapping[str, int]:
    return replace(case, sizes=dict.fromkeys(case.sizes, 1)).with_at_least(**needs_of(case.steps)).sizes


def _is_right(call: Call, came: Sequence[Array], dtype: str) -> bool:
    expected = expect(call, dtype)
    return expected.in_range and _agrees(expected, came)


def _agrees(expected: Expected, came: Sequence[Array]) -> bool:
    """Whether all outputs have their shapes, and lie within their bounds."""
    return all(
        array.shape == bounded.value.shape
        and bounded.error_ratios(array, expected.format.largest).max(initial=0.0) <= 1
        for bounded, array in zip(expected.outputs.values(), came, strict=True)
    )
