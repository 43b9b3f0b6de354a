"""Check ``bad_input``: a call that the specification does not define ends in an error, never in a number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks.asked import Asked, Violation
from rnnspec.conformance.checks.check import Check
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec import CallError, check_call
from rnnspec.spec.arrays import Array
from rnnspec.spec.operation import Input

_MOST: Final = 5
"""The largest size: each place of each array is broken."""


class BadInput(Check):
    """Everything that can be wrong with a call in one place, found from the specification's shapes and kinds."""

    id = "bad_input"
    calls = 5
    about = "a wrong rank, size, type, length, id, probability, mask or attribute ends in an error, never in a number"
    why = "a number for a call that has no meaning is taken for a result"

    def of(self, case: Case, scope: Scope) -> Case:
        """Small cases with something to do: some implementations look at no input where there is nothing."""
        few = {symbol: min(size, _MOST) for symbol, size in case.sizes.items()}
        return replace(case, sizes=few).with_at_least(B=1, T=1)

    def examine(self, backend: Backend, example: Case) -> float:
        """Break the call in every way, one at a time; any exception is right. The call itself stays right."""
        # A backend that refuses the good call (an attribute it lacks, say) would refuse the bad one for the wrong
        # reason.
        right = self._is_right(backend, example)
        for call, wrong in breakages(example):
            try:
                backend.run(call)
            except Exception:  # how an implementation words its error is its own affair
                continue
            raise Asked(example, call).violation(f"accepted {wrong}: expected an error, got a result")
        if not right:  # another check reports it
            return 0.0
        try:
            return Values().examine(backend, example.anew())
        except Violation as violation:
            violation.message = "after calls that ended in errors: " + violation.message
            raise

    @staticmethod
    def _is_right(backend: Backend, example: Case) -> bool:
        try:
            Values().examine(backend, example.anew())
        except Violation:
            return False
        return True


def breakages(case: Case) -> Iterator[tuple[Call, str]]:
    """Every way to break a case's call in one place that the specification refuses."""
    for inputs, attributes, wrong in _candidates(case):
        call = Call(case.operation, inputs, attributes)
        try:
            check_call(case.operation, inputs, attributes)
        except CallError:
            yield call, wrong


def _candidates(case: Case) -> Iterator[tuple[dict[str, Array], dict[str, Any], str]]:
    inputs, attributes = dict(case.call.inputs), dict(case.call.attributes)
    kinds = case.items
    for name, array in inputs.items():
        for changed, wrong in (
            *_wrong_arrays(array, kinds[name].kind, case.dtype),
            *_wrong_numbers(array, kinds[name]),
        ):
            yield {**inputs, name: changed}, attributes, f"{name} {wrong}"
        if not kinds[name].optional:
            yield {key: value for key, value in inputs.items() if key != name}, attributes, f"no {name}"
    if case.spec.has_steps:
        batch, steps = case.sizes["B"], case.sizes["T"]
        full = np.full(batch, steps, np.int64)
        others = {key: value for key, value in inputs.items() if key not in ("lengths", "mask")}
        for length in (steps + 1, -1):
            lengths = full.copy()
            lengths[-1] = length
            yield {**others, "lengths": lengths}, attributes, f"a length of {length} for {steps} steps"
        both = {"lengths": full, "mask": np.ones((batch, steps), np.bool_)}
        yield {**others, **both}, attributes, "both lengths and mask"
    yield from _without_any(case)
    for name in attributes:
        yield inputs, {**attributes, name: "no such value"}, f"{name}='no such value'"
    yield inputs, {**attributes, "no_such_attribute": 1}, "an unknown attribute"


def _without_any(case: Case) -> Iterator[tuple[dict[str, Array], dict[str, Any], str]]:
    """The case with none of what there is to be one of at least: no features, no units, no tags."""
    for symbol, size in case.sizes.items():
        if symbol in case.spec.sizes and symbol not in ("B", "T") and size:
            none = replace(case, sizes={**case.sizes, symbol: 0})
            if min(none.lengths_of.values()) < 0:  # one less than none: there is no such array
                continue
            inputs = {
                name: np.zeros(none.shape_of(item.shape), array.dtype)
                for name, item in none.items.items()
                if (array := case.call.inputs.get(name)) is not None
            }
            yield inputs, dict(case.call.attributes), f"{symbol} = 0"


def _wrong_numbers(array: Array, item: Input) -> Iterator[tuple[Array, str]]:
    """The array with one number outside its range, at each place: numbers in the padding may be anything."""
    floats = {"probability": (-0.5, 1.5, np.nan, np.inf), "square": (-0.5, -np.inf)}
    outside = {"ids": (-1, 1 << 40), "float": floats.get(item.domain, ())}
    for number in outside.get(item.kind, ()):
        for place in list(np.ndindex(array.shape))[:4]:
            changed = array.copy()
            changed[place] = number
            yield changed, f"with {item.name}{list(place)} = {number}"


def _wrong_arrays(array: Array, kind: str, dtype: str) -> Iterator[tuple[Array, str]]:
    yield array[..., np.newaxis], "with an axis too many"
    yield np.zeros(array.shape[1:], array.dtype), "with an axis too few"
    for axis, length in enumerate(array.shape):
        one_more = (*array.shape[:axis], 1, *array.shape[axis + 1 :])
        longer = np.concatenate([array, np.zeros(one_more, array.dtype)], axis)
        yield longer, f"of shape {longer.shape} in place of {array.shape}"
        if length > 1:
            shorter = array.take(range(length - 1), axis)
            yield shorter, f"of shape {shorter.shape} in place of {array.shape}"
    if kind == "float":
        other = "float32" if dtype != "float32" else "float64"
        yield array.astype(format_of(other).dtype), f"in {other} among {dtype}"
        # Not a cast: minus infinity, which some inputs may have, is no whole number.
        yield np.ones(array.shape, np.int64), f"in int64 among {dtype}"
    else:
        yield array.astype(np.float32), f"in float32 in place of {array.dtype}"
