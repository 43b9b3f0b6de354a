"""Scans: one workload at growing sizes, which show how its time grows."""

from __future__ import annotations

from rnnspec.conformance.bench.catalogue import must_be_a_size
from rnnspec.conformance.bench.errors import BenchError
from rnnspec.conformance.bench.workload import Workload
from rnnspec.conformance.numbers import is_whole

FEWEST = 3
"""Least number of sizes for an exponent: two have no scatter, from which its interval comes."""
POINTS = 4


def parse_scan(text: str, workload: Workload) -> tuple[str, tuple[int, ...]]:
    """Read ``T`` or ``T=50,100,200``; without a list, the sizes double and end at twice the workload's size.

    Raises
    ------
    BenchError
        If the workload has no such size, or the sizes are fewer than three or not whole numbers from 1 on.
    """
    symbol, equals, listed = text.partition("=")
    place = f"--scan {text}"
    if symbol not in workload.symbols:
        raise BenchError(f"{place}: workload {workload.name}: expected one of its sizes {', '.join(workload.symbols)}")
    if equals:
        parts = listed.split(",")
        if not all(is_whole(part.strip()) for part in parts):
            raise BenchError(f"{place}: expected whole numbers, like {symbol}=50,100,200, got {listed!r}")
        sizes = sorted({int(part) for part in parts})
    else:
        last = 2 * max(workload.sizes.get(symbol, 0), 2 ** (POINTS - 2))
        sizes = sorted({last >> power for power in range(POINTS)})
    for size in sizes:
        must_be_a_size(symbol, size, place)
    if len(sizes) < FEWEST:
        raise BenchError(f"{place}: expected at least {FEWEST} different sizes, got {len(sizes)}")
    return symbol, tuple(sizes)


def scanned(workload: Workload, symbol: str, sizes: tuple[int, ...]) -> list[Workload]:
    """Return the workload at each size."""
    return [workload.with_sizes(**{symbol: size}) for size in sizes]
