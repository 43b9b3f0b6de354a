"""Works through the cases of a soak, in this process or in several, until all are done or it is told to stop."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Protocol

from rnnspec.conformance.run.plan import PlanError
from rnnspec.conformance.soak.examining import Examiner, Soak
from rnnspec.conformance.soak.statistics import Statistics

BLOCK: Final = 200
"""Cases that a process takes at a time. It says nothing about the cases: any parts add up to the same."""


class Stop(Protocol):
    """Whether to stop after the case at hand: an event, of threads or of processes."""

    def is_set(self) -> bool:
        """Whether to stop."""

    def set(self) -> None:
        """Have it stop."""


OnDone = Callable[[range, Statistics], None]
"""Takes the cases that were done, and what they gave."""


def blocks(numbers: Iterable[range]) -> Iterator[range]:
    """The numbers in pieces for one process at a time, cut where all runs cut them."""
    for part in numbers:
        start = part.start
        while start < part.stop:
            stop = min(part.stop, (start // BLOCK + 1) * BLOCK)
            yield range(start, stop)
            start = stop


def work_through(soak: Soak, pending: Sequence[range], jobs: int, report: OnDone) -> bool:
    """Examine all pending cases; return whether it came to the end.

    An interrupt (Ctrl-C, or being asked to terminate) stops it after the cases at hand: all that was done is reported.
    A second one stops it at once, with KeyboardInterrupt.

    Raises
    ------
    PlanError
        If a process was lost: only a backend in a process of its own may crash that hard.
    """
    if jobs == 1:
        with _interruptible(threading.Event()) as stop:
            _here(soak, pending, stop, report)
            return not stop.is_set()
    context = multiprocessing.get_context("spawn")
    with _interruptible(context.Event()) as stop:
        try:
            with ProcessPoolExecutor(jobs, context, _begin, (soak, stop)) as executor:
                _there(executor, pending, jobs, stop, report)
        except BrokenProcessPool as error:
            raise PlanError(
                f"a process in which backend {soak.backend} ran was lost: expected it to live through every call; "
                "with --isolate such a case is counted, told, and the soak goes on"
            ) from error
        return not stop.is_set()


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
            with _interrupts_held():  # the process that this may start is not to have them
                waiting.add(executor.submit(_work, part))
            collect(2 * jobs)
        collect(0)
    except BaseException:
        stop.set()  # nobody waits for the rest
        raise


def _examined(examiner: Examiner, part: range, stop: Stop) -> tuple[range, Statistics]:
    """The cases of a part up to where it was stopped, and what they gave."""
    statistics = Statistics()
    for number in part:
        if stop.is_set():
            return range(part.start, number), statistics
        examiner.examine(number, statistics)
    return part, statistics


# What runs in a process of the pool.

_worker: dict[str, Any] = {}


def _begin(soak: Soak, stop: Stop) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to everyone; here, `stop` tells
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker.update(examiner=Examiner(soak), stop=stop)


def _work(part: range) -> tuple[range, Statistics]:
    return _examined(_worker["examiner"], part, _worker["stop"])


def _end_with_parent() -> None:
    """A pool's processes would wait for work forever if the one that gives it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it was started as a child
    parent.join()
    os._exit(1)


@contextmanager
def _interruptible(stop: Stop) -> Iterator[Stop]:
    """Set `stop` at the first interrupt; at the second, end whatever still works and raise KeyboardInterrupt."""

    def interrupted(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            for child in multiprocessing.active_children():
                child.kill()
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():  # only that one has signals
        yield stop
        return
    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold interrupts back meanwhile, where the platform can; processes started meanwhile hold them for good."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
