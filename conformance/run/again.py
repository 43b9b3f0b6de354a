"""One case from a file, to be asked again: a repro's archive, or a case as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rnnspec.backends import Backend
from rnnspec.backends.words import kind_of, words_of
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.checks import CHECKS, Check
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import parts_of
from rnnspec.conformance.checks.gradients import Gradients
from rnnspec.conformance.checks.values import Values
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.reading import read_json, shown
from rnnspec.conformance.run.repro import FailureRecord, read_record
from rnnspec.spec import FLOAT_TYPES, CallError, SpecError, check_attributes, operation
from rnnspec.spec.errors import one_of

MOST_NUMBERS: Final = 2**26
"""Numbers in a call of a file; the largest planned calls have fewer."""
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
    case, known = case_in(path)
    if known is not None and not (isinstance(known, str) and known in _BY_ID):
        raise FileError(f"{path}: check: {one_of(str(known), _BY_ID)}, got {shown(known)}")
    questions = list(_of_case(case, _UNKNOWN if known is None else (known,)))
    if not questions:
        raise FileError(f"{path}: check {known} asks nothing of {case}")
    return questions


def case_in(path: Path) -> tuple[Case, Any]:
    """Return the case of a file ``.json``, and what it names as the check; raise FileError if it is none of a case."""
    data = read_json(path)
    if not isinstance(data, dict) or not isinstance(data.get("case"), dict):
        raise FileError(f"{path}: expected an object with a 'case', like those in the JSON of rnnspec validate")
    try:
        case = Case.from_json(data["case"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path}: 'case' is none: {kind_of(error)}: {words_of(error)}") from error
    _must_be_possible(path, case)
    return case, data.get("check")


def _of_case(case: Case, names: tuple[str, ...]) -> Iterator[Question]:
    for check in map(_BY_ID.__getitem__, names):
        if check.by_case and check.applies_to(operation(case.operation)):
            example = check.of(case, Scope(case.operation, case.dtype))
            if example is not None:
                yield Question(check, example, case.operation, case.dtype, f"{check.id} of {case}")


def _of_record(path: Path, record: FailureRecord) -> Question:
    if record.check not in _BY_ID:
        raise FileError(f"{path}: check: {one_of(record.check, _BY_ID)}, got {record.check!r}")
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


def must_make_sense(case: Case) -> None:
    """Raise an exception for a case that no call can have; no call is made.

    Raises
    ------
    ValueError, TypeError, AttributeError, LookupError, CallError, SpecError
        If its type, sizes or attributes are none of its operation, or it has more than `MOST_NUMBERS`.
    """
    if not isinstance(case.operation, str):
        raise ValueError(f"operation: expected a name, got {shown(case.operation)}")
    if case.dtype not in FLOAT_TYPES:
        raise ValueError(f"dtype: expected one of {', '.join(FLOAT_TYPES)}, got {shown(case.dtype)}")
    if not all(type(size) is int and 0 <= size < MOST_NUMBERS for size in case.sizes.values()):
        raise ValueError(f"sizes: expected numbers from 0 to {MOST_NUMBERS:,}, got {shown(dict(case.sizes))}")
    if type(case.seed) is not int or case.seed < 0:
        raise ValueError(f"seed: expected a whole number from 0 on, got {shown(case.seed)}")
    check_attributes(operation(case.operation), case.attributes)
    if (numbers := numbers_in(case)) > MOST_NUMBERS:
        raise ValueError(f"sizes: expected at most {MOST_NUMBERS:,} numbers in all arrays, got {numbers:,}")
    str(case)  # which reads what is left


def numbers_in(case: Case) -> int:
    """Return how many numbers the arrays of a case's inputs and outputs have; none is made."""
    shapes = [item.shape for item in case.items.values()] + [item.shape for item in case.results.values()]
    return sum(math.prod(case.shape_of(shape)) for shape in shapes)


def _must_be_possible(path: Path, case: Case) -> None:
    """Raise FileError for a case of which no call can be made."""
    try:
        must_make_sense(case)
        _ = case.given, case.given_cotangents
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise FileError(f"{path}: 'case' is no possible call: {kind_of(error)}: {words_of(error)}") from error
    except (CallError, SpecError) as error:
        raise FileError(f"{path}: 'case' is no possible call: {words_of(error)}") from error
