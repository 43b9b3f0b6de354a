"""Calls that are timed in the process that makes them: a guest's, or this one."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rnnspec.backends import Backend, Call
from rnnspec.spec.arrays import Array

ToTime = tuple[Call, tuple[Array, ...] | None]
"""A call and, for forward and backward together, its cotangents."""

PREPARE: Final = "prepare_calls"
TIME: Final = "time_calls"
REQUESTS: Final = (PREPARE, TIME)
"""The requests to a guest that are of this kind."""


class TimedCalls:
    """Groups of calls whose arrays are on the backend's device, by number."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._groups: dict[int, Callable[[], None]] = {}

    def prepare_calls(self, _: Call, number: int, calls: Sequence[ToTime], forgotten: Collection[int]) -> float:
        """Put a group of calls on the device, and forget others; return 0."""
        for one in forgotten:
            self._groups.pop(one, None)
        self._groups[number] = prepared(self._backend, calls)
        return 0.0

    def time_calls(self, _: Call, number: int, count: int) -> float:
        """Make a group's calls so many times; return the seconds."""
        run = self._groups[number]
        with no_garbage_collection():
            started = time.perf_counter()
            for _i in range(count):
                run()
            return time.perf_counter() - started


def prepared(backend: Backend, calls: Sequence[ToTime]) -> Callable[[], None]:
    """Put calls' arrays on the device; return a function that makes the calls in order and waits for them."""
    ready = [backend.prepare(call, cotangents) for call, cotangents in calls]

    def run() -> None:
        for one in ready:
            one.run()
        backend.synchronise()

    return run


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage meanwhile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
