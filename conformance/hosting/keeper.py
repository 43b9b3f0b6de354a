"""A keeper: the process between the suite and a guest, which outlives the guest and lets nothing outlive the suite.

On Linux, what a guest starts stays a descendant of its keeper, in a session of its own too. The keeper ends the guest
when the suite ends, however it does, and all of these processes when the guest ends.
"""

from __future__ import annotations

import ctypes
import faulthandler
import multiprocessing
import os
import shutil
import signal
import sys
import time
import warnings
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

KEPT: Final = sys.platform == "linux"
"""Whether a guest has a keeper."""
_LONGEST_SWEEP: Final = 5.0
"""Seconds in which what a guest left is ended: it may start processes as fast."""
_SET_PARENT_DEATH_SIGNAL: Final = 1
_SET_CHILD_SUBREAPER: Final = 36


def become_kept(folder: Path) -> None:
    """Fork: return in the guest, which this process goes on to keep; it removes `folder` if the suite has ended."""
    faulthandler.disable()  # PYTHONFAULTHANDLER enables it, with handlers that Python does not know
    os.setsid()  # a terminal's signals go to the suite, which passes on what matters
    library = ctypes.CDLL(None)
    library.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    keeper = os.getpid()
    guest = 0
    asked_to_end = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal asked_to_end
        asked_to_end = True
        if guest:
            _kill(guest)

    def pass_on(number: int, frame: FrameType | None) -> None:
        if guest:
            os.kill(guest, number)

    before = {
        number: signal.signal(number, does) for number, does in ((signal.SIGTERM, end), (signal.SIGABRT, pass_on))
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a library's threads are not needed in the guest before it makes calls
        guest = os.fork()
    if guest == 0:
        end_with_starter()
        if os.getppid() != keeper:
            os._exit(1)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        return
    if asked_to_end:
        _kill(guest)
    _keep(guest, folder)


def end_with_starter() -> None:
    """Have the system end this process with the thread that started it, even in native code; on Linux alone."""
    if KEPT:
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _keep(guest: int, folder: Path) -> NoReturn:
    """Wait for the end of the guest or of the suite; end all that is left, and then as the guest did."""
    suite = multiprocessing.parent_process()
    assert suite is not None  # it was started as a child
    descriptor = os.pidfd_open(guest)
    is_left = descriptor not in wait([suite.sentinel, descriptor])
    if is_left:
        _kill(guest)
    _, status = os.waitpid(guest, 0)
    _sweep()
    if is_left:  # nobody else removes it
        shutil.rmtree(folder, ignore_errors=True)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


def _kill(guest: int) -> None:
    with suppress(OSError):  # no such group: the guest has ended, or has not made one yet
        os.killpg(guest, signal.SIGKILL)
    with suppress(OSError):
        os.kill(guest, signal.SIGKILL)


def _sweep() -> None:
    """End every descendant: those whose parents have ended are now children of this process."""
    until = time.monotonic() + _LONGEST_SWEEP
    while (children := _children()) and time.monotonic() < until:
        for child in children:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with suppress(OSError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    own, found = os.getpid(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            after_name = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if int(after_name[1]) == own and after_name[0] != "X":
                found.append(int(folder.name))
    return found
