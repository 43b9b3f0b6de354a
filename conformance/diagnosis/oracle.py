"""A backend's answer to a case, and whether it is wrong beyond the faults that are explained already."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Call, Unsupported
from rnnspec.conformance.cases import Case
from rnnspec.conformance.checks import Check, Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.edits.single import EditedPart
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.hosting.isolated import GuestLostError
from rnnspec.conformance.judge.formats import format_of
from rnnspec.conformance.judge.tolerance import expect
from rnnspec.conformance.run.expected import ExpectedFailure, concerning
from rnnspec.conformance.run.repro import Ask, Witness
from rnnspec.conformance.run.unsteady import anew
from rnnspec.spec import CallError
from rnnspec.spec.arrays import Array

Shown = Violation | BackendCrashError


@dataclass(frozen=True)
class Shows:
    """Whether a fault shows at a case: returns how it does, None where it does not, or where the case is refused."""

    at: Callable[[Case], Shown | None]
    answers: Callable[[Case], bool]
    """Whether a case is answered, and judged."""

    def __call__(self, case: Case) -> Shown | None:
        """Return how it does."""
        return self.at(case)


LARGEST: Final = 600
"""The product of the sizes of the largest case that is looked at: the smallest failing ones tell the most."""


class OutOfTimeError(Exception):
    """The time that a diagnosis may take is over."""


_WAITING: Final = 3.0
"""How many times as long as it may compute a diagnosis may wait, for a backend in another process or other programs."""


@dataclass
class Clock:
    """The time that a diagnosis may take, in seconds of computing, so that other programs make it find no less."""

    seconds: float
    computed: float = field(default_factory=time.process_time)
    started: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> float:
        """The rest of it."""
        computing = self.computed + self.seconds - time.process_time()
        return min(computing, self.started + _WAITING * self.seconds - time.perf_counter())

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
    _asked: dict[tuple[str, str], tuple[dict[str, Array] | None, Shown | None]] = field(default_factory=dict)
    _cases: dict[tuple[str, str], Case] = field(default_factory=dict)

    def answer(self, case: Case, part: EditedPart) -> dict[str, Array] | None:
        """Return what the backend gives, outputs or gradients by name; None where it gives nothing that is judged."""
        return self._ask(case, part)[0]

    def wrong(self, case: Case, part: EditedPart) -> Shown | None:
        """Return what is wrong with the outputs, or with the gradients, of a case."""
        return self._ask(case, part)[1]

    def answered(self, part: EditedPart) -> list[Case]:
        """Return the cases whose outputs, or gradients, were given."""
        return [self._cases[key] for key, (came, _) in self._asked.items() if key[1] == part and came is not None]

    def by_check(self, check: Check, example: Any, case: Case) -> Shown | None:
        """Return what a check finds wrong with an example, with this case in the place of its own."""
        self.clock.check()
        try:
            check.examine(Guarded(self.backend), check.like(example, case) if isinstance(example, tuple) else case)
        except (Violation, BackendCrashError) as failure:
            return None if self._is_known(case, check.id) else failure
        except GuestLostError as lost:
            raise OutOfTimeError from lost
        except (Unsupported, OutOfRangeError, CallError):
            return None
        return None

    def calls_of(self, check: Check, example: Any) -> list[Ask]:
        """Return what a check asks on an example."""
        self.clock.check()
        witness = Witness(self.backend)
        with suppress(Violation, BackendCrashError, Unsupported, OutOfRangeError, CallError, GuestLostError):
            check.examine(witness, anew(example))
        return witness.asks

    def is_wrong_plainly(self, ask: Ask, dtype: str) -> bool:
        """Whether a call of finite numbers is wrong by itself, with its arrays as they usually lie in memory."""
        self.clock.check()
        inputs = {name: np.ascontiguousarray(array) for name, array in ask.call.inputs.items()}
        finite = all(np.isfinite(array.astype(np.float64)).all() for array in ask.call.float_inputs.values())
        if not finite or ask.directions:
            return False
        call, guarded = Call(ask.call.operation, inputs, ask.call.attributes), Guarded(self.backend)
        largest = format_of(dtype).largest
        try:
            expected = expect(call, dtype, ask.cotangents)
            if not expected.in_range:
                return False
            due = {name: bounded for name, bounded in expected.gradients.items() if name in ask.wanted}
            came: Any = guarded.gradients(call, ask.cotangents, ask.wanted) if ask.cotangents else guarded.run(call)
            if not ask.cotangents:
                due, came = expected.outputs, dict(zip(expected.outputs, came, strict=True))
            return any(
                came[name].shape != bounded.value.shape or bool((bounded.error_ratios(came[name], largest) > 1).any())
                for name, bounded in due.items()
            )
        except (Unsupported, CallError, GuestLostError):
            return False
        except (BackendCrashError, KeyError, ValueError):
            return True

    def _is_known(self, case: Case, check: str) -> bool:
        return concerning(self.known, case, check, self.backend) is not None

    def _ask(self, case: Case, part: EditedPart) -> tuple[dict[str, Array] | None, Shown | None]:
        key = str(case), part
        if key not in self._asked:
            self.clock.check()
            self._asked[key] = self._answered(case, part)
            self._cases[key] = case
        return self._asked[key]

    def _answered(self, case: Case, part: EditedPart) -> tuple[dict[str, Array] | None, Shown | None]:
        guarded, of_gradients = Guarded(self.backend), part == "gradients"
        came: dict[str, Array] | None = None
        try:
            case = case.anew()
            expected = expected_of(case, gradients=of_gradients)
            asked = Asked(case, case.call, case.cotangents if of_gradients else None)
            got: Any = asked.of(guarded)
            came = dict(got) if isinstance(got, dict) else dict(zip(case.results, got, strict=False))
            came = {name: np.array(array) for name, array in came.items() if isinstance(array, np.ndarray)}
            asked.compare(expected.gradients if of_gradients else expected.outputs, got)
        except (Violation, BackendCrashError) as failure:
            return came, None if self._is_known(case, part) else failure
        except GuestLostError as lost:  # each more would take the time limit
            raise OutOfTimeError from lost
        except (Unsupported, OutOfRangeError, CallError):
            return None, None
        return came, None


def size_of(case: Case) -> int:
    """Return the product of a case's sizes."""
    return int(np.prod([max(size, 1) for size in case.sizes.values()]))


def same_kind(one: object, other: object) -> bool:
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
