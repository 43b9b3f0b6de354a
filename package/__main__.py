"""The program: ``rnnspec``, and ``python -m rnnspec``."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Final, NoReturn

_ASKING_TO_END: Final = {"SIGINT", "SIGTERM", "SIGHUP"}


def main() -> None:
    """Run the command line; a signal that comes before a command takes care of signals ends it with one word.

    The command line is imported here, since a signal may come in the middle of that.
    """
    for number in signal.Signals:
        if number.name in _ASKING_TO_END and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from rnnspec.conformance.cli import main as run

    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which the program turns into a word, with its output
    run(prog_name="rnnspec")


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End the process, which has begun nothing, with the status that says so."""
    os.write(2, b"interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
