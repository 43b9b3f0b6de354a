"""Cases of equal sizes, in which more inputs have one shape."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from rnnspec.conformance.cases.case import Case


def free_sizes(case: Case) -> list[str]:
    """Sizes that follow from no other, nor from an attribute."""
    given = {"G", "n", *case.spec.same_sizes_for(case.attributes)}
    given |= {item.size for item in case.spec.attributes.values()}
    return [symbol for symbol in case.spec.sizes if symbol not in given]


def evened(case: Case, size: int) -> Case:
    """The case with this value of all sizes, or of all but one, which is 1, where more inputs have one shape then.

    Features that are a number of heads times their size are as many as all else where there is one head.
    """
    free = free_sizes(case)
    even = replace(case, sizes={**case.sizes, **dict.fromkeys(free, size)})
    if all(length in (0, 1, size) for symbol, length in even.lengths_of.items() if symbol in case.spec.sizes):
        return even
    least = case.spec.at_least
    others = (replace(even, sizes={**even.sizes, symbol: 1}) for symbol in free if least.get(symbol, 0) <= 1)
    return max((even, *others), key=_sharing)


def _sharing(case: Case) -> int:
    """The number of inputs of the most frequent shape of several axes."""
    shapes = (case.shape_of(item.shape) for name, item in case.items.items() if name not in case.absent)
    return max(Counter(shape for shape in shapes if len(shape) > 1).values(), default=0)
