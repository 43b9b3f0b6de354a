"""Work on many items, shared among processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

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
    with ProcessPoolExecutor(min(jobs, len(items) or 1), mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:  # interrupted, or closed by the caller: start no further work
            pool.shutdown(wait=False, cancel_futures=True)
            raise
