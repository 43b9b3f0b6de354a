"""The machine's peaks, measured in the same run with the contenders' own operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from rnnspec.backends.interrupts import Interrupted
from rnnspec.conformance.bench.conformity import must_conform, standard_of
from rnnspec.conformance.bench.contender import Contender
from rnnspec.conformance.bench.cost import Peak
from rnnspec.conformance.bench.timing import CLOCK, Clock
from rnnspec.conformance.cases import Case
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec import operation

SIDE: Final = {"cpu": 1024, "accelerator": 8192}
"""Side of the square matrices whose product gives the peak, large enough that memory does not count."""
NUMBERS: Final = {"cpu": 2**24, "accelerator": 2**28}
"""Elements of the array whose copying gives the bandwidth, too many for any cache."""
REPETITIONS: Final = 5

Task = tuple[Callable[[], object], float]
"""A function to time, and its floating-point operations or bytes."""


def peak_of(place: str, dtype: str, contenders: Iterable[Contender], clock: Clock = CLOCK) -> Peak | None:
    """Return the best rates that any contender, or NumPy on the CPU, reaches; None if nothing can be measured.

    The operation `dense` gives the product, and `clip_by_value` reads and writes the array. A peak is the best of
    several measurements, since every disturbance slows them.
    """
    here = [contender for contender in contenders if contender.place == place]
    products = [task for contender in here for task in _task(contender, "dense", dtype)]
    copies = [task for contender in here for task in _task(contender, "clip_by_value", dtype)]
    if place == "cpu":
        products += _numpy_product(dtype)
        copies += _numpy_copy(dtype)
    rates = [[rate for task in tasks for rate in _rate(task, clock)] for tasks in (products, copies)]
    return Peak(*map(max, rates)) if all(rates) else None


def best_of(one: Peak | None, other: Peak | None) -> Peak | None:
    """Return the better rates of two measurements."""
    if one is None or other is None:
        return one or other
    return Peak(max(one.flops, other.flops), max(one.bandwidth, other.bandwidth))


def _rate(task: Task, clock: Clock) -> list[float]:
    """The rate of a task; none if it fails."""
    run, amount = task
    seconds = []
    try:
        run()
        for _ in range(REPETITIONS):
            started = clock()
            run()
            seconds.append(clock() - started)
    except Interrupted:
        raise
    except BaseException:
        return []
    return [amount / min(seconds)]


def _task(contender: Contender, name: str, dtype: str) -> list[Task]:
    """One task, the operation on the contender; none if the contender cannot run it."""
    n, numbers = SIDE[contender.place], NUMBERS[contender.place]
    sizes = {"B": n, "D": n, "H": n} if name == "dense" else {"N": numbers}
    amount = 2.0 * n**3 if name == "dense" else 2.0 * numbers * format_of(dtype).dtype.itemsize
    case = Case(name, dtype, sizes, operation(name).defaults())
    small = replace(case, sizes=dict.fromkeys(sizes, 7))
    if contender.missing([case], "forward"):
        return []
    try:
        must_conform(contender, [standard_of(small, gradient=False)])
        run = contender.prepare([case], "forward")
        run()
    except Interrupted:
        raise
    except BaseException:  # a contender that is wrong, refuses or crashes shows no peak
        return []
    return [(run, amount)]


def _numpy_product(dtype: str) -> list[Task]:
    if dtype not in ("float32", "float64"):  # NumPy has no fast product of other types
        return []
    n = SIDE["cpu"]
    a, b = np.random.default_rng(0).normal(size=(2, n, n)).astype(dtype)
    out = np.empty_like(a)
    return [(lambda: np.matmul(a, b, out=out), 2.0 * n**3)]


def _numpy_copy(dtype: str) -> list[Task]:
    source = np.zeros(NUMBERS["cpu"], format_of(dtype).dtype)
    target = np.ones_like(source)
    return [(lambda: np.copyto(target, source), 2.0 * source.nbytes)]
