"""Time limits of calls in this process, where no other process can end them."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Final

from rnnspec.conformance.hosting.stuck import GRACE_SECONDS, watched

AGAIN_SECONDS: Final = 1.0
"""Seconds after which a call that goes on, whatever it does with the exception, gets it once more."""


class DeadlineError(BaseException):
    """A call takes longer than its limit. No Exception, since a library catches those."""


_here: dict[str, int | None] = {"devnull": None}


def end_this_process_after_deadlines() -> None:
    """Have a call that not even an exception ends take this process with it: another does its work again."""
    _here["devnull"] = os.open(os.devnull, os.O_WRONLY)


@contextmanager
def at_most(seconds: float | None) -> Iterator[None]:
    """Raise `DeadlineError` in the block if it takes longer; None: it may take any time.

    The main thread of a process alone can be interrupted, and of native code only what returns to Python. A timer that
    somebody else has set is left to them.
    """
    nowhere = _here["devnull"]
    if seconds is None or not _can_be_interrupted():
        yield
        return
    is_over = False

    def late(number: int, frame: FrameType | None) -> None:
        if not is_over:
            raise DeadlineError

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    if nowhere is not None:
        faulthandler.dump_traceback_later(seconds + GRACE_SECONDS, exit=True, file=nowhere)
    try:
        try:
            with watched(seconds) if nowhere is None else nullcontext():
                yield
        finally:
            is_over = True
    finally:
        is_over = True  # here too: the alarm may have come before the line above
        signal.setitimer(signal.ITIMER_REAL, 0)
        if nowhere is not None:
            faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _can_be_interrupted() -> bool:
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    )
