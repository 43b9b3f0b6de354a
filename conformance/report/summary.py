"""Summaries of results, by operation and type and by backend, which ``validate --json`` writes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rnnspec.conformance.diagnosis.result import FaultResult
from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.expected import ExpectedFailure, not_seen
from rnnspec.conformance.run.typed import made
from rnnspec.spec import FLOAT_TYPES, operations


@dataclass(frozen=True)
class OperationSummary:
    """All checks of one operation in one type."""

    name: str
    dtype: str
    device: str
    checks: tuple[CheckResult, ...]

    @property
    def verdict(self) -> Verdict:
        """Verdict on the operation: the worst of its checks."""
        return Verdict.worst(check.verdict for check in self.checks)

    @property
    def worst_error_ratio(self) -> float | None:
        """Largest error ratio of all checks; None if none has one."""
        return max(
            (check.worst_error_ratio for check in self.checks if check.worst_error_ratio is not None), default=None
        )

    @property
    def examples(self) -> int:
        """Number of judged calls."""
        return sum(check.examples for check in self.checks)


@dataclass(frozen=True)
class CallCounts:
    """Extent of some checks: numbers of calls judged, refused and beyond the type, and coverage of the planned cases.

    `met` has the tuples of choices that were met and those possible, by strength and whether the plan is deep.
    `largest` has each size's largest value.
    """

    judged: int
    refused: int
    out_of_range: int
    met: Mapping[tuple[int, bool], tuple[int, int]]
    largest: Mapping[str, int]
    left_out: Mapping[str, Mapping[str, Sequence[int]]]
    """Sizes that take too long to judge, by operation and symbol."""

    ended: Mapping[str, Sequence[str]]
    """Checks that ended with a call that lost its process, by operation."""

    @classmethod
    def of(cls, checks: Sequence[CheckResult]) -> CallCounts:
        """Add up some checks; the coverage is that of ``values``, which asks all planned cases."""
        met: dict[tuple[int, bool], tuple[int, int]] = {}
        largest: dict[str, int] = {}
        left_out: dict[str, Mapping[str, Sequence[int]]] = {}
        ended: dict[str, list[str]] = {}
        for check in checks:
            coverage = check.coverage
            if check.ended:
                ended.setdefault(check.operation, []).append(check.id)
            if check.id != "values" or coverage is None:
                continue
            if coverage.left_out:
                left_out[check.operation] = coverage.left_out
            kind = coverage.strength, coverage.deep
            before, of_before = met.get(kind, (0, 0))
            met[kind] = before + coverage.met, of_before + coverage.total
            for symbol, size in coverage.largest.items():
                largest[symbol] = max(size, largest.get(symbol, 0))
        return cls(
            sum(check.examples for check in checks),
            sum(check.refused for check in checks),
            sum(check.out_of_range for check in checks),
            met,
            largest,
            left_out,
            ended,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        met = [
            {"strength": strength, "deep": deep, "met": met, "of": total}
            for (strength, deep), (met, total) in self.met.items()
        ]
        return {
            "judged": self.judged, "refused": self.refused, "out_of_range": self.out_of_range,
            "choices": met, "largest": dict(self.largest),
            "left_out": self.left_out,
            "ended": self.ended,
        }  # fmt: skip


@dataclass(frozen=True)
class BackendSummary:
    """All operations of one backend."""

    name: str
    versions: Mapping[str, str]
    operations: tuple[OperationSummary, ...]
    not_seen: tuple[str, ...] = ()
    """Titles of the expected failures that were not seen."""

    faults: tuple[FaultResult, ...] = ()
    """The faults, each once."""

    profile: str = ""
    seed: int | None = None
    """Profile and seed by which the calls were planned; empty and None for results made elsewhere."""

    accuracy: Mapping[str, str] = field(default_factory=dict)
    """The accuracy that the backend declares, in words by type; empty where it declares none."""

    @property
    def verdict(self) -> Verdict:
        """Verdict on the backend: the worst of its operations."""
        return Verdict.worst(operation.verdict for operation in self.operations)

    @property
    def departures(self) -> tuple[CheckResult, ...]:
        """Checks of level SHOULD from which the backend departs, although it conforms."""
        checks = (check for operation in self.operations for check in operation.checks)
        return tuple(check for check in checks if check.verdict is Verdict.DEPARTS)

    def of(self, name: str) -> list[OperationSummary]:
        """Return an operation in all types that were asked for."""
        return [operation for operation in self.operations if operation.name == name]

    def faults_of(self, operation: OperationSummary) -> list[FaultResult]:
        """Return the faults that show in an operation in its type."""
        return [f for f in self.faults if f.operation == operation.name and operation.dtype in f.dtypes]

    def asked(self, dtype: str) -> CallCounts:
        """Return the extent of the checks in a type, over all operations."""
        checks = [check for operation in self.operations if operation.dtype == dtype for check in operation.checks]
        return CallCounts.of(checks)

    @property
    def nothing_judged(self) -> tuple[CheckResult, ...]:
        """Checks of implemented operations that judged no call, since all were refused or beyond the type."""
        checks = (check for operation in self.operations for check in operation.checks if operation.verdict.judged)
        return tuple(check for check in checks if check.verdict is Verdict.REFUSED)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, in the documented form of ``validate --json``."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "profile": self.profile,
            "seed": self.seed,
            "asked": {
                dtype: self.asked(dtype).to_json() for dtype in dict.fromkeys(op.dtype for op in self.operations)
            },
            "judged_nothing": [
                {"operation": check.operation, "dtype": check.dtype, "check": check.id, "reason": check.message}
                for check in self.nothing_judged
            ],
            "versions": dict(self.versions),
            "accuracy": dict(self.accuracy),
            "expected_failures_not_seen": list(self.not_seen),
            "operations": [
                {
                    "name": operation.name,
                    "dtype": operation.dtype,
                    "device": operation.device,
                    "verdict": operation.verdict,
                    "checks": [_check_json(check) for check in operation.checks],
                    "faults": [fault.to_json() for fault in self.faults_of(operation)],
                }
                for operation in self.operations
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BackendSummary:
        """Make it from what `to_json` gave.

        Raises
        ------
        TypeError, KeyError, ValueError
            If the data has another form.
        """
        results, faults = list[CheckResult](), dict[str, FaultResult]()
        name = data["name"]
        if not (isinstance(name, str) and name.strip() and name.isprintable()):
            raise ValueError(f"name: expected words in one line, got {name!r}")
        for part in data["operations"]:
            place = {"backend": name, "operation": part["name"], "dtype": part["dtype"], "device": part["device"]}
            results += [made(CheckResult, check, **place) for check in part["checks"]]
            for fault in part["faults"]:
                faults[repr(fault)] = made(FaultResult, fault, backend=name)
        for result in results:
            _must_make_sense(result)
        of_another = {result.operation for result in results} - set(operations())
        if of_another:
            raise ValueError(f"the specification has no {', '.join(sorted(of_another))}")
        whole = summarise(name, {}, results, (), "", None, list(faults.values()))
        known = {"versions": data["versions"], "not_seen": data["expected_failures_not_seen"]}
        known["accuracy"] = data.get("accuracy", {})
        return made(cls, {**vars(whole), **known, "profile": data["profile"], "seed": data["seed"]})


def _must_make_sense(result: CheckResult) -> None:
    """Raise ValueError for a result that no check has."""
    where = f"{result.operation} {result.dtype}: {result.id}"
    if result.dtype not in FLOAT_TYPES:
        raise ValueError(f"{where}: dtype: expected one of {', '.join(FLOAT_TYPES)}")
    for name in ("examples", "refused", "out_of_range", "seconds"):
        if not getattr(result, name) >= 0:
            raise ValueError(f"{where}: {name}: expected a number from 0 on, got {getattr(result, name)}")
    ratio = result.worst_error_ratio
    if ratio is not None and not 0 <= ratio < math.inf:
        raise ValueError(f"{where}: worst_error_ratio: expected a number from 0 on, or null, got {ratio}")
    if ratio is not None and ratio > 1 and result.verdict is Verdict.CONFORMS:
        raise ValueError(f"{where}: it conforms with an error ratio of {ratio:g}: expected at most 1")


def summarise(
    name: str,
    versions: Mapping[str, str],
    results: Sequence[CheckResult],
    expected: Sequence[ExpectedFailure] = (),
    profile: str = "",
    seed: int | None = None,
    faults: Sequence[FaultResult] = (),
    accuracy: Mapping[str, str] | None = None,
) -> BackendSummary:
    """Group a backend's results by operation and type, in the specification's order."""
    known, types = list(operations()), FLOAT_TYPES[::-1]
    groups: dict[tuple[str, str, str], list[CheckResult]] = {}
    for result in results:
        if result.backend == name:
            groups.setdefault((result.operation, result.dtype, result.device), []).append(result)
    order = sorted(groups, key=lambda key: (known.index(key[0]), types.index(key[1])))
    seen = [title for result in results if result.backend == name for title in result.expected]
    ran = [
        (result.operation, result.id, result.dtype)
        for result in results
        if result.backend == name and result.verdict is not Verdict.NOT_IMPLEMENTED
    ]
    grouped = tuple(OperationSummary(*key, tuple(groups[key])) for key in order)
    own = tuple(fault for fault in faults if fault.backend == name)
    unseen = tuple(not_seen(expected, seen, ran))
    return BackendSummary(name, versions, grouped, unseen, own, profile, seed, accuracy or {})


def without_paths(
    results: Iterable[CheckResult], faults: Iterable[FaultResult]
) -> tuple[list[CheckResult], list[FaultResult]]:
    """Return results without the paths of repros in a folder that will not last; the faults have their contents."""
    return [replace(one, repro="", no_repro="") for one in results], [replace(one, repro="") for one in faults]


def _check_json(check: CheckResult) -> dict[str, Any]:
    own = {"backend", "operation", "dtype", "device"}
    return {key: value for key, value in check.to_json().items() if key not in own}
