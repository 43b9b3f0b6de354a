"""A watch over calls in this process: native code that never returns keeps every handler of Python from running.

Neither a signal nor a timer interrupts such a call. A thread sees it, says what is known, and ends the process. Native
code that holds Python's lock stops that thread too: only another process can end it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rnnspec.conformance.program import CANNOT_RUN, is_the_program, leave

GRACE_SECONDS: Final = 10.0
"""Seconds after its limit, or after a signal, that native code has to return."""
_TICK_SECONDS: Final = 0.5
_ASKING_TO_END: Final = tuple(
    number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None
)
LastWords = Callable[[int, str], int]
"""A function of the exit status and of what happened; it tells them, and returns the status."""


def _tell(status: int, happened: str) -> int:
    print(f"Error: {happened}; what is finished is kept by --resume alone", file=sys.stderr, flush=True)
    return status


@dataclass
class _Call:
    """The call that the main thread is in."""

    left: float
    """Seconds that it has left; they do not pass while the process is stopped."""
    number: int = 0
    """The signal that asks the process to end, if any."""


class _Watch:
    """The thread, which begins with the first call."""

    def __init__(self) -> None:
        self.call: _Call | None = None
        self.words: LastWords = _tell
        self._is_begun = False

    def begin(self) -> None:
        """Start the thread, once."""
        if not self._is_begun and hasattr(os, "set_blocking"):
            self._is_begun = True
            reads, writes = os.pipe()
            os.set_blocking(writes, False)
            before = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
            if before != -1:  # somebody else listens: they go on, and this thread sees no signal
                signal.set_wakeup_fd(before)
            threading.Thread(target=self._look, args=(reads,), daemon=True).start()

    def _look(self, signals: int) -> None:
        """Look at the call every now and then, for ever."""
        before = time.monotonic()
        while True:
            ready, _, _ = select.select([signals], [], [], _TICK_SECONDS)
            came = os.read(signals, 64) if ready else b""
            now = time.monotonic()
            passed, before = min(now - before, 2 * _TICK_SECONDS), now
            call = self.call
            if call is None:
                continue
            call.number = call.number or next((one for one in came if one in _ASKING_TO_END), 0)
            call.left = (min(call.left, 0.0) if call.number else call.left) - passed
            if call.left < -GRACE_SECONDS and self.call is call:
                status = 128 + call.number if call.number else CANNOT_RUN
                leave(self.words(status, "a call in this process is in native code that does not return"))


_watch = _Watch()


@contextmanager
def watched(seconds: float) -> Iterator[None]:
    """End this process where the block takes so long, or a signal asks for it, and the block does not end either.

    A process that does more than run a command is never ended.
    """
    if not is_the_program():
        yield
        return
    _watch.begin()
    _watch.call = _Call(seconds)
    try:
        yield
    finally:
        _watch.call = None


@contextmanager
def last_words(words: LastWords) -> Iterator[None]:
    """Have this function tell what was found, should a call of the block never return; it runs in another thread."""
    before, _watch.words = _watch.words, words
    try:
        yield
    finally:
        _watch.words = before
