"""Check ``edges``: the ends of the sizes, each of them, in every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnnspec.backends import Backend
from rnnspec.conformance.cases import Case, Scope
from rnnspec.conformance.cases.case import Steps
from rnnspec.conformance.cases.streams import stream
from rnnspec.conformance.checks.asked import Asked
from rnnspec.conformance.checks.check import Check, usual_case
from rnnspec.conformance.checks.right import expected_from
from rnnspec.spec import Operation, operation, resolved


class Edges(Check):
    """Values and gradients at one end of the sizes at a time, and of the steps that are valid."""

    id = "edges"
    about = (
        "values and gradients are right where a size is as small as it may be, where there is no sequence or no "
        "step, and where no step is valid"
    )
    why = "loops and kernels are written for the sizes between"
    calls = 8

    def applies_to(self, op: Operation) -> bool:
        """Operations that have a size to choose."""
        return any(True for _ in edges_of(op))

    def forced(self, scope: Scope) -> Sequence[Any]:
        """A case at each edge, all attributes at their defaults."""
        return [edge.of(usual_case(scope)) for edge in self._edges(scope)]

    def of(self, case: Case, scope: Scope) -> Case:
        """A case, brought to an edge."""
        edges = self._edges(scope)
        return edges[int(stream(case.seed, "edge").integers(len(edges)))].of(case)

    @staticmethod
    def _edges(scope: Scope) -> list[Edge]:
        """The edges that the backend takes."""
        kinds = scope.supported.steps
        return [edge for edge in edges_of(operation(scope.operation)) if edge.steps is None or edge.steps in kinds]

    def examine(self, backend: Backend, example: Case) -> float:
        """Run and differentiate the case."""
        asked = Asked(example, example.call, example.cotangents)
        return asked.compare_all(backend, expected_from(backend, example))


@dataclass(frozen=True)
class Edge:
    """Sizes that are forced, and the steps, where they are."""

    sizes: Mapping[str, int]
    steps: Steps | None = None

    def of(self, case: Case) -> Case:
        """The case at this edge."""
        sizes = {**case.sizes, **self.sizes}
        return replace(case, sizes=sizes, steps=case.steps if self.steps is None else self.steps)


def edges_of(op: Operation) -> Iterator[Edge]:
    """Every size at its least alone, and all at once; batches and sequences also at 0; and no step valid."""
    attributes = op.defaults()
    chosen = resolved(op, attributes)
    given = {"G", "n", *chosen.same_sizes_for(attributes), *(item.size for item in op.attributes.values())}
    least = {symbol: max(chosen.at_least.get(symbol, 1), 1) for symbol in chosen.sizes if symbol not in given}
    for symbol, size in least.items():
        yield Edge({symbol: size})
        if symbol in ("B", "T"):
            yield Edge({symbol: 0})
    if least:
        yield Edge(least)
    if op.has_steps:
        yield Edge({}, "no_lengths")
        yield Edge({}, "no_mask")
