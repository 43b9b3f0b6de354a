"""One case from a file, to be asked again: a repro's archive, or a case as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks import CHECKS, Check
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import parts_of
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.repro import Record, read_record
from rnnspec.spec import FLOAT_TYPES, check_attributes, operation

_BY_ID: Final = {check.id: check for check in CHECKS}
_UNKNOWN: Final = ("values", "gradients")
"""The checks of a case of which it is not known which check failed."""


@dataclass(frozen=True)
class Question:
    """The example that a check asks again; `about` says it in words."""

    check: Check
    example: Any
    operation: str
    dtype: str
    about: str


class _GivenValues(Values):
    """Outputs of the numbers in an archive."""

    def examine(self, backend: Backend, example: Any) -> float:
        """Run the call and compare its outputs with what is right for its numbers."""
        case, record = example
        asked = Asked(case, record.call, part="the archive's numbers")
        return asked.compare(asked.right().outputs, asked.of(backend))


class _GivenGradients(Gradients):
    """Gradients of the numbers in an archive."""

    def examine(self, backend: Backend, example: Any) -> float:
        """Differentiate the call as it was, and compare the gradients with what is right for its numbers."""
        case, record = example
        directions = record.directions or None
        asked = Asked(case, record.call, record.cotangents, record.wanted, directions, "the archive's numbers")
        right = asked.right().gradients
        return asked.compare({name: right[name] for name in record.wanted}, asked.of(backend))


def questions_in(path: Path) -> list[Question]:
    """Return what a file asks; raise FileError if it is no file of a case.

    A file `.npz` is a repro's; its check is asked of its case or, where the check was given more than the archive can
    hold, values or gradients of the archive's numbers. A file `.json` is an object with a `case` and, if it is known,
    the `check`; else values and gradients are asked.
    """
    if path.suffix == ".npz":
        return [_of_record(path, read_record(path))]
    if path.suffix != ".json":
        raise FileError(f"{path}: expected a repro's .npz or a .json with a case")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileError(f"{path}: expected JSON: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("case"), dict):
        raise FileError(f"{path}: expected an object with a 'case', like those in the JSON of rnnspec validate")
    try:
        case = Case.from_json(data["case"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path}: 'case' is none: {type(error).__name__}: {error}") from error
    _must_be_possible(path, case)
    known = data.get("check")
    if known is not None and known not in _BY_ID:
        raise FileError(f"{path}: check: expected one of {', '.join(_BY_ID)}, got {known!r}")
    questions = list(_of_case(case, _UNKNOWN if known is None else (known,)))
    if not questions:
        raise FileError(f"{path}: check {known} asks nothing of {case}")
    return questions


def _of_case(case: Case, names: tuple[str, ...]) -> Iterator[Question]:
    for check in map(_BY_ID.__getitem__, names):
        if check.by_case and check.applies_to(operation(case.operation)):
            example = check.of(case, Scope(case.operation, case.dtype))
            if example is not None:
                yield Question(check, example, case.operation, case.dtype, f"{check.id} of {case}")


def _of_record(path: Path, record: Record) -> Question:
    if record.check not in _BY_ID:
        raise FileError(f"{path}: check: expected one of {', '.join(_BY_ID)}, got {record.check!r}")
    check, case = _BY_ID[record.check], record.case
    if case is None:
        raise FileError(
            f"{path}: expected a case, got none: check {check.id} asks a whole deck; run it again by "
            f"--op {record.operation} --dtype {record.dtype} -k {check.id}"
        )
    _must_be_possible(path, case)
    if record.example is not None:
        more = [str(part) for part in parts_of(record.example) if not isinstance(part, Case)]
        about = f"{check.id} of {case}" + (f", with {', '.join(more)}" if more else "")
        return Question(check, record.example, case.operation, case.dtype, about)
    if record.call is None:
        raise FileError(f"{path}: expected the arrays of a call, got none")
    given: Check = _GivenValues() if record.cotangents is None else _GivenGradients()
    about = f"{given.id} of the archive's numbers, which {check.id} made in {case}"
    return Question(given, (case, record), record.operation, record.dtype, about)


def _must_be_possible(path: Path, case: Case) -> None:
    """Raise FileError for a case of which no call can be made."""
    try:
        if case.dtype not in FLOAT_TYPES:
            raise ValueError(f"dtype: expected one of {', '.join(FLOAT_TYPES)}, got {case.dtype!r}")
        if not all(isinstance(size, int) and size >= 0 for size in case.sizes.values()):
            raise ValueError(f"sizes: expected numbers from 0 on, got {dict(case.sizes)}")
        check_attributes(operation(case.operation), case.attributes)
        _ = case.given, case.given_cotangents
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise FileError(f"{path}: 'case' is no possible call: {type(error).__name__}: {error}") from error
