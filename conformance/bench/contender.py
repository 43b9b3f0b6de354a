"""Contenders: backends that take part, each on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnspec.backends import Backend, Unsupported
from rnnspec.backends.discovery import is_own
from rnnspec.backends.words import kind_of, words_of
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.timing import Run, RunElsewhere
from rnnspec.conformance.bench.workload import Mode
from rnnspec.conformance.cases import Case
from rnnspec.conformance.hosting.available import available
from rnnspec.conformance.hosting.deadline import DeadlineError, at_most
from rnnspec.conformance.hosting.guard import BackendCrashError, GuestLostError
from rnnspec.conformance.hosting.isolated import GuestCrashError, Isolated, Isolation, Limits
from rnnspec.conformance.hosting.timed import prepared


@dataclass(frozen=True, eq=False)
class Contender:
    """A backend under the name that the user gives: ``torch``, or ``torch@cuda`` with its device."""

    name: str
    backend: Backend

    @property
    def place(self) -> str:
        """Place whose peak its times are compared with: ``cpu`` or ``accelerator``."""
        return "cpu" if self.backend.device == "cpu" else "accelerator"

    def prepare(self, cases: Sequence[Case], mode: Mode) -> Run:
        """Put the cases' arrays on the device; return a function that makes the calls in order and waits for them.

        An isolated contender makes them in its own process.
        """
        calls = [(case.call, case.cotangents if mode == "gradient" else None) for case in cases]
        if isinstance(self.backend, Isolated):
            return RunElsewhere(self.backend.timed(calls))
        run, seconds = prepared(self.backend, calls), self.backend.time_limit
        if seconds is None or is_own(self.backend.opened_as):  # nothing but the calls is to be timed
            return run

        def limited() -> None:
            with at_most(seconds):
                run()

        return limited

    def missing(self, cases: Sequence[Case], mode: Mode) -> str:
        """Return which operation, type or gradient the backend lacks for the cases; empty if it lacks none."""
        for case in cases:
            if case.operation not in self.backend.operations():
                return f"has no {case.operation}"
            if case.dtype not in self.backend.dtypes():
                return f"has no {case.dtype} on {self.backend.device}"
            if mode == "gradient" and not self.backend.has_gradients(case.operation):
                return f"has no gradient of {case.operation}"
        return ""


def open_contenders(
    names: Sequence[str],
    device: str,
    *,
    alone: bool = False,
    isolation: Isolation = Isolation.NEVER,
    limits: Limits | None = None,
) -> tuple[Contender, ...]:
    """Open backends, named as ``backend`` or ``backend@device``; without names, every installed framework.

    Raises
    ------
    BackendError
        If a backend does not open.
    BenchError
        If there are fewer than two; with `alone`, one is enough.
    """
    chosen = tuple(dict.fromkeys(names)) or tuple(b.name for b in available() if b.available and b.by_default)
    if len(chosen) < 2 and not (alone and chosen):
        got = f"got only {chosen[0]}" if chosen else "got none: no framework is installed"
        raise BenchError(
            f"expected two backends to compare, like 'rnnspec bench torch tensorflow', {got}; name another "
            "('rnnspec list' shows them), or time one by itself with --alone"
        )
    return tuple(open_contender(name, device, isolation, limits) for name in chosen)


def open_contender(
    name: str, device: str = "cpu", isolation: Isolation = Isolation.NEVER, limits: Limits | None = None
) -> Contender:
    """Open a backend by its name; a device in the name overrides `device`."""
    backend, _, own = name.partition("@")
    return Contender(name, isolation.open(backend, own or device, limits or Limits()))


def reason(error: BaseException) -> str:
    """Return the reason of a failed call in one line."""
    if isinstance(error, GuestLostError):
        return f"{'timed out' if error.timed_out else 'crashed'}: {error.reason}"
    if isinstance(error, DeadlineError):
        return "timed out: no answer within the time limit"
    words = words_of(error).strip().splitlines()
    first = words[0] if words else kind_of(error)
    has_its_kind = isinstance(error, Unsupported | BackendCrashError)
    return first if has_its_kind else f"{kind_of(error)}: {first}"


def violates(error: BaseException) -> bool:
    """Whether a failed call is one that a validation would fail for: neither a refusal nor too little memory."""
    if isinstance(error, GuestCrashError):
        return not error.raised.out_of_memory
    return not isinstance(error.error if isinstance(error, BackendCrashError) else error, Unsupported | MemoryError)
