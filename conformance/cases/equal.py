"""Cases of equal sizes, in which more inputs have one shape."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from rnnspec.conformance.cases.case import Case


def free_sizes(case: Case) -> list[str]:
    """Sizes that follow from no other, nor from an attribute."""
    given = {"G", "n", *case.spec.same_sizes_for(case.attributes)}
    given |= {item.size for item in case.spec.attributes.values()}
    return [symbol for symbol in case.spec.sizes if symbol not in given]


def evened(case: Case, size: int) -> list[Case]:
    """The case with this value of all sizes, and those with one size of 1 in which further inputs have one shape.

    Features that are a number of heads times their size are as many as all else where there is one head.
    """
    free, least = free_sizes(case), case.spec.at_least
    found = [replace(case, sizes={**case.sizes, **dict.fromkeys(free, size)})]
    if all(length in (0, 1, size) for symbol, length in found[0].lengths_of.items() if symbol in case.spec.sizes):
        return found
    met = _of_one_shape(found[0])
    for other in (
        replace(found[0], sizes={**found[0].sizes, symbol: 1}) for symbol in free if least.get(symbol, 0) <= 1
    ):
        pairs = _of_one_shape(other)
        if pairs - met:
            met |= pairs
            found.append(other)
    return found


def _of_one_shape(case: Case) -> set[tuple[str, str]]:
    """The pairs of inputs of sequences that have one shape of several axes."""
    shapes = {
        name: case.shape_of(item.shape)
        for name, item in case.items.items()
        if name not in case.absent and item.kind == "float" and item.per_sequence and len(item.shape) > 1
    }
    return {(one, other) for one, other in combinations(shapes, 2) if shapes[one] == shapes[other]}
