"""One case of a soak: its number, its place, and the outcome of a backend's answers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from rnnspec.backends import Backend, Unsupported
from rnnspec.conformance.bench.cost import cost_of
from rnnspec.conformance.cases import Case, RandomChoices, Scope, draw_case
from rnnspec.conformance.checks import Violation
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.right import OutOfRangeError, expected_of
from rnnspec.conformance.hosting.guard import BackendCrashError, Guarded
from rnnspec.conformance.hosting.isolated import GuestLostError, Isolation, Limits
from rnnspec.conformance.judge.declared import judged_as_declared
from rnnspec.conformance.judge.tolerance import Bounded, forget
from rnnspec.conformance.run.expected import ExpectedFailure, concerning, expected_failures
from rnnspec.conformance.run.session import support_of
from rnnspec.conformance.soak.statistics import CasePlace, Ending, Share, SoakOutcome, Statistics

LARGEST: Final = 16
"""Largest size, which one case in four may reach."""
MOST_FLOPS: Final = 1e8
"""Most operations of a case; a dearer one is drawn again, small. A Jacobian of 17 nested states takes minutes."""


@dataclass(frozen=True)
class Soak:
    """The cases of a soak, and the backend with the way to open it.

    The cases are numbered from 0, and operations and types take turns. The k-th case of an operation in a type depends
    only on these, the seed, k and the attributes that the backend supports. It does not depend on other operations, on
    the order or on the number of processes.
    """

    backend: str
    targets: tuple[tuple[str, str], ...]
    seed: int = 0
    device: str = "cpu"
    isolation: Isolation = Isolation.AUTO
    limits: Limits = field(default_factory=Limits)

    def open(self) -> Backend:
        """Open the backend; raise BackendError if it does not open."""
        return self.isolation.open(self.backend, self.device, self.limits)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "targets": [list(target) for target in self.targets]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Soak:
        """Make it from plain data."""
        made: dict[str, Any] = {
            "targets": tuple((operation, dtype) for operation, dtype in data["targets"]),
            "isolation": Isolation(data["isolation"]),
            "limits": Limits(**data["limits"]),
        }
        return cls(**{**data, **made})

    def place(self, number: int) -> CasePlace:
        """Return the place of the case with this number."""
        of_each, turn = divmod(number, len(self.targets))
        return CasePlace(*self.targets[turn], of_each)


class Examiner:
    """An examiner of one backend on the cases of a soak."""

    def __init__(self, soak: Soak) -> None:
        self._soak = soak
        self._opened = soak.open()
        self._backend = Guarded(self._opened)
        self._known: tuple[ExpectedFailure, ...] = expected_failures(self._opened)

    def case(self, place: CasePlace) -> Case:
        """Return the case at a place."""
        support = support_of(self._opened, place.operation, place.dtype)
        where = zlib.crc32(f"{place.operation} {place.dtype}".encode())
        choices = RandomChoices(np.random.default_rng([self._soak.seed, where, place.number]))
        case = draw_case(choices, Scope(place.operation, place.dtype, LARGEST, support))
        if cost_of([case], "forward").flops > MOST_FLOPS:
            case = draw_case(choices, Scope(place.operation, place.dtype, 0, support))
        return case

    def examine(self, number: int, into: Statistics) -> None:
        """Judge the case with this number, and count its outcomes."""
        place = self._soak.place(number)
        case = self.case(place)
        try:
            into.add(place, case.regime, self.outcomes(case))
        except Exception as error:  # a fault of the suite, since the backend's errors are counted
            error.add_note(f"in case {place} of seed {self._soak.seed}: {case}")
            raise
        finally:
            forget()  # no case comes again, so that its expected results would only take memory

    def outcomes(self, case: Case) -> dict[str, SoakOutcome]:
        """Return the outcomes of a case's values and gradients, which share their expected results."""
        with judged_as_declared(self._opened):
            outcomes = {"values": self._outcome(case, "values")}
            answered = outcomes["values"].ending in (Ending.JUDGED, Ending.REJECTED, Ending.EXPECTED)
            if answered and self._backend.has_gradients(case.operation):
                outcomes["gradients"] = self._outcome(case, "gradients")
        return outcomes

    def _outcome(self, case: Case, quantity: str) -> SoakOutcome:
        back = quantity == "gradients"
        asked = Asked(case, case.call, case.cotangents if back else None)
        try:
            got = asked.of(self._backend)
            right = expected_of(case, gradients=back)
            expected = right.gradients if back else right.outputs
            ratio = asked.compare(expected, got)
        except Unsupported as refusal:
            return SoakOutcome(Ending.REFUSED, message=str(refusal))
        except OutOfRangeError:
            return SoakOutcome(Ending.OUT_OF_RANGE)
        except (Violation, BackendCrashError, GuestLostError) as failure:
            known = concerning(self._known, case, quantity, self._backend) is not None
            return SoakOutcome(Ending.EXPECTED) if known else _failed(failure, case)
        kinds = {} if back else case.results
        ids = [bounded for name, bounded in expected.items() if name in kinds and kinds[name].kind == "ids"]
        numbers = [bounded for name, bounded in expected.items() if name not in kinds or kinds[name].kind != "ids"]
        return SoakOutcome(Ending.JUDGED, ratio, numbers=_share(numbers), ids=_share(ids))


def _failed(failure: Violation | BackendCrashError | GuestLostError, case: Case) -> SoakOutcome:
    match failure:
        case Violation():
            ratio = failure.error_ratio
            return SoakOutcome(Ending.REJECTED, ratio if ratio is None or math.isfinite(ratio) else None, str(failure))
        case GuestLostError() if failure.timed_out:
            return SoakOutcome(Ending.TIMED_OUT, message=f"{failure}: {case}")
    return SoakOutcome(Ending.CRASHED, message=f"{failure}: {case}")


def _share(results: Sequence[Bounded]) -> Share:
    return Share(
        sum(result.bound.size for result in results), sum(int(np.isposinf(result.bound).sum()) for result in results)
    )


def targets_of(backend: Backend, asked: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the asked operations and types, each once, whose operation the backend has."""
    has = backend.operations()
    return tuple(target for target in dict.fromkeys(asked) if target[0] in has)
