"""Work through the cases of a soak, in this process or in several, until all are done or an interrupt stops it."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, Protocol

from rnnspec.backends.interrupts import Interrupted
from rnnspec.conformance.hosting.jobs import begin_worker
from rnnspec.conformance.hosting.process import alone
from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.soak.examining import Examiner, Soak
from rnnspec.conformance.soak.statistics import Statistics

BLOCK: Final = 200
"""Cases that a process takes at a time; it does not affect the results, since any parts add up to the same."""


class Stop(Protocol):
    """A request to stop after the current case: an event of threads or of processes."""

    def is_set(self) -> bool:
        """Return whether to stop."""

    def set(self) -> None:
        """Request the stop."""


@dataclass
class _Stopped:
    """The request to stop, and the number of the signal that made it; 0 if none did."""

    stop: Stop
    number: int = 0


OnDone = Callable[[range, Statistics], None]
"""A function that receives finished cases and their statistics."""


def blocks(numbers: Iterable[range]) -> Iterator[range]:
    """Yield the numbers in blocks for one process at a time, cut at multiples of `BLOCK`."""
    for part in numbers:
        start = part.start
        while start < part.stop:
            stop = min(part.stop, (start // BLOCK + 1) * BLOCK)
            yield range(start, stop)
            start = stop


def work_through(soak: Soak, pending: Sequence[range], jobs: int, report: OnDone) -> int:
    """Examine all pending cases; return 0 if all were examined, else the number of the signal that stopped it.

    An interrupt (Ctrl-C or SIGTERM) stops the work after the current cases, and all finished cases are reported. A
    second interrupt stops it at once, with KeyboardInterrupt.

    Raises
    ------
    PlanError
        If a process was lost. Only a backend in a process of its own may end its process.
    """
    if jobs == 1:
        with _interruptible(threading.Event()) as stopped:
            _here(soak, pending, stopped.stop, report)
            return stopped.number
    context = multiprocessing.get_context("spawn")
    with _interruptible(context.Event()) as stopped:
        stop = stopped.stop
        try:
            with ProcessPoolExecutor(jobs, context, _begin, (soak, stop)) as executor:
                _there(executor, pending, jobs, stop, report)
        except BrokenProcessPool as error:
            raise PlanError(
                f"a process in which backend {soak.backend} ran was lost: expected it to survive every call; "
                "with --isolate such a case is counted and reported, and the soak goes on"
            ) from error
        return stopped.number


def _here(soak: Soak, pending: Sequence[range], stop: Stop, report: OnDone) -> None:
    examiner = Examiner(soak)
    for part in blocks(pending):
        report(*_examined(examiner, part, stop))
        if stop.is_set():
            return


def _there(executor: ProcessPoolExecutor, pending: Sequence[range], jobs: int, stop: Stop, report: OnDone) -> None:
    waiting: set[Future[tuple[range, Statistics]]] = set()

    def collect(most: int) -> None:
        nonlocal waiting
        while len(waiting) > most:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                report(*future.result())

    try:
        for part in blocks(pending):
            if stop.is_set():
                break
            with _interrupts_held(), alone():  # a process that this starts must not receive them
                waiting.add(executor.submit(_work, part))
            collect(2 * jobs)
        collect(0)
    except BaseException:
        stop.set()  # no caller waits for the rest
        raise


def _examined(examiner: Examiner, part: range, stop: Stop) -> tuple[range, Statistics]:
    """The examined cases of a part, which a stop may cut short, and their statistics."""
    statistics = Statistics()
    for number in part:
        if stop.is_set():
            return range(part.start, number), statistics
        examiner.examine(number, statistics)
    return part, statistics


# Functions that run in a process of the pool.

_worker: dict[str, Any] = {}


def _begin(soak: Soak, stop: Stop) -> None:
    begin_worker()
    _worker.update(examiner=Examiner(soak), stop=stop)


def _work(part: range) -> tuple[range, Statistics]:
    return _examined(_worker["examiner"], part, _worker["stop"])


@contextmanager
def _interruptible(stop: Stop) -> Iterator[_Stopped]:
    """Set `stop` at the first interrupt; at the second, kill the child processes and raise KeyboardInterrupt."""

    stopped = _Stopped(stop)

    def interrupted(number: int, frame: FrameType | None) -> None:
        stopped.number = number
        if stop.is_set():
            for child in multiprocessing.active_children():
                child.kill()
            raise Interrupted(number)
        stop.set()

    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield stopped
        return
    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Block interrupts meanwhile, if the platform can; processes started meanwhile block them for good."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
