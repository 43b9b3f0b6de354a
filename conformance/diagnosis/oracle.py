"""What a backend answers to a case, and whether that is wrong beyond what is explained already."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Unsupported
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.edits.single import EditedPart
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.run.expected import ExpectedFailure, concerning
from rnnspec.spec import CallError
from rnnspec.spec.arrays import Array

Failure = Violation | BackendCrashError
Shows = Callable[[Case], Failure | None]
"""Returns how a fault shows at a case; None where it does not, or where the case cannot be asked."""

LARGEST: Final = 600
"""The product of the sizes of the largest case that is looked at: the smallest failing ones tell the most."""


class OutOfTimeError(Exception):
    """The time that a diagnosis may take is over."""


@dataclass
class Clock:
    """The time that a diagnosis may take, in seconds."""

    seconds: float
    started: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> float:
        """What is left of it."""
        return self.started + self.seconds - time.perf_counter()

    def check(self) -> None:
        """Raise OutOfTimeError if it is over."""
        if self.left <= 0:
            raise OutOfTimeError


@dataclass
class Oracle:
    """Asks a backend about cases of an operation, each of them once."""

    backend: Backend
    known: tuple[ExpectedFailure, ...]
    clock: Clock
    _asked: dict[tuple[str, str], tuple[dict[str, Array] | None, Failure | None]] = field(default_factory=dict)

    def answer(self, case: Case, part: EditedPart) -> dict[str, Array] | None:
        """Return what the backend gives, outputs or gradients by name; None where it gives nothing that is judged."""
        return self._ask(case, part)[0]

    def wrong(self, case: Case, part: EditedPart) -> Failure | None:
        """Return what is wrong with the outputs, or with the gradients, of a case."""
        return self._ask(case, part)[1]

    def by_check(self, check: Check, example: Any, case: Case) -> Failure | None:
        """Return what a check finds wrong with an example, with this case in the place of its own."""
        self.clock.check()
        try:
            check.examine(Guarded(self.backend), check.like(example, case) if isinstance(example, tuple) else case)
        except (Violation, BackendCrashError) as failure:
            return None if self._is_known(case, check.id) else failure
        except (Unsupported, OutOfRangeError, CallError, GuestLostError):
            return None
        return None

    def _is_known(self, case: Case, check: str) -> bool:
        return concerning(self.known, case, check, self.backend) is not None

    def _ask(self, case: Case, part: EditedPart) -> tuple[dict[str, Array] | None, Failure | None]:
        key = str(case), part
        if key not in self._asked:
            self.clock.check()
            self._asked[key] = self._answered(case, part)
        return self._asked[key]

    def _answered(self, case: Case, part: EditedPart) -> tuple[dict[str, Array] | None, Failure | None]:
        guarded, of_gradients = Guarded(self.backend), part == "gradients"
        came: dict[str, Array] | None = None
        try:
            case = case.anew()
            expected = expected_of(case, gradients=of_gradients)
            asked = Asked(case, case.call, case.cotangents if of_gradients else None)
            got = asked.of(guarded)
            came = dict(got) if isinstance(got, dict) else dict(zip(case.results, got, strict=False))
            came = {name: np.array(array) for name, array in came.items() if isinstance(array, np.ndarray)}
            asked.compare(expected.gradients if of_gradients else expected.outputs, got)
        except (Violation, BackendCrashError) as failure:
            return came, None if self._is_known(case, part) else failure
        except (Unsupported, OutOfRangeError, CallError, GuestLostError):
            return None, None
        return came, None


def size_of(case: Case) -> int:
    """Return the product of a case's sizes."""
    return int(np.prod([max(size, 1) for size in case.sizes.values()]))


def same_kind(one: Failure | None, other: Failure) -> bool:
    """Whether two failures are of one kind: wrong results, or crashes in errors of one type."""
    if isinstance(one, BackendCrashError) and isinstance(other, BackendCrashError):
        return type(one.error) is type(other.error)
    return isinstance(one, Violation) and isinstance(other, Violation)


def simple_first(cases: Sequence[Case]) -> list[Case]:
    """Return cases in the order in which they are plain: few choices, steps before padding, small sizes."""

    def key(case: Case) -> tuple[Any, ...]:
        plain = case.spec.defaults()
        changed = sum(value != plain[name] for name, value in case.attributes.items())
        return changed + (case.steps != "all") + len(case.absent) + (case.regime != "generic"), size_of(case)

    return sorted(cases, key=key)
