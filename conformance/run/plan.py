"""The plan of a run: which check of which operation, in which type, of which backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnnspec.backends import Backend
from rnnspec.conformance.checks import CHECKS
from rnnspec.conformance.run.result import CheckResult, Verdict
from rnnspec.spec import FLOAT_TYPES, operation, operations
from rnnspec.spec.errors import one_of


class PlanError(ValueError):
    """A request names something unknown; the message lists the known names."""


def part_of(backend: str, operation: str) -> str:
    """Return the name of the unit that is finished at once: an operation of a backend, in all types."""
    return f"{backend}/{operation}"


@dataclass(frozen=True)
class Item:
    """One check to run; `backend` is the name it was opened by."""

    backend: str
    operation: str
    dtype: str
    check: str

    @property
    def id(self) -> str:
        """As pytest's ``-k`` sees it."""
        return f"{self.group}-{self.check}"

    @property
    def part(self) -> str:
        """The unit to which it belongs, as `part_of` names it."""
        return part_of(self.backend, self.operation)

    @property
    def group(self) -> str:
        """The common properties of checks that share a deck."""
        return f"{self.backend}-{self.operation}-{self.dtype}"


def lost_result(item: Item, device: str) -> CheckResult:
    """Return the result of a check whose process was lost in it: its backend crashed, or did not return."""
    level = next(check.level for check in CHECKS if check.id == item.check)
    words = "the process ended in this check: by a crash, or in native code that does not return within its time limit"
    return CheckResult(
        item.backend, item.operation, item.dtype, device, item.check, level, Verdict.CRASHED, examples=0, refused=0,
        reasons=(), worst_error_ratio=None, message=words, repro="", seconds=0.0,
    )  # fmt: skip


def must_be_of(results: Iterable[CheckResult], items: Sequence[Item]) -> None:
    """Raise PlanError if these are not the results of these checks, each once."""
    found = Counter(Item(one.backend, one.operation, one.dtype, one.id) for one in results)
    if found != Counter(items):
        odd = next(iter((Counter(items) - found) + (found - Counter(items))))
        raise PlanError(f"expected one result of each of {len(items)} checks, got {found[odd]} of {odd.id}")


def must_be_known(names: Iterable[str], dtypes: Iterable[str] = ()) -> None:
    """Raise UnknownOperationError or PlanError unless there are operations and floating-point types of these names."""
    for name in names:
        operation(name)
    for dtype in dtypes:
        if dtype not in FLOAT_TYPES:
            raise PlanError(f"unknown dtype {dtype!r}: {one_of(dtype, FLOAT_TYPES)}")


def plan(name: str, backend: Backend, only: Sequence[str] = (), dtypes: Sequence[str] = ()) -> list[Item]:
    """List the checks of one backend, limited to the operations `only` and to `dtypes` where any are given."""
    must_be_known(only, dtypes)
    for wanted in dtypes:
        if wanted not in backend.dtypes():
            has = ", ".join(backend.dtypes())
            raise PlanError(f"backend {name} has no {wanted} on {backend.device}: expected one of {has}")
    return [
        Item(name, op, dtype, check.id)
        for op in operations()
        if not only or op in only
        for dtype in FLOAT_TYPES[::-1]
        if dtype in (dtypes or backend.dtypes())
        for check in CHECKS
        if check.concerns(backend, operation(op))
    ]
