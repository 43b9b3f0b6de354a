"""The faults in a backend's code: the conditions of each, and the equations that the code computes instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rnnspec.backends import Backend, Unsupported
from rnnspec.conformance.checks import CHECKS, Violation
from rnnspec.conformance.checks.right import OutOfRangeError
from rnnspec.conformance.diagnosis.faults import Diagnosis, FoundFault
from rnnspec.conformance.diagnosis.result import FaultResult
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.judge.declared import judged_as_declared
from rnnspec.conformance.run.expected import ExpectedFailure
from rnnspec.conformance.run.repro import Witness, try_repro
from rnnspec.conformance.run.runner import Failed

__all__ = ["Diagnosis", "Fault", "FaultResult", "diagnose"]


def diagnose(
    backend: Backend,
    operation: str,
    failed: Sequence[Failed],
    known: tuple[ExpectedFailure, ...] = (),
    repro_dir: Path | None = None,
) -> list[FaultResult]:
    """Return the faults of one operation of a backend, from the checks that failed in all types.

    Parameters
    ----------
    backend
        What failed.
    operation
        In which operation.
    failed
        The checks that found something wrong; departures from what checks of level SHOULD ask are no faults by
        themselves.
    known
        The expected failures of the backend.
    repro_dir
        Where to write a repro of each fault's smallest case; none is written without.
    """
    if all(one.check.level != "MUST" for one in failed):
        return []
    with judged_as_declared(backend):
        return _diagnosed(backend, operation, failed, known, repro_dir)


def _diagnosed(
    backend: Backend,
    operation: str,
    failed: Sequence[Failed],
    known: tuple[ExpectedFailure, ...],
    repro_dir: Path | None,
) -> list[FaultResult]:
    faults = Diagnosis(backend, operation, known).find(failed)
    for number, fault in enumerate(faults, 1):
        if repro_dir is not None:
            fault.repro = _repro(repro_dir, backend, operation, fault, number) or fault.repro
    return [FaultResult.of(backend, operation, fault) for fault in faults]


def _repro(folder: Path, backend: Backend, operation: str, fault: FoundFault, number: int) -> str:
    """Write the repro of a fault's smallest case; empty where the case does not show the fault by itself."""
    check = next((check for check in CHECKS if check.id == fault.part and check.whole_deck), None)
    if check is None or fault.case is None:
        return ""
    witness = Witness(backend)
    try:
        check.examine(witness, fault.case.anew())
    except (Violation, BackendCrashError) as failure:
        found = failure, witness.asks, str(failure), fault.case
        stem = f"fault-{number}"
        return try_repro(folder, backend, check.id, operation, fault.case.dtype, *found, stem=stem)[0]
    except (Unsupported, OutOfRangeError, GuestLostError):
        pass
    return ""
