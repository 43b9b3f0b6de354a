"""Results put together: by operation and type, and by backend. What ``validate --json`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnspec.conformance.run import CheckResult, Verdict
from rnnspec.conformance.run.expected import ExpectedFailure, not_seen
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
        """The verdict on the operation."""
        return Verdict.worst(check.verdict for check in self.checks)

    @property
    def worst_error_ratio(self) -> float | None:
        """The largest error ratio of any check."""
        return max(
            (check.worst_error_ratio for check in self.checks if check.worst_error_ratio is not None), default=None
        )

    @property
    def examples(self) -> int:
        """Calls judged."""
        return sum(check.examples for check in self.checks)


@dataclass(frozen=True)
class BackendSummary:
    """All operations of one backend."""

    name: str
    versions: Mapping[str, str]
    operations: tuple[OperationSummary, ...]
    not_seen: tuple[str, ...] = ()
    """Titles of the expected failures that nothing was seen to violate."""

    @property
    def verdict(self) -> Verdict:
        """The verdict on the backend."""
        return Verdict.worst(operation.verdict for operation in self.operations)

    @property
    def departures(self) -> tuple[CheckResult, ...]:
        """Checks that say SHOULD and are departed from: the backend conforms nevertheless."""
        checks = (check for operation in self.operations for check in operation.checks)
        return tuple(check for check in checks if check.verdict is Verdict.DEPARTS)

    def to_json(self) -> dict[str, Any]:
        """As plain data, in the form that the documentation gives."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "versions": dict(self.versions),
            "expected_failures_not_seen": list(self.not_seen),
            "operations": [
                {
                    "name": operation.name,
                    "dtype": operation.dtype,
                    "device": operation.device,
                    "verdict": operation.verdict,
                    "checks": [_check_json(check) for check in operation.checks],
                }
                for operation in self.operations
            ],
        }


def summarise(
    name: str,
    versions: Mapping[str, str],
    results: Sequence[CheckResult],
    expected: Sequence[ExpectedFailure] = (),
) -> BackendSummary:
    """Group a backend's results by operation and type, in the specification's order, whoever was done first."""
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
    return BackendSummary(name, versions, grouped, tuple(not_seen(expected, seen, ran)))


def _check_json(check: CheckResult) -> dict[str, Any]:
    own = {"backend", "operation", "dtype", "device"}
    return {key: value for key, value in check.to_json().items() if key not in own}
