"""A fault as a report has it: in words and plain data."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.diagnosis.faults import FoundFault
from rnnspec.conformance.run.typed import made
from rnnspec.spec import SpecError
from rnnspec.spec.tracing import plain, trace

_MOST_TRACED: Final = 400
"""Quantities of a trace beyond which it is left out: nobody reads it."""

_MOST_NUMBERS: Final = 200
"""Numbers of an input beyond which it is left out."""

_MOST_BYTES: Final = 2**19
"""Bytes of a repro's file beyond which it is left out of the result."""


@dataclass(frozen=True)
class FaultResult:
    """One fault of an operation of a backend, in the types in which it shows.

    `cause` says on what the fault depends. `suspects` say what the code computes, the simplest first; none where
    nothing was found that gives its numbers. `checks` are those that found it. `case` has the choices of the smallest
    case, `call` says it in one line, and `inputs` has its numbers. `message` says what is wrong with its results.
    `trace` has the values of the equations' quantities. `repro` is the path of a script that shows it, if there is one,
    and `files` has the contents of the script and of its arrays in base64, by the files' names.
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
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, backend: Backend, operation: str, fault: FoundFault) -> FaultResult:
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
            _files(fault.repro),
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FaultResult:
        """Make it from plain data."""
        fault = made(cls, data)
        if not all({"name", "index", "value"} <= set(one) for one in fault.trace):
            raise TypeError("trace: expected quantities, each with name, index and value")
        return fault


def _inputs(case: Case) -> dict[str, Any]:
    return {name: plain(array) for name, array in case.given.inputs.items() if array.size <= _MOST_NUMBERS}


def _files(repro: str) -> dict[str, str]:
    """The script and its arrays; those that are too large to hand on are left out."""
    if not repro:
        return {}
    script = Path(repro)
    paths = [path for path in (script, script.with_suffix(".npz")) if path.is_file()]
    small = [path for path in paths if path.stat().st_size <= _MOST_BYTES]
    return {path.name: b64encode(path.read_bytes()).decode() for path in small}


def _trace(case: Case, gradient: bool) -> tuple[Mapping[str, Any], ...]:
    inputs = {name: wide(array) for name, array in case.given.inputs.items()}
    cotangents = tuple(map(wide, case.given_cotangents)) if gradient and case.spec.gradient else None
    try:
        found = trace(case.operation, inputs, case.attributes, cotangents=cotangents)
    except SpecError:
        return ()
    if len(found) > _MOST_TRACED:
        return ()
    return tuple(one.to_json() for one in found)


def wide(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array of floats in 64 bits, and any other as it is."""
    return array if array.dtype.kind in "biu" else array.astype(np.float64)
