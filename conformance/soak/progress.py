"""Progress of a soak: a bar on a terminal, elsewhere a line from time to time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from rnnspec.conformance.report.progress import Bar

EVERY_SECONDS: Final = 30.0
"""Seconds between the lines if there is no terminal."""


class SoakProgress:
    """Display of the finished cases, their rate, the rejected ones, and the time left.

    Parameters
    ----------
    console
        Console for the display.
    name
        Name of the soaked backend.
    asked, done
        Number of all cases, and of those done before.
    clock
        Function that returns the time in seconds.
    """

    def __init__(
        self, console: Console, name: str, asked: int, done: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._name, self._clock = console, name, clock
        self._asked, self._first, self._done, self._rejected = asked, done, done, 0
        self._started = self._told = clock()
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[rejected]} rejected"), TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Bar(
            *columns, console=console, transient=True, disable=not console.is_terminal, speed_estimate_period=600
        )
        self._task = self._bar.add_task(name, total=asked, completed=done, rate="", rejected=0)

    def __enter__(self) -> SoakProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, cases: int, rejected: int) -> None:
        """Count finished cases, and the rejected ones among them."""
        self._done += cases
        self._rejected += rejected
        self._bar.update(self._task, advance=cases, rate=f"{self._rate:.0f}/s", rejected=self._rejected)
        if not self._console.is_terminal and self._clock() - self._told >= EVERY_SECONDS:
            self._told = self._clock()
            self._console.print(Text(self._line()), soft_wrap=True)

    @property
    def _rate(self) -> float:
        return (self._done - self._first) / max(self._clock() - self._started, 1e-9)

    def _line(self) -> str:
        left = (self._asked - self._done) / self._rate if self._rate else 0.0
        minutes, seconds = divmod(round(left), 60)
        return (
            f"{self._name}: {self._done:,} of {self._asked:,} cases, {self._rate:.0f} a second, "
            f"{self._rejected} rejected, {minutes}:{seconds:02} left"
        )
