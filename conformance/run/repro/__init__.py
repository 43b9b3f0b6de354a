"""A failure as something to paste into an issue tracker: an ``.npz`` and a short script without rnnspec."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnspec.backends import Backend
from rnnspec.conformance.run.files import write_arrays, write_bytes
from rnnspec.conformance.run.repro.evidence import Evidence, Failure, Numbers, ask_of, evidence_of, seen_in
from rnnspec.conformance.run.repro.record import Record, arrays_of, read_record
from rnnspec.conformance.run.repro.source import Heading, live, source_of
from rnnspec.conformance.run.repro.witness import Ask, Witness
from rnnspec.spec.arrays import NamedArrays

__all__ = ["Ask", "Failure", "Record", "Witness", "read_record", "write_repro"]


def write_repro(
    folder: Path,
    backend: Backend,
    check: str,
    operation: str,
    dtype: str,
    failure: Failure,
    asks: Sequence[Ask],
    message: str = "",
    example: Any = None,
) -> Path:
    """Write the repro of a failure and return the script's path.

    Parameters
    ----------
    folder
        Where to write; it is made if it is not there.
    backend
        What failed: it writes its library's part of the script (`Backend.script`).
    check, operation, dtype
        What was asked.
    failure
        What was found.
    asks
        All that was asked on the failing example, in order.
    message
        How the failure is told; by default, in its own words.
    example
        What the check was given: a case, or a case and more; None where that is not known.
    """
    evidence = evidence_of(failure, asks, dtype)
    versions = ", ".join(f"{name} {version}" for name, version in backend.versions().items())
    heading = Heading(
        f"{backend.name}, {operation} in {dtype}: {check}{seen_in(evidence)} ({versions})",
        message or str(failure),
        " and ".join(backend.versions()),
    )
    stem = re.sub(r"\W+", "-", f"{backend.name}-{operation}-{dtype}-{check}")
    path = folder / f"{stem}.py"
    ask = ask_of(evidence) or (asks[-1] if asks else None)
    arrays = _numbers(evidence) | arrays_of(ask, operation, dtype, check, example)
    write_arrays(path.with_suffix(".npz"), _portable(arrays))
    write_bytes(path, source_of(evidence, heading, dtype, _call(backend, evidence)).encode())
    return path


def _call(backend: Backend, evidence: Evidence) -> str | None:
    """The library's part of the script; None if it has none."""
    ask = live(evidence)
    if ask is None:
        return None
    try:
        return backend.script(ask.call, ask.wanted, tuple(ask.directions))
    except Exception:  # an adapter need not know how to write down what it should have refused
        return None


def _numbers(evidence: Evidence) -> NamedArrays:
    """What is right, and what came."""
    if not isinstance(evidence, Numbers):
        return {}
    due = {"expected": evidence.due.value, "bound": evidence.due.bound}
    return due if evidence.got is None else {**due, "got": evidence.got}


def _portable(arrays: NamedArrays) -> NamedArrays:
    """Types that NumPy alone can read back: bfloat16 widens to float32, which holds it exactly."""
    return {
        name: array.astype(np.float32) if array.dtype.name == "bfloat16" else array for name, array in arrays.items()
    }
