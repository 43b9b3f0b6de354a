"""Work through the cases of a soak, by one or more workers, until all are done or an interrupt stops it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType
from typing import Any, Final

from rnnspec.backends.interrupts import Interrupted, asking_to_end
from rnnspec.conformance.hosting.errors import WorkerLostError
from rnnspec.conformance.hosting.jobs import Workers, stopping
from rnnspec.conformance.hosting.work import FormError, Work
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.soak.examining import Examiner, Soak
from rnnspec.conformance.soak.statistics import Statistics

BLOCK: Final = 200
"""Cases that a worker takes at a time; it does not affect the results, since any parts add up to the same."""

Examined = tuple[range, Statistics]
"""Examined cases, and their statistics."""

OnDone = Callable[[range, Statistics], None]
"""A function that receives finished cases and their statistics."""


@dataclass
class _Stopped:
    """The number of the signal that stopped the work; 0 if none did."""

    number: int = 0


def blocks(numbers: Iterable[range]) -> Iterator[range]:
    """Yield the numbers in blocks for one worker at a time, cut at multiples of `BLOCK`."""
    for part in numbers:
        start = part.start
        while start < part.stop:
            stop = min(part.stop, (start // BLOCK + 1) * BLOCK)
            yield range(start, stop)
            start = stop


def work_through(soak: Soak, pending: Sequence[range], workers: Workers, report: OnDone) -> int:
    """Examine all pending cases; return 0 if all were examined, else the number of the signal that stopped it.

    An interrupt (Ctrl-C or SIGTERM) stops the work after the current cases, and all finished cases are reported. A
    second interrupt stops it at once, with KeyboardInterrupt.

    Raises
    ------
    PlanError
        If a process was lost. Only a backend in a process of its own may end its process.
    """
    parts = list(blocks(pending))
    asked = ([part.start, part.stop] for part in parts)
    with _interruptible(workers) as stopped:
        try:
            for place, (part, statistics) in workers.results(EXAMINE.having(soak=soak.to_json()), asked):
                due = parts[place]
                if part.start != due.start or (part.stop > due.stop if stopped.number else part.stop != due.stop):
                    raise PlanError(f"expected the cases {due.start} to {due.stop}, got {part.start} to {part.stop}")
                report(part, statistics)
        except WorkerLostError as error:
            raise PlanError(
                f"a process in which backend {soak.backend} ran was lost: expected it to survive every call; "
                f"with --isolate such a case is counted and reported, and the soak goes on ({error})"
            ) from error
    return stopped.number


def _examined(part: Sequence[int], soak: Mapping[str, Any]) -> Examined:
    """The examined cases of a part, which a stop may cut short, and their statistics."""
    statistics = Statistics()
    examiner = _examiner(Soak.from_json(soak))
    numbers = range(*part)
    for number in numbers:
        if stopping():
            return range(numbers.start, number), statistics
        examiner.examine(number, statistics)
    return numbers, statistics


@lru_cache(maxsize=1)
def _examiner(soak: Soak) -> Examiner:
    """One for all parts that this process examines: it has the backend open."""
    return Examiner(soak)


def _plain(examined: Examined) -> dict[str, Any]:
    part, statistics = examined
    return {"start": part.start, "stop": part.stop, "statistics": statistics.to_json()}


def _revived(data: Any) -> Examined:
    part, statistics = range(data["start"], data["stop"]), Statistics.from_json(data["statistics"])
    if statistics.whole().cases != len(part):
        raise FormError(f"{len(part)} cases are examined, and {statistics.whole().cases} counted")
    return part, statistics


def _versions(soak: Mapping[str, Any]) -> dict[str, str]:
    return Soak.from_json(soak).open().versions()


EXAMINE: Final = Work(_examined, _plain, _revived, _versions)
"""The work of a soak: it examines the cases from a number to another."""


@contextmanager
def _interruptible(workers: Workers) -> Iterator[_Stopped]:
    """Stop the workers at the first interrupt; at the second, kill them and raise KeyboardInterrupt."""
    stopped = _Stopped()

    def interrupted(number: int, frame: FrameType | None) -> None:
        again, stopped.number = bool(stopped.number), number
        if again:
            workers.kill()
            raise Interrupted(number)
        workers.stop()

    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield stopped
        return
    before = {number: signal.signal(number, interrupted) for number in asking_to_end()}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
