"""The user's interrupts (Ctrl-C, SIGTERM, the end of the terminal), told apart from a guest's KeyboardInterrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """A signal asks this process to end; `status` is the exit status that says so, as shells have it."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(number)
        self.number = int(number)

    @property
    def status(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM, 129 for the end of the terminal."""
        return 128 + self.number


def asking_to_end() -> tuple[int, ...]:
    """Return the signals that ask this process to end. A terminal's end is none under nohup, which ignores it."""
    hangup = getattr(signal, "SIGHUP", None)
    heeded = hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *((hangup,) if heeded else ()))


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` where a signal asks to end meanwhile; only the main thread receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in asking_to_end()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
