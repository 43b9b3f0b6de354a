"""A guest's process as the suite sees it, from its start to its end."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import takewhile
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.spawn import get_executable
from multiprocessing.util import Finalize
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Final

from rnnspec.backends import contract
from rnnspec.conformance.hosting import guest, keeper
from rnnspec.conformance.hosting.guest import TRACE, Answer, begin
from rnnspec.conformance.hosting.keeper import KEPT
from rnnspec.conformance.hosting.messages import MessageError, received

FAREWELL_SECONDS: Final = 5.0
"""Time limit of a process to end after its own announcement or a signal."""
_MOST_TRACE: Final = 2**16
_AT_ONCE: Final = 2**14
"""Bytes that a pipe takes though nobody reads them yet."""
_NOT_STARTED: Final = 255
"""The exit status where a process could not become the interpreter, which others may have too."""
TEMPORARY_FOLDERS: Final = ("TMPDIR", "TEMP", "TMP")
"""The variables by which programs find the folder of temporary files."""
_OURS: Final = (contract.__file__, guest.__file__, keeper.__file__)


@dataclass
class LostError(Exception):
    """A process has ended or is of no more use."""

    reason: str
    place: str
    timed_out: bool


class GuestProcess:
    """One process that does the `work` of a guest with the `arguments`."""

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rnnspec-"))
        self._number = 0
        self._is_late = False
        left = ExitStack()
        left.callback(shutil.rmtree, self._folder, ignore_errors=True)
        with left:
            # Opened here: the guest may put anything in its place.
            self._trace = left.enter_context((self._folder / TRACE).open("w+b"))
            self._connection, theirs = multiprocessing.Pipe()
            left.callback(self._connection.close)
            self._process = multiprocessing.get_context("spawn").Process(
                target=begin, args=(work, theirs, str(self._folder), *arguments)
            )
            # Its temporary files are in its own folder, which goes with it however it ends.
            with closing(theirs), alone(), environment(**dict.fromkeys(TEMPORARY_FOLDERS, str(self._folder))):
                self._process.start()
            left.pop_all()  # it has started: its end takes care of them
        # The priority runs it before multiprocessing waits for the process, which would not end by itself.
        self.end = Finalize(self, _end, (self._process, self._connection, self._folder, self._trace), exitpriority=1)

    def ask(self, request: tuple[Any, ...], seconds: float) -> Answer:
        """Send a request and return the answer; raise LostError if the process is lost, and end it."""
        self._number += 1
        try:
            # Bytes, not a view of a buffer as multiprocessing sends: a traceback may outlive the buffer.
            message = pickle.dumps((self._number, *request))
            with self._ended_after(seconds) if len(message) > _AT_ONCE else nullcontext():
                self._connection.send_bytes(message)
        except OSError:  # it has ended since the last answer
            raise self._gone() from None
        return self.receive(seconds)

    def receive(self, seconds: float, number: int | None = None) -> Answer:
        """Return the answer to the last request, or to the one of that `number`; raise LostError if none comes in this
        time, or the process is lost, and end it.
        """
        number = self._number if number is None else number
        until = time.monotonic() + seconds
        while True:
            ready = wait([self._connection, self._process.sentinel], max(0.0, until - time.monotonic()))
            if not ready and self._process.exitcode is None:
                raise self._silent(seconds)
            # The pipe may still hold an answer of a process that has ended.
            if not (self._connection in ready or self._connection.poll()):
                raise self._gone()
            try:
                with self._ended_after(max(0.1, until - time.monotonic())):  # a message may have no end
                    answered, answer = received(self._connection)
            except (EOFError, OSError):
                raise self._gone() from None
            except MessageError as error:  # bytes that other code wrote into the pipe
                raise self._lost(f"the process sent something else than an answer: {error}", timed_out=False) from None
            if answered == number:
                return answer  # another one is of a copy of the process, which answers too

    @contextmanager
    def _ended_after(self, seconds: float) -> Iterator[None]:
        """End the process if the block takes longer: with it, the pipe ends."""

        def end() -> None:
            self._is_late = True
            with suppress(OSError):  # it has ended meanwhile
                os.kill(self._pid, signal.SIGTERM if KEPT else signal.SIGABRT)

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _silent(self, seconds: float) -> LostError:
        if hasattr(signal, "SIGKILL"):
            os.kill(self._pid, signal.SIGABRT)  # the interpreter writes its place in the code
            self._process.join(FAREWELL_SECONDS)
        return self._lost(f"no answer within {seconds:g} s", timed_out=True)

    def _gone(self) -> LostError:
        self._process.join(FAREWELL_SECONDS)
        if self._is_late:
            return self._lost("it left a message half sent or half read, until its time was over", timed_out=True)
        return self._lost(_how_it_ended(self._process.exitcode), timed_out=False)

    def _lost(self, reason: str, *, timed_out: bool) -> LostError:
        place = self._place()
        self.end()
        return LostError(reason, place, timed_out)

    @property
    def _pid(self) -> int:
        assert self._process.pid is not None  # it was started
        return self._process.pid

    def _place(self) -> str:
        """The adapter's innermost frames at a fatal signal, as the interpreter wrote them."""
        try:
            self._trace.seek(0)
            text = self._trace.read(_MOST_TRACE).decode(errors="replace")
        except OSError:
            return ""
        frames = re.findall(r'^  File "(.*)", line (\d+) in ', text, re.MULTILINE)
        theirs = takewhile(lambda frame: frame[0] not in _OURS, frames)
        return ", called from ".join(f"{file}, line {line}" for file, line in list(theirs)[:2])


@contextmanager
def alone() -> Iterator[None]:
    """Start processes meanwhile that import neither the user's script nor files of the current folder.

    A script without a ``__main__`` guard would run anew in each; a file ``types.py`` would take the place of Python's
    own.
    """
    with _ONE_AT_A_TIME, environment(PYTHONSAFEPATH="1"):
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


@contextmanager
def environment(**changed: str | None) -> Iterator[None]:
    """Have these variables of the environment meanwhile; None: have none of that name."""
    before = {name: os.environ.get(name) for name in changed}
    _set(changed)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


_ONE_AT_A_TIME: Final = threading.RLock()


def _how_it_ended(status: int | None) -> str:
    if status is None:
        return "the process broke off the connection"
    if status == _NOT_STARTED and not os.access(executable := get_executable(), os.X_OK):
        return f"no process could be started: {os.fsdecode(executable)} cannot be run by this user"
    if status >= 0:
        return f"the process ended itself, with status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    words = signal.strsignal(-status)
    hint = "; perhaps the machine is out of memory" if name == "SIGKILL" else ""
    return f"the process ended by {name}{f' ({words})' if words else ''}{hint}"


def _end(process: SpawnProcess, connection: Connection, folder: Path, trace: BinaryIO) -> None:
    """Kill a process with its children, and remove its temporary folder."""
    connection.close()
    trace.close()
    if KEPT:
        process.terminate()  # the keeper ends them all, those in sessions of their own too
        process.join(FAREWELL_SECONDS)
    elif process.pid is not None and hasattr(os, "killpg"):
        with suppress(OSError):  # no such group: the process has ended, or has not made one yet
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join(FAREWELL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
