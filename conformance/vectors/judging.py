"""Judgement of an implementation's results of the vectors, written to files."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rnnspec.backends import Call
from rnnspec.backends.words import kind_of, words_of
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.asked import Asked, Came, shapes_of
from rnnspec.conformance.judge.tolerance import Bounded
from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.files import FileError
from rnnspec.conformance.run.storage import in_type, read_stored
from rnnspec.conformance.vectors.manifest import Entry, Manifest, Vector
from rnnspec.spec.arrays import NamedArrays

Question = Literal["values", "gradients"]
Judgement = float | Violation | None
"""The worst error ratio, or the violation; None if there is no result."""


@dataclass
class Findings:
    """Judgement of one operation in one type, of its values or its gradients."""

    operation: str
    dtype: str
    question: Question
    judged: int = 0
    missing: list[str] = field(default_factory=list)
    worst: float | None = None
    failure: Violation | None = None
    """Violation of the smallest violating case; `failed` is its file, `size` the number of its inputs' elements."""

    failed: str = ""
    size: int = 0
    seconds: float = 0.0

    def add(self, vector: Vector, outcome: Judgement) -> None:
        """Add one case: its worst error ratio, its violation, or None if it has no results."""
        if outcome is None:
            self.missing.append(vector.id)
            return
        self.judged += 1
        ratio = outcome.error_ratio if isinstance(outcome, Violation) else outcome
        if ratio is not None:
            self.worst = ratio if self.worst is None else max(self.worst, ratio)
        size = sum(math.prod(entry.shape) for entry in vector.inputs)
        if isinstance(outcome, Violation) and (self.failure is None or size < self.size):
            self.failure, self.failed, self.size = outcome, vector.file, size

    @property
    def verdict(self) -> Verdict:
        """Verdict on the present results; missing ones are reported apart."""
        if self.failure is not None:
            return Verdict.VIOLATES
        return Verdict.CONFORMS if self.judged else Verdict.NOT_IMPLEMENTED

    def result(self, name: str, folder: Path) -> CheckResult:
        """Return the judgement as the result of a check."""
        return CheckResult(
            backend=name,
            operation=self.operation,
            dtype=self.dtype,
            device="",  # results do not say where they were computed
            id=self.question,
            level="MUST",
            verdict=self.verdict,
            examples=self.judged,
            refused=0,
            reasons=(),
            worst_error_ratio=self.worst if self.worst is not None and math.isfinite(self.worst) else None,
            message=str(self.failure or ""),
            repro=str(folder / self.failed) if self.failed else "",
            seconds=self.seconds,
        )


def judge_results(folder: Path, manifest: Manifest, results: Path) -> Iterator[list[Findings]]:
    """Judge the results of every case; after each case, yield all findings so far.

    Raises
    ------
    FileError
        If the vectors are not as they were exported, or the results cannot be read.
    """
    findings: dict[tuple[str, str, Question], Findings] = {}
    for vector in manifest.vectors:
        started = time.perf_counter()
        try:
            outcomes = _judge_case(folder, vector, results)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            if isinstance(error, FileError):
                raise
            told = f"the manifest's case does not fit the arrays: {kind_of(error)}: {words_of(error)}"
            raise FileError(f"{folder / vector.file}: {told}; export the vectors anew") from error
        seconds = (time.perf_counter() - started) / len(outcomes)
        for question, outcome in outcomes.items():
            key = (vector.case.operation, vector.case.dtype, question)
            found = findings.setdefault(key, Findings(*key))
            found.add(vector, outcome)
            found.seconds += seconds
        yield list(findings.values())


def _judge_case(folder: Path, vector: Vector, results: Path) -> dict[Question, Judgement]:
    """Judge the outputs and, if the case has gradients, these."""
    arrays = _read_vector(folder, vector)
    path = results / vector.file
    stored = read_stored(path) if path.exists() else {}
    outputs, gradients = _named(stored, "output", vector.outputs), _named(stored, "gradient", vector.gradients)
    if path.exists() and not outputs and not gradients:
        came = ", ".join(stored) or "none"
        raise FileError(f"{path}: expected arrays named output.NAME or gradient.NAME, got {came}")
    outcomes: dict[Question, Judgement] = {"values": _outcome(_compare_outputs, vector, arrays, outputs)}
    if vector.gradients:
        outcomes["gradients"] = _outcome(_compare_gradients, vector, arrays, gradients)
    return outcomes


def _read_vector(folder: Path, vector: Vector) -> NamedArrays:
    """A case's arrays as they were exported; FileError if the file has changed."""
    path = folder / vector.file
    if not path.is_file():
        raise FileError(f"{path}: there is no such file, though the manifest has it: export the vectors anew")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != vector.sha256:
        raise FileError(f"{path}: the file has changed since the export: export the vectors anew")
    if [entry.name for entry in vector.outputs] != list(vector.case.results):
        here = ", ".join(vector.case.results)
        raise FileError(f"{path}: {vector.case.operation} has the outputs {here} in this rnnspec: export anew")
    return read_stored(path)


def _named(stored: NamedArrays, role: str, due: tuple[Entry, ...]) -> NamedArrays:
    """The arrays of a role by their names without the role, each in its expected type."""
    types = {entry.array: entry.dtype for entry in due}
    return {
        key.removeprefix(f"{role}."): in_type(array, types.get(key, ""))
        for key, array in stored.items()
        if key.startswith(f"{role}.")
    }


def _outcome(
    compare: Callable[[Vector, NamedArrays, NamedArrays], float], vector: Vector, arrays: NamedArrays, got: NamedArrays
) -> Judgement:
    if not got:
        return None
    try:
        return compare(vector, arrays, got)
    except Violation as violation:
        return violation


def _compare_outputs(vector: Vector, arrays: NamedArrays, got: NamedArrays) -> float:
    """Compare outputs with the expected ones, as the check ``values`` does."""
    asked, expected = Asked(vector.case, _call(vector, arrays)), _expected(vector.outputs, arrays)
    if set(got) != set(expected):
        raise asked.violation(f"expected the outputs {', '.join(expected)}, got {', '.join(got)}")
    return _worst(asked, expected, [got[name] for name in expected])


def _compare_gradients(vector: Vector, arrays: NamedArrays, got: NamedArrays) -> float:
    """Compare gradients with the expected ones, as the check ``gradients`` does."""
    cotangents = tuple(in_type(arrays[entry.array], entry.dtype) for entry in vector.cotangents)
    asked = Asked(vector.case, _call(vector, arrays), cotangents)
    return _worst(asked, _expected(vector.gradients, arrays), got)


def _call(vector: Vector, arrays: NamedArrays) -> Call:
    inputs = {entry.name: in_type(arrays[entry.array], entry.dtype) for entry in vector.inputs}
    return Call(vector.case.operation, inputs, vector.case.attributes)


def _expected(entries: tuple[Entry, ...], arrays: NamedArrays) -> dict[str, Bounded]:
    return {entry.name: Bounded(arrays[entry.array], arrays[entry.bound]) for entry in entries}


def _worst(asked: Asked, expected: Mapping[str, Bounded], got: Came) -> float:
    """Return the worst error ratio of all quantities, or raise the worst violation."""
    ratios, violations = [0.0], []
    for name, array in asked.named(shapes_of(expected), got).items():
        try:
            ratios.append(asked.judge(asked.quantity(name), expected[name], array))
        except Violation as violation:
            violations.append(violation)
    if violations:
        raise max(violations, key=lambda violation: violation.error_ratio or 0.0)
    return max(ratios)
