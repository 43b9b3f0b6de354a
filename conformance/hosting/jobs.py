"""Work on many items, shared among workers: this process, several processes of this machine, or a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from rnnspec.conformance.hosting.deadline import end_this_process_after_deadlines
from rnnspec.conformance.hosting.errors import ClusterError, WorkerLostError
from rnnspec.conformance.hosting.keeper import end_with_starter
from rnnspec.conformance.hosting.process import alone
from rnnspec.conformance.hosting.work import Work

Result = TypeVar("Result")
Results = Generator[tuple[int, Result], None, None]
"""The places of items with their results, as the results come; closing it ends the work."""


class Stop(Protocol):
    """A request to stop: an event of threads or of processes."""

    def is_set(self) -> bool:
        """Return whether to stop."""

    def set(self) -> None:
        """Request the stop."""


_here: dict[str, Stop] = {"stop": threading.Event()}


def stopping() -> bool:
    """Return whether the work of this process is to stop, with the part of its result that it has."""
    return _here["stop"].is_set()


class Workers(ABC):
    """Workers that do pieces of work, in any order."""

    @abstractmethod
    def results(self, work: Work[Result], items: Iterable[Any]) -> Results[Result]:
        """Yield the place of each item and its result, as soon as the result is ready.

        After `stop`, only pieces that were begun are done. Closing the iterator ends the work at once.

        Raises
        ------
        WorkerLostError
            If a process is lost with its piece, and nobody else can do it.
        """

    @abstractmethod
    def stop(self) -> None:
        """Let the work end: pieces that are begun may return a part of their result, and no other is begun."""

    @abstractmethod
    def kill(self) -> None:
        """End the work at once, and the processes that do it."""

    @abstractmethod
    def close(self) -> None:
        """Leave the workers, which have nothing left to do."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Here(Workers):
    """No process but this one."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def results(self, work: Work[Result], items: Iterable[Any]) -> Results[Result]:
        """Yield the results in the order of the items."""
        with _stopped_by(self._stop):
            for place, item in enumerate(items):
                yield place, work(item)
                if self._stop.is_set():
                    return

    def stop(self) -> None:
        """Let the current piece end."""
        self._stop.set()

    def kill(self) -> None:
        """End nothing: an exception ends the current piece."""

    def close(self) -> None:
        """Leave nothing."""


class Again(Exception):
    """A piece is to be given to a worker once more; the reason, where it may be the piece's own fault."""


class PooledWorkers(Workers):
    """Workers that are given pieces by futures, a few more than they can do at a time."""

    def __init__(self) -> None:
        self._asked_to_stop = False

    @property
    @abstractmethod
    def width(self) -> int:
        """Pieces that are with the workers at a time."""

    @abstractmethod
    def submit(self, work: Work[Any], item: Any) -> Any:
        """Give a piece to a worker; return its future."""

    @abstractmethod
    def outcome(self, work: Work[Result], item: Any, future: Any) -> Result:
        """Return the result of an item's finished future; raise `Again` if its piece is to be done once more."""

    @abstractmethod
    def drop(self, futures: Iterable[Any]) -> None:
        """Have no more interest in these futures."""

    def renewed(self) -> bool:
        """Return whether all futures were lost since the last question, so that their pieces are to be given anew."""
        return False

    def results(self, work: Work[Result], items: Iterable[Any]) -> Results[Result]:
        """Yield the results as they come."""
        finished: SimpleQueue[Any] = SimpleQueue()
        waiting: dict[Any, tuple[int, Any]] = {}
        numbered = enumerate(items)
        again: list[tuple[int, Any]] = []
        losses: Counter[int] = Counter()
        try:
            while True:
                while not self._asked_to_stop and len(waiting) < self.width:
                    piece = again.pop() if again else next(numbered, None)
                    if piece is None:
                        break
                    future = self.submit(work, piece[1])
                    waiting[future] = piece
                    future.add_done_callback(finished.put)
                if not waiting:
                    return
                future = _next_of(finished)
                if self.renewed():
                    again += waiting.values()
                    waiting.clear()
                if future not in waiting:
                    continue  # none came in time, or its piece is given anew
                piece = waiting.pop(future)
                try:
                    yield piece[0], self.outcome(work, piece[1], future)
                except Again as lost:
                    again.append(piece)
                    losses[piece[0]] += bool(lost.args)
                    if losses[piece[0]] > MOST_LOSSES:
                        raise WorkerLostError(str(lost)) from lost
        finally:
            self.drop(waiting)

    def stop(self) -> None:
        """Give out no more pieces."""
        self._asked_to_stop = True


def _next_of(finished: SimpleQueue[Any]) -> Any:
    """The next finished future; None if none comes for a while."""
    try:
        return finished.get(timeout=_SECONDS)
    except Empty:
        return None


MOST_LOSSES: Final = 3
"""Times that a piece is done again after the process that did it was lost."""
_SECONDS: Final = 1.0
"""Seconds after which workers that say nothing are looked after."""


class Processes(PooledWorkers):
    """Several processes of this machine. Items, settings and results must be picklable."""

    def __init__(self, jobs: int) -> None:
        super().__init__()
        self.jobs = jobs
        # Spawned, since a fork of a process with threads may hang.
        self._context = multiprocessing.get_context("spawn")
        self._stop = self._context.Event()
        self._pool = ProcessPoolExecutor(jobs, self._context, begin_worker, (self._stop,))

    @property
    def width(self) -> int:
        """Pieces that are with the processes at a time, so that none waits for the next one."""
        return 2 * self.jobs

    def submit(self, work: Work[Any], item: Any) -> Future[Any]:
        """Give a piece to a process, which starts with the first piece that needs it."""
        try:
            with _interrupts_held(), alone():  # a process that this starts must not receive them
                return self._pool.submit(_do, work.function, item, dict(work.settings))
        except BrokenProcessPool as error:
            raise WorkerLostError("a process ended in the middle of its work") from error

    def outcome(self, work: Work[Result], item: Any, future: Future[Any]) -> Result:
        """Return the result of an item's finished future."""
        try:
            result: Result = future.result()
            return result
        except BrokenProcessPool as error:
            raise WorkerLostError("a process ended in the middle of its work") from error

    def drop(self, futures: Iterable[Future[Any]]) -> None:
        """Start no further piece; where some are left, no caller waits for them."""
        left = list(futures)
        if left:
            self._stop.set()
            self.kill()

    def stop(self) -> None:
        """Let the pieces that are begun return what they have."""
        super().stop()
        self._stop.set()

    def kill(self) -> None:
        """Kill the processes."""
        workers = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.kill()

    def close(self) -> None:
        """End the processes, which have nothing left to do."""
        self._pool.shutdown(cancel_futures=True)


def most_processes() -> int:
    """Return how many processes may share the work on this machine: more would only take its memory."""
    return max(64, 4 * (os.cpu_count() or 1))


def workers(jobs: int = 1, scheduler: str = "") -> Workers:
    """Return so many workers on this machine, or those of a Dask scheduler at an address.

    Raises
    ------
    ClusterError
        If both are asked for, too many workers are, or the scheduler cannot be reached.
    """
    if scheduler:
        from rnnspec.conformance.hosting.cluster import Cluster

        if jobs != 1:
            raise ClusterError("expected --jobs or --scheduler, got both: a scheduler has its own workers")
        return Cluster(scheduler)
    if jobs > most_processes():
        raise ClusterError(f"--jobs {jobs}: expected at most {most_processes()} processes on this machine")
    return Here() if jobs == 1 else Processes(jobs)


def in_order(results: Results[Result]) -> Generator[Result, None, None]:
    """Yield results in the order of their items, each as soon as it and all before it are ready."""
    ready: dict[int, Result] = {}
    due = 0
    try:
        for place, result in results:
            ready[place] = result
            while due in ready:
                yield ready.pop(due)
                due += 1
    finally:
        results.close()


# Functions that run in a process of the pool.


def begin_worker(stop: Stop) -> None:
    """Make this process one that obeys its parent alone: it ignores Ctrl-C, and ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes
    threading.Thread(target=_end_with_parent, daemon=True).start()
    end_with_starter()
    end_this_process_after_deadlines()
    _here["stop"] = stop


def _do(function: Any, item: Any, settings: dict[str, Any]) -> Any:
    return function(item, **settings)


def _end_with_parent() -> None:
    """End this process with its parent: without work from it, the process would wait forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it was started as a child
    parent.join()
    os._exit(1)


@contextmanager
def _stopped_by(stop: Stop) -> Iterator[None]:
    """Let this event stop the work of this process meanwhile."""
    before = _here["stop"]
    _here["stop"] = stop
    try:
        yield
    finally:
        _here["stop"] = before


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
