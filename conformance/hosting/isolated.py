"""A backend in a process of its own, whose failures become verdicts while the run goes on.

No segmentation fault, abort, hang, endless allocation, output or change of global state reaches the suite. The process
runs `rnnspec.conformance.hosting.guest`, which receives each call and sends its answer. The next call replaces a lost
process.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from rnnspec.backends import Backend, BackendError, Call, Cotangents, Drawing, Unsupported, open_backend
from rnnspec.backends.discovery import is_own
from rnnspec.backends.interrupts import Interrupted
from rnnspec.backends.words import kind_of, name_of, words_of
from rnnspec.conformance.hosting.guard import SECONDS, BackendCrashError, GuestLostError, told
from rnnspec.conformance.hosting.guest import (
    REMEMBERED,
    REOPEN,
    About,
    Done,
    Foreign,
    MemoryLayout,
    Raised,
    Refused,
    about,
    arrays_of,
    describe,
    serve,
)
from rnnspec.conformance.hosting.messages import fits
from rnnspec.conformance.hosting.process import GuestProcess, LostError
from rnnspec.conformance.hosting.timed import PREPARE, TIME, ToTime
from rnnspec.conformance.program import host_a_guest
from rnnspec.spec.arrays import Array

OPENING_SECONDS: Final = 300.0
"""Time limit of opening, since frameworks take long to import, above all on a busy machine."""

OWN_SECONDS: Final = 600.0
"""Least time limit of a call of one of the project's own backends in the suite's process: some compile."""


@dataclass(frozen=True)
class Limits:
    """Time limit of a call in seconds, and limit of the process's data in GiB."""

    seconds: float = SECONDS
    gibibytes: float = 8.0


__all__ = ["GuestLostError", "Isolated", "Isolation", "Limits", "open_here", "reopened", "tried"]


_NO_CALL: Final = Call("", {}, {})


class GuestCrashError(BackendCrashError):
    """The backend raised an exception in its process, of which only type, message and place came back."""

    def __init__(self, call: Call, raised: Raised) -> None:
        super().__init__(call, RuntimeError(raised.words), may_be_refusal=raised.may_be_refusal)
        self.raised = raised

    def __str__(self) -> str:
        return told(f"{self.raised.kind}: {self.raised.words}", self.raised.place, self.call) + self.hint


class Isolated(Backend):
    """A backend that passes calls on to one in another process; BackendError if that one does not open."""

    name = "isolated"

    def __init__(self, name: str, device: str = "cpu", limits: Limits | None = None) -> None:
        self.opened_as = name
        self.limits = limits or Limits()
        self._device = device
        self._child: GuestProcess | None = None
        self._groups = 0
        self._forgotten: list[int] = []
        """Numbers of the groups of calls that were timed and are not needed any more."""
        self._about = self._start()
        self.device = self._about.device
        self.name = self._about.name  # type: ignore[misc]  # each has the name of the backend behind it
        self.compiles = self._about.compiles  # type: ignore[misc]  # and its price of a new shape
        self.accuracy = self._about.accuracy  # type: ignore[misc]  # and what it declares

    def dtypes(self) -> tuple[str, ...]:
        """Return the types in which the backend computes."""
        return self._about.dtypes

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that the backend runs on."""
        return dict(self._about.versions)

    def operations(self) -> tuple[str, ...]:  # type: ignore[override]  # known of the object, not of the class
        """Return the operations that the backend has."""
        return self._about.operations

    def expected_failures(self) -> Path | None:  # type: ignore[override]  # likewise
        """Return the backend's own file of expected failures."""
        return self._about.expected_failures

    def has_gradients(self, operation: str) -> bool:
        """Return whether the backend has gradients of the operation."""
        return operation in self._about.with_gradients

    def has_second_order(self, operation: str) -> bool:
        """Return whether the backend has gradients of the operation's gradients."""
        return operation in self._about.with_second_order

    def draws(self, operation: str) -> bool:
        """Return whether the backend draws the masks of the operation's dropout itself."""
        return operation in self._about.with_drawing

    def drawn(self, call: Call, drawing: Drawing) -> tuple[Array, ...]:
        """Return the outputs of the call, with masks that the library draws."""
        return tuple(_seen(output) for output in self._ask("drawn", call, drawing))

    def refusal(self, call: Call, *, gradient: bool = False) -> str | None:
        """Return the reason if the library itself does not take the call."""
        reason: str | None = self._ask("refusal", call, gradient=gradient)
        return reason

    def script(self, call: Call, wanted: Collection[str] = (), directions: Collection[str] = ()) -> str | None:
        """Return source code that makes the call on the library itself; None if the backend fails to write it."""
        with suppress(GuestCrashError, GuestLostError):
            source: str | None = self._ask("script", call, tuple(wanted), tuple(directions))
            return source
        return None

    def run(self, call: Call) -> tuple[Array, ...]:
        """Return the outputs of the call."""
        return tuple(_seen(output) for output in self._ask("run", call))

    def gradients(self, call: Call, cotangents: Cotangents, wanted: Collection[str] | None = None) -> dict[str, Array]:
        """Return the gradients of the call."""
        gradients = self._ask("gradients", call, cotangents, None if wanted is None else tuple(wanted))
        return {name: _seen(gradient) for name, gradient in gradients.items()}

    def second_order(self, call: Call, cotangents: Cotangents, directions: Mapping[str, Array]) -> dict[str, Array]:
        """Return the second-order gradients of the call."""
        gradients = self._ask("second_order", call, cotangents, dict(directions))
        return {name: _seen(gradient) for name, gradient in gradients.items()}

    def timed(self, calls: Sequence[ToTime]) -> Callable[[int], float]:
        """Put calls on the device, in the process; return a function that makes them so many times, and its seconds."""
        number, self._groups = self._groups, self._groups + 1
        self._ask(PREPARE, _NO_CALL, number, tuple(calls), tuple(self._forgotten))
        self._forgotten.clear()

        def round_of(count: int) -> float:
            seconds: float = self._ask(TIME, _NO_CALL, number, count)
            return seconds

        weakref.finalize(round_of, self._forgotten.append, number)
        return round_of

    def reopen(self) -> None:
        """Have the process open the backend anew, and forget the one that it has."""
        self._ask(REOPEN, _NO_CALL)

    def close(self) -> None:
        """End the process; a later call starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _start(self) -> About:
        self._handed: deque[list[Array]] = deque(maxlen=REMEMBERED)
        self._child = GuestProcess(
            serve, self.opened_as, self._device, int(self.limits.gibibytes * 2**30), self.limits.seconds
        )
        try:
            return _described(self.opened_as, self._child, OPENING_SECONDS)
        except BaseException:
            self.close()
            raise

    def _spoil(self, answer: Done) -> None:
        """Give results of calls before the numbers that they have there now, and remember those of this one."""
        for (distance, place), array in answer.spoiled.items():
            earlier = self._handed[-distance] if distance <= len(self._handed) else []
            for before in earlier[place : place + 1]:
                if before.shape == array.shape and before.dtype == array.dtype:
                    before[...] = array
        self._handed.append(arrays_of(answer.result))

    def _ask(self, request: str, call: Call, *more: Any, **options: Any) -> Any:
        layouts = {name: MemoryLayout.of(array) for name, array in call.inputs.items()}
        asked: dict[str, Any] = {"request": request, "more": more, "seconds": self.limits.seconds}
        try:
            if self._child is None:
                self._start()
        except (BackendError, OSError) as error:
            raise GuestLostError(call, f"a new process could not be started: {error}", **asked) from error
        assert self._child is not None  # it was started
        try:
            answer = self._child.ask((request, layouts, call, more, options), self.limits.seconds)
        except LostError as lost:
            self._child = None
            raise GuestLostError(call, lost.reason, lost.place, timed_out=lost.timed_out, **asked) from None
        except BaseException:  # interrupted: the next call would take this call's answer for its own
            self.close()
            raise
        match answer:
            case Refused(reason):
                raise Unsupported(reason)
            case Raised() as raised:
                if raised.out_of_memory:
                    self.close()  # its memory may never be freed
                if raised.exhausted:
                    raise GuestLostError(call, f"{raised.kind}: {raised.words}".rstrip(": "), raised.place, **asked)
                raise GuestCrashError(call, raised)
            case Done(result, overwritten):
                if not fits(answer, request, call.inputs):
                    self.close()
                    raise GuestLostError(call, "the process sent something else than an answer", **asked)
                for name, array in overwritten.items():
                    if call.inputs[name].flags.writeable:
                        call.inputs[name][...] = array
                self._spoil(answer)
                return result


def tried(
    names: Sequence[str], device: str = "cpu", seconds: float = OPENING_SECONDS
) -> Iterator[About | BackendError]:
    """Open backends in a process of their own, one after the other; yield what is to be known of each, or why not.

    Each has so many seconds. If one takes the process with it, the next ones have another.
    """
    child: GuestProcess | None = None
    number = 0
    try:
        for place, name in enumerate(names):
            child = child or GuestProcess(describe, names[place:], device)
            try:
                yield _described(name, child, seconds, number)
                number += 1
            except _GoneError as error:
                child, number = None, 0
                yield error
            except BackendError as error:
                number += 1
                yield error
    finally:
        if child is not None:
            child.end()


class _GoneError(BackendError):
    """A backend that took its process with it."""


def _described(name: str, child: GuestProcess, seconds: float, number: int = 0) -> About:
    """Return the next answer of a process, which is about this backend; raise BackendError if it did not open."""
    try:
        answer = child.receive(seconds, number)
    except LostError as lost:
        place = f", at {lost.place}" if lost.place else ""
        raise _GoneError(f"backend {name_of(name)!r} does not open: {lost.reason}{place}") from None
    match answer:
        case Done(About() as described):
            return described
        case Refused(reason):
            raise BackendError(reason)
        case Raised() as raised:
            raise BackendError(raised.words)
        case _:
            raise BackendError(f"backend {name_of(name)!r} does not open: its process sent something else")


@cache
def _isolated(name: str, device: str, limits: Limits) -> Isolated:
    """Open a backend in a process of its own, once for all users in this process."""
    return Isolated(name, device, limits)


def open_here(name: str, device: str = "cpu") -> Backend:
    """Open a backend in this process; raise BackendError if it does not open, or cannot be asked about itself.

    One that the project has not itself is tried in a process of its own first: it could end this one.
    """
    if not is_own(name):
        for outcome in tried([name], device):
            if isinstance(outcome, BackendError):
                raise outcome
        host_a_guest()
    backend = open_backend(name, device)
    try:
        about(backend)
    except Interrupted:
        raise
    except BaseException as error:
        raise BackendError(f"backend {name_of(name)!r} does not open: {kind_of(error)}: {words_of(error)}") from error
    return backend


def reopened(backend: Backend) -> Backend:
    """Return a backend that has made no call yet, opened by the same name; raise BackendError if it does not open."""
    if not isinstance(backend, Isolated):
        return open_backend(backend.opened_as, backend.device)
    backend.reopen()
    return backend


class Isolation(StrEnum):
    """Choice of the backends that get a process of their own; AUTO: all that the project has not itself."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"

    def open(self, name: str, device: str, limits: Limits) -> Backend:
        """Open a backend by its name, here or in a process of its own; raise BackendError if it does not open."""
        if self.isolates(name):
            return _isolated(name, device, limits)
        backend = open_here(name, device)
        backend.time_limit = max(limits.seconds, OWN_SECONDS) if is_own(name) else limits.seconds
        return backend

    def isolates(self, name: str) -> bool:
        """Return whether the backend of this name gets a process of its own."""
        return self is Isolation.ALWAYS or (self is Isolation.AUTO and not is_own(name))


def _seen(value: Any) -> Any:
    """The result that the checks see; in place of a foreign one, an object whose type has the same name."""
    return type(value.type_name, (), {})() if isinstance(value, Foreign) else value
