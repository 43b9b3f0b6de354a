"""A call that is asked again after it failed, and the message where its answer is another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Check
from rnnspec.conformance.checks.asked import Unsteady, Violation
from rnnspec.conformance.checks.check import parts_of
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.checks.whereabouts import whereabouts
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.run.repro import Ask, Witness
from rnnspec.spec.arrays import Array

MOST_ASKED: Final = 5
"""How often a call that is known to change is asked for the answer that differs."""


def anew(example: Any) -> Any:
    """Return an example with arrays of its own: those that a backend had may be overwritten."""
    parts = tuple(part.anew() if isinstance(part, Case) else part for part in parts_of(example))
    return parts if isinstance(example, tuple) else parts[0]


def told_if_unsteady(
    check: Check, backend: Backend, example: Any, failure: Violation | BackendCrashError, *, known: bool
) -> tuple[Violation | BackendCrashError, str, list[Ask]]:
    """Ask again what failed, and compare both answers.

    Parameters
    ----------
    check, backend, example
        What failed: what was asked, of whom, and on what.
    failure
        How it failed.
    known
        Whether it was seen not to fail another time.

    Returns
    -------
    tuple
        The failure, which is `Unsteady` if the answers differ by more than rounding explains; the words before its
        message; and the request that was made again, if it is known.
    """
    for _ in range(MOST_ASKED if known else 1):
        witness, second = Witness(backend), None
        try:
            check.examine(witness, anew(example))
        except GuestLostError:
            break
        except (Violation, BackendCrashError) as again:
            words, second = _words(failure, again), again
        except (Unsupported, OutOfRangeError) as again:
            words = f"was refused the second: {again}"
        else:
            words = "right the second"
        if isinstance(failure, BackendCrashError):
            if words:
                told = "gave a result the second" if words == "right the second" else words
                return failure, f"the same call crashed the first time and {told}: ", witness.asks[-1:]
            continue
        asks, answers = _both_answers(failure, second, witness.asks, known=bool(words))
        if answers or words:
            told = answers or f"the same call was wrong the first time and {words}"
            return _unsteady(failure, told), "", asks
    if not known:
        return failure, "", []
    if isinstance(failure, BackendCrashError):
        return failure, "the same call crashed once and gave a result another time: ", []
    return _unsteady(failure, "the same call was wrong once and right another time"), "", []


def _words(failure: Violation | BackendCrashError, again: Violation | BackendCrashError) -> str:
    """The description of a failure other than the first; empty if it is of the same kind."""
    if isinstance(failure, BackendCrashError) == isinstance(again, BackendCrashError):
        return ""
    if isinstance(again, Violation):
        return "gave a wrong result the second"
    return "crashed the second"


def _unsteady(failure: Violation, told: str) -> Unsteady:
    return Unsteady(
        f"{told}: {failure.message}", failure.case, failure.asked, quantity=failure.quantity,
        expected=failure.expected, got=failure.got, error_ratio=failure.error_ratio,
    )  # fmt: skip


def _both_answers(
    failure: Violation, again: BaseException | None, asks: Sequence[Ask], *, known: bool
) -> tuple[list[Ask], str]:
    """The request at fault as it was made again, and both answers where they differ; the bound tells unless `known`.

    A check may have put right results in the place of those that it does not judge. Two answers are therefore compared
    as the check has them or, where it finds no fault in the second, where the first is wrong.
    """
    asked, expected, got = failure.asked, failure.expected, failure.got
    if asked is None or expected is None or not isinstance(got, np.ndarray) or not got.size:
        return [], ""
    wrong = expected.error_ratios(got, format_of(asked.case.dtype).largest) > 1
    for ask in asks:
        if not (_same(asked.call, ask.call) and (asked.cotangents is None) == (ask.cotangents is None)):
            continue
        second, compared = (ask.result or {}).get(failure.quantity), wrong
        if isinstance(again, Violation) and again.quantity == failure.quantity and again.got is not None:
            second, compared = again.got, np.ones_like(wrong)
        if not isinstance(second, np.ndarray) or second.shape != got.shape:
            continue
        apart = np.where(compared, _apart(got, second, expected.bound), 0)
        place = tuple(int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape))
        if apart[place] > (0 if known else 1):
            index = ", ".join(map(str, place))
            name = f"{failure.quantity}[{index}]" if index else failure.quantity
            where = whereabouts(asked.call, failure.quantity, place) if index else ""
            numbers = f"{float(got[place]):.9g} the first time and {float(second[place]):.9g} the second"
            return [ask], f"the same call gave {name}{where} = {numbers}"
    return [], ""


def _apart(first: Array, second: Array, bound: Array) -> Array:
    """How far two answers are from each other, in bounds."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(all="ignore"):
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        return np.nan_to_num(np.where(same, 0, np.abs(one - other) / bound), nan=np.inf, posinf=np.inf)


def _same(call: Call, other: Call) -> bool:
    """Whether two calls are of the same numbers."""
    return (
        (call.operation, call.attributes) == (other.operation, other.attributes)
        and set(call.inputs) == set(other.inputs)
        and all(array.tobytes() == other.inputs[name].tobytes() for name, array in call.inputs.items())
    )
