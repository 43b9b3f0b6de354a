"""The same work on many items, shared between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in order, as soon as it and those before it are there.

    With more than one job, `work`, the items and the results go between processes: they must be picklable.
    """
    if jobs == 1:
        yield from map(work, items)
        return
    # Spawned, as a copy of a process with threads may hang.
    with ProcessPoolExecutor(min(jobs, len(items) or 1), mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:  # interrupted, or given up by whoever reads: what is not begun is not to be begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
