"""The core of a failure: one call, and the error in its results.

Most checks say so themselves. Where one compares two calls, the one at fault is the one of which the
reference says otherwise; and so wherever a check speaks of what it derived from several results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnspec.backends import Call
from rnnspec.backends.words import kind_of
from rnnspec.conformance.checks.asked import Unsteady, Violation
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import Bounded, expect, expect_second_order
from rnnspec.conformance.run.repro.witness import Ask
from rnnspec.spec import CallError, check_call
from rnnspec.spec.arrays import Array

_BFLOAT16 = format_of("bfloat16").dtype

Failure = Violation | BackendCrashError | GuestLostError


@dataclass(frozen=True)
class Numbers:
    """Numbers that are wrong; without an `ask`, they were derived from several calls; without `got`, none came.

    `quantity` is an output's name or, after a d, that of the input whose gradient it is. Where NaN is due, anything
    may come.
    """

    ask: Ask | None
    quantity: str
    due: Bounded
    got: Array | None
    seconds: float | None = None
    """How long was waited for them."""


@dataclass(frozen=True)
class Form:
    """A result of the wrong form: another shape or type, or others than there should be."""

    ask: Ask
    quantity: str
    due: str
    came: str
    shows_alone: bool
    """Whether the library and NumPy show it without the adapter.

    Which gradients come, and as what, is the adapter's doing; and NumPy has no bfloat16.
    """


@dataclass(frozen=True)
class Accepted:
    """A call that should have ended in an error, and had a result, or no end within so many seconds."""

    ask: Ask
    seconds: float | None = None


@dataclass(frozen=True)
class Words:
    """A failure that can only be described."""

    due: str
    came: str


Evidence = Numbers | Form | Accepted | Words


def evidence_of(failure: Failure, asks: Sequence[Ask], dtype: str) -> Evidence:
    """The core of a failure, given all calls on the failing example."""
    if not isinstance(failure, Violation):
        return _nothing_came(failure, asks, dtype)
    own = _own(failure, asks)
    if isinstance(failure, Unsteady):  # to ask once more may show nothing
        return replace(own, ask=None) if own else Words(failure.message, "what the message says")
    if own is not None and own.ask is not None and (agreed := _agreed(own, own.ask, dtype)) is not None:
        return agreed
    made = [ask for ask in asks if failure.asked is not None and ask.given is failure.asked.call]
    if failure.expected is None and made and _is_bad(made[-1].call):
        return Accepted(made[-1])
    for ask in asks:
        with np.errstate(all="ignore"):
            found = next(_faults(ask, dtype), None)
        if found is not None:
            return found
    return own or next(_changes(asks), None) or Words(failure.message, "what the message says")


def _nothing_came(failure: BackendCrashError | GuestLostError, asks: Sequence[Ask], dtype: str) -> Evidence:
    words = (str(failure).splitlines() or [kind_of(failure)])[0]
    ask = next((ask for ask in asks[::-1] if ask.result is None), None)
    waited = None
    if isinstance(failure, GuestLostError):
        ask = ask or _asked_last(failure)
        waited = failure.seconds if failure.timed_out else None
    if ask is not None and isinstance(failure, GuestLostError) and _is_bad(ask.call):
        return Accepted(ask, waited)
    due = {} if ask is None or _is_bad(ask.call) else _due(ask, dtype)
    if ask is None or not due:
        return Words("an answer", words)
    quantity, bounded = next(iter(due.items()))
    return Numbers(ask, quantity, bounded, None, waited)


def _asked_last(lost: GuestLostError) -> Ask | None:
    """The request in which the process was lost; None where it asked for no result."""
    match lost.request, lost.more:
        case "run", ():
            return Ask(lost.call, lost.call)
        case "gradients", (cotangents, wanted):
            wanted = lost.call.float_inputs if wanted is None else wanted
            return Ask(lost.call, lost.call, tuple(cotangents), tuple(wanted))
        case "second_order", (cotangents, directions):
            return Ask(lost.call, lost.call, tuple(cotangents), tuple(lost.call.float_inputs), dict(directions))
    return None


def _own(violation: Violation, asks: Sequence[Ask]) -> Numbers | None:
    """The check's own numbers, with the call that they came from, if it was one call."""
    asked = violation.asked
    if asked is None or violation.expected is None or violation.got is None:
        return None
    of = (
        ask
        for ask in asks[::-1]
        if ask.given is asked.call
        and (ask.cotangents is None) == (asked.cotangents is None)
        and violation.quantity in (ask.result or {})
    )
    return Numbers(next(of, None), violation.quantity, violation.expected, violation.got)


def _agreed(own: Numbers, ask: Ask, dtype: str) -> Numbers | None:
    """The check's own numbers, if the reference does not say otherwise; where it has NaN, it says nothing."""
    reference = _due(ask, dtype).get(own.quantity)
    if reference is None or reference.value.shape != own.due.value.shape:
        return own
    with np.errstate(invalid="ignore"):
        near = np.abs(own.due.value - reference.value) <= reference.bound
    silent = np.isnan(reference.value)
    if not np.all(near | silent | (own.due.value == reference.value)):
        return None
    return replace(own, due=Bounded(np.where(silent, np.nan, own.due.value), own.due.bound)) if silent.any() else own


def _due(ask: Ask, dtype: str) -> Mapping[str, Bounded]:
    """The reference's results of the call, by quantity; nothing where it has none."""
    try:
        if ask.cotangents is None:
            return expect(ask.call, dtype).outputs
        if ask.directions:
            expected = expect_second_order(ask.call, dtype, ask.cotangents, ask.directions)
        else:
            expected = expect(ask.call, dtype, ask.cotangents)
    except Exception:  # a call that is not the reference's affair
        return {}
    return {f"d{name}": bounded for name, bounded in expected.gradients.items() if name in ask.wanted}


def _faults(ask: Ask, dtype: str) -> Iterator[Evidence]:
    """The errors in the results, by the reference."""
    due, got = _due(ask, dtype), ask.result
    if got is None or not due:
        return
    if ask.cotangents is None and len(got) != len(due):
        yield Form(ask, "", f"{len(due)} outputs", f"{len(got)} outputs", shows_alone=True)
        return
    if set(got) != set(due):
        yield Form(ask, "", f"gradients of {_listed(due)}", f"gradients of {_listed(got)}", shows_alone=False)
        return
    kinds = ask.call.spec.outputs_for(ask.call.attributes)
    form = format_of(dtype)
    for quantity, bounded in due.items():
        array = got[quantity]
        ids = ask.cotangents is None and kinds[quantity].kind == "ids"
        kind = np.dtype(np.int64) if ids else form.dtype if ask.call.float_inputs else np.dtype(np.float64)
        described, wanted = form_of(array), f"{kind} of shape {bounded.value.shape}"
        if described != wanted:
            of_numpy = isinstance(array, np.ndarray) and _BFLOAT16 not in (array.dtype, kind)
            yield Form(ask, quantity, wanted, described, shows_alone=of_numpy)
        elif np.any((bounded.error_ratios(array, form.largest) > 1) & ~np.isnan(bounded.value)):
            yield Numbers(ask, quantity, bounded, array)


def _changes(asks: Sequence[Ask]) -> Iterator[Numbers]:
    """The inputs and earlier results after the call, and the results of the same call made again."""
    for ask in asks:
        yield from _changed(ask.call.inputs, ask.given.inputs)
        yield from _changed(ask.result or {}, ask.came or {})
    for index, ask in enumerate(asks):
        for again in asks[index + 1 :]:
            if _asked(ask) == _asked(again):
                yield from _changed(ask.result or {}, again.result or {})


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Numbers]:
    for name, array in before.items():
        other = after.get(name)
        if isinstance(array, np.ndarray) and isinstance(other, np.ndarray) and array.tobytes() != other.tobytes():
            yield Numbers(None, name, Bounded(array.astype(np.float64), np.zeros(array.shape)), other)


def _asked(ask: Ask) -> Any:
    """All that a request consists of, to be compared."""
    arrays = [*ask.call.inputs.items(), *ask.directions.items(), *enumerate(ask.cotangents or ())]
    contents = [(name, array is not None and (array.shape, array.tobytes())) for name, array in arrays]
    return ask.call.operation, ask.call.attributes, ask.cotangents is None, ask.wanted, contents


def ask_of(evidence: Evidence) -> Ask | None:
    """The one request at fault, if it is one."""
    return None if isinstance(evidence, Words) else evidence.ask


def seen_in(evidence: Evidence) -> str:
    """Where the evidence shows, in words."""
    if isinstance(evidence, Numbers | Form) and evidence.ask is not None and evidence.quantity:
        return f", seen in {evidence.quantity} of {evidence.ask.call.operation}"
    return ""


def form_of(result: Any) -> str:
    """Type and shape of a result, in words."""
    if not isinstance(result, np.ndarray):
        return f"no array but {kind_of(result)}"
    return f"{result.dtype} of shape {result.shape}"


def _listed(quantities: Mapping[str, Any]) -> str:
    return ", ".join(sorted(name[1:] for name in quantities))


def _is_bad(call: Call) -> bool:
    """Whether the specification refuses the call."""
    try:
        check_call(call.operation, call.inputs, call.attributes)
    except CallError:
        return True
    return False
