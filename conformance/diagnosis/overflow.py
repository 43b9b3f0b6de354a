"""Numbers that exceed their type on the way to a result that does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from rnnspec.conformance.cases import Case
from rnnspec.conformance.edits.compiled import CompiledCall
from rnnspec.conformance.edits.running import results
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec import operation
from rnnspec.spec.vocabulary import REDUCERS, VOCABULARY

_BY_EXP: Final = "exponentials exceed the type, or all vanish: the largest number is to be subtracted first"
_BY_SQUARE: Final = "the square of a large number overflows: the numbers are to be scaled first"

_MADE_OF: Final[dict[str, str]] = {
    "f_exp": _BY_EXP,
    "f_softmax": _BY_EXP,
    "f_log_sum_exp": _BY_EXP,
    "r_log_sum_exp": _BY_EXP,
    "f_norm": _BY_SQUARE,
}
"""The functions that exceed a type where they are worked out without care, by their names in translated equations."""


def overflow_in(case: Case) -> str:
    """Return what overflows where a case's equations are worked out without care in its type; empty if nothing does."""
    form = format_of(case.dtype)
    found = dict[str, None]()

    def watched(function: Callable[..., Any], name: str, numbers: Any) -> Any:
        greatest = float(np.max(np.real(np.asarray(numbers)), initial=-np.inf))
        if _MADE_OF[name] == _BY_SQUARE:
            exceeds = greatest > np.sqrt(form.largest)
        else:
            exceeds = greatest > np.log(form.largest)
            exceeds |= (
                name != "f_exp"
                and np.isfinite(greatest)
                and greatest < np.log(form.smallest_normal * form.unit_roundoff)
            )
        if exceeds:
            found[_MADE_OF[name]] = None
        return function(numbers)

    known = {f"f_{name}": one for name, one in VOCABULARY.items()}
    known |= {f"r_{name}": one for name, one in REDUCERS.items()}
    call = CompiledCall(operation(case.operation), case.given.inputs, case.given.attributes)
    call.programs = {}
    call.functions = {name: partial(watched, known[name], name) for name in _MADE_OF if name in known}
    results(call, (), "values")
    return next(iter(found), "")
