"""What a workload costs at least, by the specification's cost model, and how close to the machine a time is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rnnspec.conformance.bench.workload import Mode
from rnnspec.conformance.cases import Case
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec.language import parse_size, size_of

FLOPS_OF_A_GRADIENT: Final = 3
"""Forward and backward, in forward passes: each product has a backward product for either of its factors."""
BYTES_OF_A_GRADIENT: Final = 2
"""The inputs are read and their gradients written; the outputs are written and their cotangents read."""


@dataclass(frozen=True)
class Cost:
    """Floating-point operations, and bytes of the arrays that go in and come out, each moved once."""

    flops: float = 0
    bytes: float = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True)
class Peak:
    """What the machine does at best: floating-point operations and bytes a second."""

    flops: float
    bandwidth: float

    def seconds(self, cost: Cost) -> float:
        """The roofline: the least time, were the arithmetic at its peak and the memory at its, at once."""
        return max(cost.flops / self.flops, cost.bytes / self.bandwidth)

    def bound_by(self, cost: Cost) -> str:
        """Which of the two the roofline is set by."""
        return "arithmetic" if cost.flops / self.flops >= cost.bytes / self.bandwidth else "memory"


def cost_of(cases: Iterable[Case], mode: Mode) -> Cost:
    """Cost of some calls; where the sequences differ in length, padded steps cost nothing."""
    return sum((_cost(case, mode) for case in cases), Cost())


def _cost(case: Case, mode: Mode) -> Cost:
    sizes = dict(case.lengths_of)
    if case.steps != "all":
        sizes["T"] = round(float(case.valid.sum()) / max(1, sizes["B"]))
    flops, elements = (
        size_of(parse_size(case.spec.cost[key], f"{case.operation}, cost"), sizes) for key in ("flops", "elements")
    )
    moved = elements * format_of(case.dtype).dtype.itemsize
    if mode == "gradient":
        return Cost(FLOPS_OF_A_GRADIENT * flops, BYTES_OF_A_GRADIENT * moved)
    return Cost(flops, moved)
