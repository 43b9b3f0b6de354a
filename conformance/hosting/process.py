"""A guest's process as the suite sees it, from its start to its end."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.util import Finalize
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from rnnspec.backends import contract
from rnnspec.conformance.hosting import guest, keeper
from rnnspec.conformance.hosting.guest import TRACE, Answer, begin
from rnnspec.conformance.hosting.keeper import KEPT

FAREWELL_SECONDS: Final = 5.0
"""Time limit of a process to end after its own announcement or a signal."""
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
        self._connection, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=begin, args=(work, theirs, str(self._folder), *arguments)
        )
        try:
            # Its temporary files are in its own folder, which goes with it however it ends.
            with alone(), environment(**dict.fromkeys(TEMPORARY_FOLDERS, str(self._folder))):
                self._process.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        finally:
            theirs.close()
        # The priority runs it before multiprocessing waits for the process, which would not end by itself.
        self.end = Finalize(self, _end, (self._process, self._connection, self._folder), exitpriority=1)

    def ask(self, request: tuple[Any, ...], seconds: float) -> Answer:
        """Send a request and return the answer; raise LostError if the process is lost, and end it."""
        try:
            self._connection.send(request)
        except OSError:  # it has ended since the last answer
            raise self._gone() from None
        return self.receive(seconds)

    def receive(self, seconds: float) -> Answer:
        """Return the next answer; raise LostError if none comes in this time, or the process is lost, and end it."""
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

    def _silent(self, seconds: float) -> LostError:
        if hasattr(signal, "SIGKILL"):
            os.kill(self._pid, signal.SIGABRT)  # the interpreter writes its place in the code
            self._process.join(FAREWELL_SECONDS)
        return self._lost(f"no answer within {seconds:g} s", timed_out=True)

    def _gone(self) -> LostError:
        self._process.join(FAREWELL_SECONDS)
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
            text = (self._folder / TRACE).read_text(encoding="utf-8", errors="replace")
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
    if status >= 0:
        return f"the process ended itself, with status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    words = signal.strsignal(-status)
    hint = "; perhaps the machine is out of memory" if name == "SIGKILL" else ""
    return f"the process ended by {name}{f' ({words})' if words else ''}{hint}"


def _end(process: SpawnProcess, connection: Connection, folder: Path) -> None:
    """Kill a process with its children, and remove its temporary folder."""
    connection.close()
    if KEPT:
        process.terminate()  # the keeper ends them all, those in sessions of their own too
        process.join(FAREWELL_SECONDS)
    elif process.pid is not None and hasattr(os, "killpg"):
        with suppress(OSError):  # no such group: the process has ended, or has not made one yet
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join(FAREWELL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
