"""A backend in a process of its own, whose failures become verdicts while the run goes on.

No segmentation fault, abort, hang, endless allocation, output or change of global state reaches the suite. The process
runs `rnnspec.conformance.hosting.guest`, which receives each call and sends its answer. The next call replaces a lost
process.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import takewhile
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Final

from rnnspec.backends import Backend, BackendError, Call, Cotangents, Unsupported, contract, open_backend
from rnnspec.conformance.hosting import guest
from rnnspec.conformance.hosting.guard import BackendCrashError, told
from rnnspec.conformance.hosting.guest import REOPEN, About, Answer, Done, Foreign, MemoryLayout, Raised, Refused, serve
from rnnspec.spec.arrays import Array

OPENING_SECONDS: Final = 300.0
"""Time limit of opening, since frameworks take long to import, above all on a busy machine."""
FAREWELL_SECONDS: Final = 5.0
"""Time limit of a process to end after its own announcement or a signal."""
_OURS: Final = (contract.__file__, guest.__file__)


@dataclass(frozen=True)
class Limits:
    """Time limit of a call in seconds, and limit of the process's data in GiB."""

    seconds: float = 60.0
    gibibytes: float = 8.0


class GuestCrashError(BackendCrashError):
    """The backend raised an exception in its process, of which only type, message and place came back."""

    def __init__(self, call: Call, raised: Raised) -> None:
        super().__init__(call, RuntimeError(raised.words))
        self.raised = raised

    def __str__(self) -> str:
        return told(f"{self.raised.kind}: {self.raised.words}", self.raised.place, self.call)


class GuestLostError(BaseException):
    """The process ended or was killed in a call.

    It is no Exception, since it is no right answer to bad input. Hypothesis does not shrink it either, which would take
    a new process or the time limit for each step. `request` names the method that was asked, `more` holds its arguments
    after the call.
    """

    def __init__(
        self,
        call: Call,
        reason: str,
        place: str = "",
        *,
        timed_out: bool = False,
        seconds: float = Limits.seconds,
        request: str = "",
        more: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(call, reason, place)
        self.call = call
        self.reason = reason
        self.place = place
        self.timed_out = timed_out
        self.seconds = seconds
        self.request = request
        self.more = more

    def __str__(self) -> str:
        return told(self.reason, self.place, self.call)


class Isolated(Backend):
    """A backend that passes calls on to one in another process; BackendError if that one does not open."""

    name = "isolated"

    def __init__(self, name: str, device: str = "cpu", limits: Limits | None = None) -> None:
        self.opened_as = name
        self.limits = limits or Limits()
        self._device = device
        self._child: _Child | None = None
        self._about = self._start().about
        self.device = self._about.device
        self.name = self._about.name  # type: ignore[misc]  # each has the name of the backend behind it

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

    def reopen(self) -> None:
        """Have the process open the backend anew, and forget the one that it has."""
        self._ask(REOPEN, Call("", {}, {}))

    def close(self) -> None:
        """End the process; a later call starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _start(self) -> _Child:
        self._child = _Child(self.opened_as, self._device, self.limits)
        return self._child

    def _ask(self, request: str, call: Call, *more: Any, **options: Any) -> Any:
        layouts = {name: MemoryLayout.of(array) for name, array in call.inputs.items()}
        asked: dict[str, Any] = {"request": request, "more": more, "seconds": self.limits.seconds}
        try:
            child = self._child or self._start()
        except BackendError as error:
            raise GuestLostError(call, f"a new process could not be started: {error}", **asked) from error
        try:
            answer = child.ask((request, layouts, call, more, options))
        except _LostError as lost:
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
                for name, array in overwritten.items():
                    if call.inputs[name].flags.writeable:
                        call.inputs[name][...] = array
                return result


@cache
def _isolated(name: str, device: str, limits: Limits) -> Isolated:
    """Open a backend in a process of its own, once for all users in this process."""
    return Isolated(name, device, limits)


def reopened(backend: Backend) -> Backend:
    """Return a backend that has made no call yet, opened by the same name; raise BackendError if it does not open."""
    if not isinstance(backend, Isolated):
        return open_backend(backend.opened_as, backend.device)
    backend.reopen()
    return backend


class Isolation(StrEnum):
    """Choice of the backends that get a process of their own; AUTO: those named like ``package.module:Class``."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"

    def open(self, name: str, device: str, limits: Limits) -> Backend:
        """Open a backend by its name, here or in a process of its own; raise BackendError if it does not open."""
        return _isolated(name, device, limits) if self.isolates(name) else open_backend(name, device)

    def isolates(self, name: str) -> bool:
        """Return whether the backend of this name gets a process of its own."""
        return self is Isolation.ALWAYS or (self is Isolation.AUTO and ":" in name)


def _seen(value: Any) -> Any:
    """The result that the checks see; in place of a foreign one, an object whose type has the same name."""
    return type(value.type_name, (), {})() if isinstance(value, Foreign) else value


@dataclass
class _LostError(Exception):
    """A process has ended or is of no more use."""

    reason: str
    place: str
    timed_out: bool


class _Child:
    """One process, from its start to its end."""

    def __init__(self, name: str, device: str, limits: Limits) -> None:
        self._limits = limits
        descriptor, trace = tempfile.mkstemp(prefix="rnnspec-", suffix=".trace")
        os.close(descriptor)
        self._trace = Path(trace)
        self._connection, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, name, device, trace, int(limits.gibibytes * 2**30), limits.seconds)
        )
        self._process.start()
        theirs.close()
        # The priority runs it before multiprocessing waits for the process, which would not end by itself.
        self.end = Finalize(self, _end, (self._process, self._connection, self._trace), exitpriority=1)
        try:
            answer = self._receive(OPENING_SECONDS)
        except _LostError as lost:
            place = f", at {lost.place}" if lost.place else ""
            raise BackendError(f"backend {name!r} does not open: {lost.reason}{place}") from None
        if not isinstance(answer, Done):
            self.end()
            raise BackendError(answer.reason if isinstance(answer, Refused) else answer.words)
        self.about: About = answer.result

    def ask(self, request: tuple[Any, ...]) -> Answer:
        """Send a request and return the answer; raise _LostError if the process is lost, and end it."""
        try:
            self._connection.send(request)
        except OSError:  # it has ended since the last answer
            raise self._gone() from None
        return self._receive(self._limits.seconds)

    def _receive(self, seconds: float) -> Answer:
        ready = wait([self._connection, self._process.sentinel], seconds)
        if not ready and self._process.exitcode is None:
            raise self._silent(seconds)
        try:
            # The pipe may still hold an answer of a process that has ended.
            if self._connection in ready or self._connection.poll():
                answer: Answer = self._connection.recv()
                return answer
        except Exception:  # the end of the pipe, or bytes that other code wrote into it
            pass
        raise self._gone()

    def _silent(self, seconds: float) -> _LostError:
        if hasattr(signal, "SIGKILL"):
            os.kill(self._pid, signal.SIGABRT)  # the interpreter writes its place in the code
            self._process.join(FAREWELL_SECONDS)
        return self._lost(f"no answer within {seconds:g} s", timed_out=True)

    def _gone(self) -> _LostError:
        self._process.join(FAREWELL_SECONDS)
        return self._lost(_how_it_ended(self._process.exitcode), timed_out=False)

    def _lost(self, reason: str, *, timed_out: bool) -> _LostError:
        place = self._place()
        self.end()
        return _LostError(reason, place, timed_out)

    @property
    def _pid(self) -> int:
        assert self._process.pid is not None  # it was started
        return self._process.pid

    def _place(self) -> str:
        """The adapter's innermost frames at a fatal signal, as the interpreter wrote them."""
        try:
            text = self._trace.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        frames = re.findall(r'^  File "(.*)", line (\d+) in ', text, re.MULTILINE)
        theirs = takewhile(lambda frame: frame[0] not in _OURS, frames)
        return ", called from ".join(f"{file}, line {line}" for file, line in list(theirs)[:2])


def _how_it_ended(status: int | None) -> str:
    if status is None:
        return "the process broke off the connection"
    if status >= 0:
        return f"the process ended itself, with status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    words = signal.strsignal(-status)
    hint = "; perhaps the machine is out of memory" if name == "SIGKILL" else ""
    return f"the process ended by {name}{f' ({words})' if words else ''}{hint}"


def _end(process: SpawnProcess, connection: Connection, trace: Path) -> None:
    """Kill a process with its children, and remove its trace file."""
    connection.close()
    if process.pid is not None and hasattr(os, "killpg"):
        with suppress(OSError):  # no such group: the process has ended, or has not made one yet
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join(FAREWELL_SECONDS)
    trace.unlink(missing_ok=True)
