"""The same number of threads for all contenders, enforced by the operating system where it can."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.thread_variables import VARIABLES

OTHERS: Final = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
"""Without this, TensorFlow takes all of a GPU's memory and leaves none to the other contenders."""


def cores() -> tuple[int, ...]:
    """Return the numbers of the cores that this process may run on."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else tuple(range(_count()))


def _count() -> int:
    return os.cpu_count() or 1


@contextmanager
def pinned(count: int | None) -> Iterator[int]:
    """Limit libraries that are imported meanwhile to `count` threads on as many cores; None means all cores.

    Raises
    ------
    BenchError
        If there are fewer cores than threads, since each thread has a core of its own.
    """
    there = cores()
    threads = count or len(there)
    if threads > len(there):
        raise BenchError(f"threads: expected 1 to {len(there)}, the cores that this process may run on, got {threads}")
    before = {name: os.environ.get(name) for name in (*VARIABLES, *OTHERS)}
    os.environ.update({**dict.fromkeys(VARIABLES, str(threads)), **OTHERS})
    _run_on(there[:threads])
    try:
        yield threads
    finally:
        _run_on(there)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _run_on(chosen: tuple[int, ...]) -> None:
    """Bind this thread to the chosen cores; threads that it starts inherit them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, chosen)
