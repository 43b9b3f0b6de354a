"""A fault as a report has it: in words and plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.diagnosis.faults import Fault
from rnnspec.spec import SpecError
from rnnspec.spec.tracing import plain, trace

_MOST_TRACED: Final = 400
"""Quantities of a trace beyond which it is left out: nobody reads it."""

_MOST_NUMBERS: Final = 200
"""Numbers of an input beyond which it is left out."""


@dataclass(frozen=True)
class FaultResult:
    """One fault of an operation of a backend, in the types in which it shows.

    `cause` says on what the fault depends. `suspects` say what the code computes, the simplest first; none where
    nothing was found that gives its numbers. `checks` are those that found it. `case` has the choices of the smallest
    case, `call` says it in one line, and `inputs` has its numbers. `message` says what is wrong with its results.
    `trace` has the values of the equations' quantities. `repro` is the path of a script that shows it, if there is one.
    """

    backend: str
    operation: str
    dtypes: tuple[str, ...]
    device: str
    cause: str
    suspects: tuple[str, ...]
    checks: tuple[str, ...]
    message: str
    call: str = ""
    case: Mapping[str, Any] | None = None
    inputs: Mapping[str, Any] | None = None
    trace: tuple[Mapping[str, Any], ...] = ()
    repro: str = ""

    @classmethod
    def of(cls, backend: Backend, operation: str, fault: Fault) -> FaultResult:
        """Tell of a fault."""
        case = fault.case
        message = fault.failure.message if isinstance(fault.failure, Violation) else str(fault.failure)
        order = [check.id for check in CHECKS]
        return cls(
            backend.name,
            operation,
            tuple(fault.dtypes),
            backend.device,
            str(fault.cause),
            tuple(map(str, fault.suspects)),
            tuple(sorted(fault.checks, key=order.index)),
            message,
            "" if case is None else str(case),
            None if case is None else case.to_json(),
            None if case is None else _inputs(case),
            () if case is None else _trace(case, fault.part == "gradients"),
            fault.repro,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FaultResult:
        """Make it from plain data."""
        lists = ("dtypes", "suspects", "checks", "trace")
        return cls(**{**data, **{name: tuple(data[name]) for name in lists}})


def _inputs(case: Case) -> dict[str, Any]:
    return {name: plain(array) for name, array in case.given.inputs.items() if array.size <= _MOST_NUMBERS}


def _trace(case: Case, gradient: bool) -> tuple[Mapping[str, Any], ...]:
    inputs = {name: _wide(array) for name, array in case.given.inputs.items()}
    cotangents = tuple(map(_wide, case.given_cotangents)) if gradient and case.spec.gradient else None
    try:
        found = trace(case.operation, inputs, case.attributes, cotangents=cotangents)
    except SpecError:
        return ()
    if len(found) > _MOST_TRACED:
        return ()
    return tuple(one.to_json() for one in found)


def _wide(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array if array.dtype.kind in "biu" else array.astype(np.float64)
