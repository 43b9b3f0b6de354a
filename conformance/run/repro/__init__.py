"""A failure as something to paste into an issue tracker: an ``.npz`` and a short script.

The script calls the library alone or, where the adapter does not write such a script, the adapter through rnnspec.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, BackendError, Unsupported
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.words import kind_of, visible, words_of
from rnnspec.conformance.hosting.guard import BackendCrashError
from rnnspec.conformance.hosting.isolated import GuestLostError, reopened
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.run.files import FileError, write_arrays, write_bytes
from rnnspec.conformance.run.repro.evidence import Evidence, Failure, Numbers, ask_of, evidence_of, seen_in
from rnnspec.conformance.run.repro.record import FailureRecord, arrays_of, read_record, record_of
from rnnspec.conformance.run.repro.source import Adapter, AdapterPart, Heading, by_adapter, by_library, live
from rnnspec.conformance.run.repro.witness import Ask, Witness
from rnnspec.spec.arrays import NamedArrays

__all__ = ["Ask", "Failure", "FailureRecord", "Witness", "read_record", "try_repro", "write_repro"]

_LONGEST_NAME: Final = 60


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
    *,
    stem: str = "",
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
    stem
        How the files' names end in place of the check's.
    """
    evidence = evidence_of(failure, asks, dtype)
    versions = ", ".join(f"{name} {version}" for name, version in backend.versions().items())
    heading = Heading(
        f"{backend.name}, {operation} in {dtype}: {check}{seen_in(evidence)} ({versions})",
        message or str(failure),
        " and ".join(backend.versions()),
    )
    path = folder / f"{_file_name(backend.name)}-{operation}-{dtype}-{_file_name(stem or check)}.py"
    ask = ask_of(evidence) or (asks[-1] if asks else None)
    arrays = _portable(_numbers(evidence) | arrays_of(ask, operation, dtype, check, example))
    write_arrays(path.with_suffix(".npz"), arrays)
    written = _written(backend, evidence)
    source = by_library(evidence, heading, dtype, written)
    if source is None:
        adapter = Adapter(backend.opened_as, backend.device) if backend.opened_as else None
        if adapter is not None and isinstance(evidence, Numbers) and not _comes_again(backend, evidence, path, arrays):
            evidence = replace(evidence, ask=None)
        source = by_adapter(evidence, heading, dtype, written, adapter)
    write_bytes(path, visible(source).encode())
    return path


def try_repro(*given: Any, **named: Any) -> tuple[str, str]:
    """Write a repro, as `write_repro` does, at no verdict's cost: return the script's path, or why there is none."""
    try:
        return str(write_repro(*given, **named)), ""
    except Interrupted:
        raise
    except BaseException as error:  # a full disk, an adapter's script that is none, or whatever the adapter raises
        if isinstance(error, FileError):
            return "", words_of(error)
        reason = error.strerror or words_of(error) if isinstance(error, OSError) else words_of(error)
        return "", f"{kind_of(error)}: {reason}"


def _file_name(words: str) -> str:
    """The part of a file's name that a name gives: letters of ASCII and digits, and a digest where the name is long."""
    plain = re.sub(r"\W+", "-", words, flags=re.ASCII)
    if len(plain) <= _LONGEST_NAME:
        return plain
    digest = hashlib.sha256(words.encode(errors="backslashreplace")).hexdigest()[:8]
    return f"{plain[:_LONGEST_NAME]}-{digest}"


def _comes_again(backend: Backend, evidence: Numbers, path: Path, arrays: NamedArrays) -> bool:
    """Whether the one call that the archive holds is wrong by itself, in a backend that has made no other."""
    if evidence.ask is None or evidence.got is None:  # to crash once more may take the time limit
        return True
    record = record_of(path, arrays)
    try:
        witness = Witness(reopened(backend))
        record.ask(witness)
    except (BackendError, Unsupported, BackendCrashError, GuestLostError):
        return True
    got = (witness.asks[-1].result or {}).get(evidence.quantity)
    if not isinstance(got, np.ndarray) or got.shape != evidence.due.value.shape:
        return True
    ratios = evidence.due.error_ratios(got, format_of(record.dtype).largest)
    return bool(np.any((ratios > 1) & ~np.isnan(evidence.due.value)))


def _written(backend: Backend, evidence: Evidence) -> AdapterPart:
    """The library's part of the script, as the adapter writes it."""
    ask = live(evidence)
    if ask is None:
        return AdapterPart()
    try:
        script: object = backend.script(ask.call, ask.wanted, tuple(ask.directions))
        if script is not None and not isinstance(script, str):
            raise TypeError(f"expected the script's text, got {kind_of(script)}")
        return AdapterPart(script)
    except Interrupted:
        raise
    except BaseException as error:  # an adapter need not know how to write down what it should have refused
        words = (words_of(error).splitlines() or [""])[0]
        return AdapterPart(failed=f"{kind_of(error)}: {words}".rstrip(": "))


def _numbers(evidence: Evidence) -> NamedArrays:
    """The right results, and the backend's."""
    if not isinstance(evidence, Numbers):
        return {}
    due = {"expected": evidence.due.value, "bound": evidence.due.bound}
    return due if evidence.got is None else {**due, "got": evidence.got}


def _portable(arrays: NamedArrays) -> NamedArrays:
    """Types that NumPy alone can read back: bfloat16 widens to float32, which holds it exactly."""
    return {
        name: array.astype(np.float32) if array.dtype.name == "bfloat16" else array for name, array in arrays.items()
    }
