"""Least cost of a workload by the specification's cost model, and its least time on the machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rnnspec.conformance.bench.workload import Mode
from rnnspec.conformance.cases import Case
from rnnspec.conformance.judge.formats import format_of
from rnnspec.spec.language import parse_size, size_of

FLOPS_OF_A_GRADIENT: Final = 3
"""Operations of both passes, in forward passes: each product has a backward product for each of its factors."""
BYTES_OF_A_GRADIENT: Final = 2
"""Bytes of both passes, in forward passes: inputs and cotangents are read, outputs and gradients are written."""


@dataclass(frozen=True)
class Cost:
    """Floating-point operations, and bytes of the arrays that are read and written, each moved once."""

    flops: float = 0
    bytes: float = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True)
class Peak:
    """The machine's best rates: floating-point operations and bytes a second."""

    flops: float
    bandwidth: float

    def seconds(self, cost: Cost) -> float:
        """Return the roofline's seconds, with arithmetic and memory at their peaks at once."""
        return max(cost.flops / self.flops, cost.bytes / self.bandwidth)

    def bound_by(self, cost: Cost) -> str:
        """Return the rate that sets the roofline: ``arithmetic`` or ``memory``."""
        return "arithmetic" if cost.flops / self.flops >= cost.bytes / self.bandwidth else "memory"


def cost_of(cases: Iterable[Case], mode: Mode) -> Cost:
    """Return the cost of some calls together; padded steps cost nothing."""
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
