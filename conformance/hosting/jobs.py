"""Work on many items, shared among processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

from rnnspec.conformance.hosting.process import alone

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    """Yield ``work(item)`` for each item in order, as soon as it and all results before it are ready.

    With more than one job, `work`, the items and the results must be picklable.
    """
    if jobs == 1:
        yield from map(work, items)
        return
    # Spawned, since a fork of a process with threads may hang.
    with ProcessPoolExecutor(min(jobs, len(items) or 1), multiprocessing.get_context("spawn"), begin_worker) as pool:
        try:
            with alone():  # a process starts with the work that it is needed for
                futures: list[Future[Result]] = [pool.submit(work, item) for item in items]
            for future in futures:
                yield future.result()
        except BaseException:  # interrupted, or closed by the caller: start no further work, and wait for none
            workers = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()
            raise


def begin_worker() -> None:
    """Make this process one that obeys its parent alone: it ignores Ctrl-C, and ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process with its parent: without work from it, the process would wait forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it was started as a child
    parent.join()
    os._exit(1)
